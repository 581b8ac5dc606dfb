"""Sides: a clip and its mirror image in words show the same two movements, each on its own side."""

import numpy as np

from framebank.demo.scene import SIZE
from framebank.demo.sides import PAIRS, draw_sides, list_side_clips, render_sides
from framebank.store import Manifest


def test_every_pair_of_movements_comes_both_ways_round() -> None:
    clips = list_side_clips(num_train=2, num_test=1)
    ways = {(clip.left, clip.right) for clip in clips}
    assert ways == {way for pair in PAIRS for way in (pair, pair[::-1])}
    assert len(clips) == 3 * len(ways) and len({clip.video_id for clip in clips}) == len(clips)


def test_a_half_moves_and_is_drawn_from_the_clip_alone() -> None:
    clip = list_side_clips(num_train=1, num_test=0)[0]
    pictures = np.stack(list(draw_sides(clip)))
    assert 50 <= len(pictures) <= 75 and pictures.shape[1:] == (SIZE, SIZE, 3)
    for half in (pictures[:, :, : SIZE // 2], pictures[:, :, SIZE // 2 :]):
        assert half.astype(float).std(0).max() > 20  # something moves on each side
    np.testing.assert_array_equal(pictures, np.stack(list(draw_sides(clip))))


def test_clips_and_their_list_are_written(tmp_path) -> None:
    made = list(render_sides(tmp_path, num_train=1, num_test=0, pairs=PAIRS[:1], processes=1))
    manifest = Manifest.read_csv(tmp_path / "manifest.csv")
    assert [video.label for video in manifest.videos] == [clip.label for clip in made]
    assert manifest.videos[0].label == "waving left of clapping"
    assert all((tmp_path / clip.path).stat().st_size > 1000 for clip in made)
