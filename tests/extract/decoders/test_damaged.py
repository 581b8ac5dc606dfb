"""Damaged videos are refused with a hint, or those of their frames are used that are whole, and that is told."""

import numpy as np
import pytest

from framebank.extract.decoders.decode import read_clip, read_frames
from framebank.extract.decoders.frames import DamageError
from framebank.extract.decoders.pixels import Reading
from framebank.extract.sampling import read_sampling
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.tests.worlds.decode import DATA
from framebank.tests.worlds.video import HEIGHT, TOTAL, WIDTH, read_index, write_indexed, write_video

USE = Reading(use_damaged=True)
EVERY = read_sampling("every").rows
HINT = "; extract --use-damaged uses the good frames"


def write_noise(path, **options):
    texture = np.random.default_rng(0).integers(0, 256, (TOTAL, HEIGHT, WIDTH, 3), dtype=np.uint8)
    return write_video(path, list(texture), **options)


def damage(path, *, start, count):
    content = bytearray(path.read_bytes())
    content[start : start + count] = np.random.default_rng(1).bytes(count)
    path.write_bytes(content)


@pytest.mark.parametrize(("name", "options"), [("noise.avi", {"codec": "mpeg4", "b": "2000000"}), ("noise.mp4", {})])
def test_damaged_frames_are_left_out(tmp_path, name, options):
    path = write_noise(tmp_path / name, g="12", **options)
    whole = read_clip(path, EVERY)
    damage(path, start=path.stat().st_size // 2, count=4000)
    with pytest.raises(DamageError) as caught:
        read_clip(path, EVERY)
    assert str(caught.value).endswith(HINT)
    frames = read_clip(path, EVERY, reading=USE)
    assert TOTAL - 25 <= len(frames) < TOTAL
    assert frames.decoder == f"pyav ({counted(TOTAL - len(frames), 'damaged frame')} left out)"
    places = np.rint(frames.timestamps * 25).astype(int)  # a packet that gives no frame has no index
    np.testing.assert_allclose(frames.timestamps, whole.timestamps[places], atol=1e-9)
    same = (frames.data == whole.data[places]).all(axis=(1, 2, 3))
    assert same.mean() > 0.9  # a decoder does not notice all


@pytest.mark.parametrize("spec", ["segments:8", "fps:5", "clips:2x9"])
def test_the_sampling_falls_on_the_others(tmp_path, spec):
    path = write_noise(tmp_path / "noise.mp4", g="12")
    damage(path, start=path.stat().st_size // 2, count=4000)
    used = read_clip(path, EVERY, reading=USE)
    times, rows = used.timestamps, read_sampling(spec).rows
    frames = read_clip(path, rows, reading=USE)
    np.testing.assert_array_equal(frames.indices, used.indices[rows(times)])


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
def test_the_rest_of_a_cut_file(tmp_path, suffix):
    options = (
        {"codec": "mpeg4"} if suffix == "avi" else {"header": {"movflags": "faststart"}} if suffix == "mp4" else {}
    )
    path = write_indexed(tmp_path / f"cut.{suffix}", total=300, **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content)) // 188 * 188 + 77])
    with pytest.raises(DamageError, match=r"the file is cut short: .*use-damaged"):
        read_clip(path, EVERY)
    frames = read_clip(path, EVERY, reading=USE)
    assert 100 < len(frames) < 300
    assert [read_index(image) for image in frames.data[:-1]] == frames.indices.tolist()[:-1]
    assert frames.decoder.startswith("pyav (")
    assert frames.decoder.endswith("a part of the file is missing)")


def test_a_whole_file_is_read_alike(tmp_path):
    path = write_indexed(tmp_path / "v.mp4")
    frames, plain = read_clip(path, EVERY, reading=USE), read_clip(path, EVERY)
    np.testing.assert_array_equal(frames.data, plain.data)
    assert frames.decoder == plain.decoder == "pyav"


def test_damage_that_no_wanted_frame_depends_on(tmp_path):
    path = write_noise(tmp_path / "noise.mp4", g="12")
    damage(path, start=int(0.9 * path.stat().st_size), count=500)
    for reading in (USE, Reading()):
        assert read_frames(path, np.array([1]), reading=reading).decoder == "pyav"


def test_no_frame_is_whole(tmp_path):
    path = write_noise(tmp_path / "noise.avi", codec="mpeg4", g="250")
    damage(path, start=8000, count=path.stat().st_size - 8000)
    with pytest.raises(DataError, match=r"noise.avi: (none of its frames is good|.*)"):
        read_clip(path, EVERY, reading=USE)


def test_where_decoding_fails_is_told_in_words(tmp_path):
    path = write_noise(tmp_path / "noise.mp4", g="250")
    damage(path, start=100, count=3000)
    with pytest.raises(DataError) as caught:
        read_frames(path, np.arange(TOTAL))
    assert "frame -1" not in str(caught.value)


def test_packets_lost():
    path = DATA / "reports" / "packets_lost.ts"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with pytest.raises(DamageError, match=rf"packets in front of byte 22560 of 86668 are missing{HINT}"):
        read_clip(path, EVERY)
    frames = read_clip(path, EVERY, reading=USE)
    assert frames.indices.tolist() == [*range(25), *range(50, 100)]
    np.testing.assert_allclose(frames.timestamps, frames.indices / 25, atol=1e-9)
    assert frames.decoder == "pyav (25 damaged frames left out; a part of the file is missing)"
