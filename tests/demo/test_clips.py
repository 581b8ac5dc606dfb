import csv
from pathlib import Path

import av
import numpy as np
import pytest

from framebank.demo import clips
from framebank.demo.actions import BY_NAME
from framebank.demo.clips import Clip, draw_clip, list_clips, render_clips, write_video
from framebank.demo.motion import draw_motion
from framebank.demo.stage import set_stage
from framebank.store.errors import DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips")
    yielded = list(render_clips(path, num_train=1, num_test=1, processes=1))
    return path, yielded


def test_default_world_has_24_train_and_10_test_clips_of_each_class():
    found = list_clips()
    assert len(found) == len({clip.video_id for clip in found}) == 544
    for name in BY_NAME:
        splits = [clip.split for clip in found if clip.label == name]
        assert (splits.count("train"), splits.count("test")) == (24, 10)
    assert [clip.take for clip in found if clip.label == "waving" and clip.split == "train"].count("loop") == 8


def test_manifest_names_every_clip(folder):
    path, yielded = folder
    with (path / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["video_id", "path", "label", "split", "take"]
    assert {row["video_id"] for row in rows} == {clip.video_id for clip in yielded}
    assert all((path / row["path"]).is_file() for row in rows)
    assert rows[0]["path"] == "sitting_down/sitting_down_train_00.mp4"
    assert not list(path.rglob("*.part"))


def test_clips_are_h264_at_25_fps_of_two_to_three_seconds(folder):
    path, yielded = folder
    for clip in yielded:
        with av.open(str(path / clip.path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.average_rate == 25
            count = sum(1 for _ in container.decode(stream))
        assert 50 <= count <= 75
        assert count == len(draw_clip(clip))


def test_a_decoded_frame_shows_what_was_rendered(folder):
    path, yielded = folder
    with av.open(str(path / yielded[0].path)) as container:
        first = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float)
    assert np.abs(first - draw_clip(yielded[0]).render(0)).mean() < 15  # another frame differs by 40


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path):
    clip = Clip("waving_test_00", Path("waving_test_00.mp4"), "waving", "test", "whole")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_video(draw_clip(clip, seed=seed), tmp_path / name)
    first, second, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == second != other


def test_an_interrupted_clip_leaves_nothing_under_its_name(tmp_path, monkeypatch):
    clip = Clip("waving_test_00", Path("waving_test_00.mp4"), "waving", "test", "whole")
    scene = draw_clip(clip)
    render = type(scene).render

    def stop_at_ten(self, frame):
        if frame == 10:
            raise KeyboardInterrupt
        return render(self, frame)

    monkeypatch.setattr(type(scene), "render", stop_at_ten)
    with pytest.raises(KeyboardInterrupt):
        write_video(scene, tmp_path / clip.path)
    assert not (tmp_path / clip.path).exists()


def test_no_clips_at_all_is_refused(tmp_path):
    with pytest.raises(DataError, match="num_train is 0 and num_test 0"):
        next(render_clips(tmp_path, num_train=0, num_test=0))


@pytest.mark.parametrize("name", ["sitting down", "picking up", "falling down"])
def test_frames_of_a_pair_are_the_same_pictures_in_opposite_order(name):
    """With equal draws the clips of a pair hold the same figure and props: no single frame tells them apart."""
    scenes = []
    for label in (name, BY_NAME[name].reverse):
        action = BY_NAME[label]
        motion = draw_motion(action, take="loop", num_frames=50, rng=np.random.default_rng(7))
        scenes.append(set_stage(motion, action=action, rng=np.random.default_rng(8)))
    there, back = scenes
    np.testing.assert_array_equal(there.joints, back.joints[::-1])
    assert [prop.kind for prop in there.props] == [prop.kind for prop in back.props]
    for one, other in zip(there.props, back.props, strict=True):
        np.testing.assert_array_equal(one.at, other.at[::-1])
    np.testing.assert_array_equal(there.outfit, back.outfit)
    assert there.facts == back.facts


def test_clips_draw_from_a_seed_space_of_their_own():
    assert len({clips.CLIP_SPACE, clips.TRAIN_SPACE, clips.HELD_OUT_SPACE}) == 3


@pytest.mark.slow
def test_two_processes_write_what_one_writes(tmp_path):
    for processes in (1, 2):
        list(render_clips(tmp_path / str(processes), num_train=0, num_test=1, processes=processes))
    files = sorted(p.relative_to(tmp_path / "1") for p in (tmp_path / "1").rglob("*.mp4"))
    assert len(files) == 16
    assert all((tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes() for file in files)
