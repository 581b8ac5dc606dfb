"""Animated WebP pictures, read as videos."""

import numpy as np
import pytest
from PIL import Image

from framebank.extract.decoders.animation import is_animation
from framebank.extract.decoders.decode import count_frames, read_clip, read_frames
from framebank.extract.sampling import read_sampling
from framebank.store.errors import DataError
from framebank.tests.worlds.video import draw_index, read_index, write_indexed

DURATIONS = [40, 40, 100, 500, 40, 40]


@pytest.fixture
def animation(tmp_path):
    pictures = [Image.fromarray(draw_index(index)) for index in range(len(DURATIONS))]
    path = tmp_path / "a.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=DURATIONS, lossless=True)
    return path


def test_frames_and_times(animation):
    assert is_animation(animation)
    assert count_frames(animation) == len(DURATIONS)
    frames = read_clip(animation, read_sampling("every").rows)
    assert [read_index(image) for image in frames.data] == list(range(len(DURATIONS)))
    assert frames.timestamps.tolist() == [0, 0.04, 0.08, 0.18, 0.68, 0.72]
    assert frames.decoder == "images"
    assert read_clip(animation, read_sampling("fps:5").rows).indices.tolist() == [0, 3]  # on screen until 0.68 s
    assert read_index(read_frames(animation, np.array([4])).data[0]) == 4


def test_the_suffix_says_nothing(animation):
    path = animation.rename(animation.with_suffix(".mp4"))
    assert count_frames(path) == len(DURATIONS)


def test_a_cut_one(animation):
    content = animation.read_bytes()
    animation.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        DataError, match=rf"a\.webp: the file is cut short: {len(content) // 2} of at least {len(content)}"
    ):
        count_frames(animation)


def test_beyond_its_end(animation):
    with pytest.raises(DataError, match="frame 6 was asked for, 6 frames decode"):
        read_frames(animation, np.array([6]))


def test_others_are_none(tmp_path):
    Image.fromarray(draw_index(3)).save(tmp_path / "still.webp")
    assert not is_animation(tmp_path / "still.webp")
    assert not is_animation(write_indexed(tmp_path / "v.avi", codec="mpeg4", total=3))
    assert not is_animation(tmp_path)
