"""What cannot be read is refused, with the reason."""

import struct

import av
import numpy as np
import pytest

from framebank.extract.containers.structure import read_structure
from framebank.extract.decoders.decode import count_frames, read_clip, read_frames
from framebank.extract.sampling import segment_indices
from framebank.store.errors import DataError
from framebank.tests.worlds.decode import DATA, needs_data
from framebank.tests.worlds.video import HEIGHT, TOTAL, WIDTH, write_indexed, write_video


@pytest.fixture(scope="module")
def mp4(tmp_path_factory):
    return write_indexed(tmp_path_factory.mktemp("mp4") / "plain.mp4")


def refuse(path, *, reason):
    for call in (lambda: read_clip(path, lambda times: segment_indices(len(times), 16)), lambda: count_frames(path)):
        with pytest.raises(DataError, match=reason) as caught:
            call()
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    refuse(tmp_path / "absent.mp4", reason="there is no such file")


def test_empty_file(tmp_path):
    path = tmp_path / "empty.mp4"
    path.touch()
    refuse(path, reason="the file is empty, 0 bytes")


def test_text_is_not_a_video(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("not a video\n" * 300)
    refuse(path, reason="not a video")


def test_sound_alone(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    refuse(path, reason="no video stream, it holds audio")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("index-last.mp4", {}),
        ("index-first.mp4", {"header": {"movflags": "faststart"}}),
        ("fragment.mp4", {"header": {"movflags": "frag_keyframe+empty_moov"}}),
        ("h264.mkv", {}),
        ("mpeg4.avi", {"codec": "mpeg4"}),
    ],
)
def test_cut_short(tmp_path, name, options, share):
    path = write_indexed(tmp_path / name, **options)
    assert read_structure(path).missing == 0
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    if name == "mpeg4.avi" and share == 0.95:
        pytest.skip("what is gone is the index at the end, every frame is there")
    refuse(path, reason="the file is cut short")


def test_a_note_behind_the_video_is_no_loss(tmp_path, mp4):
    path = tmp_path / "note.mp4"
    path.write_bytes(mp4.read_bytes() + struct.pack(">I", 5000) + b"free" + bytes(10))
    assert read_structure(path).missing == 0
    assert count_frames(path) == TOTAL


def test_the_end_never_arrived(tmp_path):
    path = write_indexed(tmp_path / "hole.avi", codec="mpeg4")
    content = path.read_bytes()
    there = int(0.7 * len(content))
    path.write_bytes(content[:there] + bytes(len(content) - there))
    refuse(path, reason=rf"a part of the video is lost: \d+ of {TOTAL} frames are there")


@pytest.mark.parametrize(("name", "options"), [("noise.avi", {"codec": "mpeg4", "b": "2000000"}), ("noise.mp4", {})])
def test_damage_in_the_middle(tmp_path, name, options):
    texture = np.random.default_rng(0).integers(0, 256, (TOTAL, HEIGHT, WIDTH, 3), dtype=np.uint8)
    path = write_video(tmp_path / name, list(texture), g="250", **options)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = np.random.default_rng(1).bytes(4000)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"frame \d+ is damaged|decoding fails after frame \d+: "):
        read_frames(path, np.arange(TOTAL - 1))


def test_nothing_is_printed(tmp_path, mp4, capfd):
    path = tmp_path / "cut.mp4"
    path.write_bytes(mp4.read_bytes()[:500])
    refuse(path, reason="cut short")
    read_frames(mp4, np.array([0]))
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@needs_data
def test_real_damage():
    refuse(DATA / "decoders" / "corrupted.mp4", reason=r"decoding fails after frame \d+: Invalid data found")
