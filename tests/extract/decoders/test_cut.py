"""Cuts of videos: a copy starts at a key frame and loses nothing, an exact one has the frames that were asked for."""

from pathlib import Path

import av
import numpy as np
import pytest

from framebank.extract.decoders.cut import copy_stretch, encode_stretch
from framebank.extract.decoders.decode import read_clip, read_frames
from framebank.store.errors import DataError
from framebank.tests.places import DATA

FRAMES, RATE, GROUP = 60, 20, 15


BITS, BAR = 6, 12  # a frame shows its number by six bars, white for one and black for nought


def picture(number: int) -> np.ndarray:
    """A frame (48, 73, 3) that shows its number; its width is odd."""
    bars = np.array([255 * (number >> bit & 1) for bit in range(BITS)], np.uint8)
    return np.broadcast_to(np.append(np.repeat(bars, BAR), np.uint8(0))[None, :, None], (48, BITS * BAR + 1, 3)).copy()


@pytest.fixture(scope="module", params=["mp4", "mkv"])
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds with B frames, a key frame every 15 frames, and a sound as long."""
    path = tmp_path_factory.mktemp("cut") / f"video.{request.param}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"g": str(GROUP), "bf": "2", "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = BITS * BAR, 48, "yuv420p"
        sound = container.add_stream("aac", rate=16_000)
        for number in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number)[:, :-1].copy(), format="rgb24")))
        tone = (0.3 * np.sin(np.arange(3 * 16_000) / 8)).astype(np.float32)[None]
        heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        heard.sample_rate, heard.pts = 16_000, 0
        container.mux([*sound.encode(heard), *sound.encode(None), *stream.encode(None)])
    return path


def numbers(path: Path) -> list[int]:
    """The number that each frame of a video shows."""
    frames = read_clip(path, lambda times: np.arange(len(times))).data[:, :, : BITS * BAR]
    bars = frames.reshape(len(frames), 48, BITS, BAR, 3).mean(axis=(1, 3, 4)) > 128
    return [int(sum(2**bit * one for bit, one in enumerate(bar))) for bar in bars.tolist()]


def test_a_copy_starts_at_the_key_frame_before(video: Path, tmp_path: Path) -> None:
    cut = copy_stretch(video, tmp_path / "clip", start=1.2, end=2.0)
    assert cut.path == tmp_path / f"clip{video.suffix}"
    assert (cut.start, cut.end) == (pytest.approx(GROUP / RATE, abs=2e-3), pytest.approx(2.0, abs=2e-3))
    shown = numbers(cut.path)
    assert shown[:25] == list(range(15, 40)) and len(shown) <= 28  # and some that the last ones refer to
    whole = read_frames(video, np.arange(15, 40)).data
    assert np.array_equal(read_frames(cut.path, np.arange(25)).data, whole)
    with av.open(str(cut.path)) as container:
        heard = [packet for packet in container.demux(audio=0) if packet.size]
        seconds = [float(packet.pts * packet.time_base) for packet in heard]
    assert -0.07 <= seconds[0] <= 0.07 and 1.1 < seconds[-1] < 1.3


def test_an_exact_cut_has_the_frames_that_were_asked_for(video: Path, tmp_path: Path) -> None:
    cut = encode_stretch(video, tmp_path / "clip", start=1.2, end=2.0)
    assert (cut.path.name, cut.start, cut.end) == ("clip.mp4", pytest.approx(1.2), pytest.approx(2.0))
    assert numbers(cut.path) == list(range(24, 40))
    times = read_clip(cut.path, lambda times: np.arange(len(times))).timestamps
    assert times == pytest.approx(np.arange(16) / RATE, abs=1e-3)


def test_without_an_end_it_is_the_end_of_the_video(video: Path, tmp_path: Path) -> None:
    assert numbers(copy_stretch(video, tmp_path / "copied").path) == list(range(FRAMES))
    assert numbers(encode_stretch(video, tmp_path / "exact", start=2.5).path) == list(range(50, FRAMES))


def test_nothing_is_written_over_and_nothing_half_written(video: Path, tmp_path: Path) -> None:
    for cut in (copy_stretch, encode_stretch):
        with pytest.raises(DataError, match=r"has no frame from 9 s to 10 s; its last frame is at 2\.95 s"):
            cut(video, tmp_path / "none", start=9, end=10)
        with pytest.raises(DataError, match="there is no such file"):
            cut(tmp_path / "gone.mp4", tmp_path / "none")
    assert not list(tmp_path.iterdir())
    for cut in (copy_stretch, encode_stretch):
        made = cut(video, tmp_path / cut.__name__, end=0.5)
        before = made.path.read_bytes()
        with pytest.raises(DataError, match="is there already, and is not written over"):
            cut(video, tmp_path / cut.__name__, end=0.5)
        assert made.path.read_bytes() == before


def test_a_video_whose_end_is_gone_is_cut_before_it_alone(video: Path, tmp_path: Path) -> None:
    if video.suffix == ".mp4":
        pytest.skip("its index is at its end: nothing of it can be read")
    whole = video.read_bytes()
    (tmp_path / "video.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    assert numbers(copy_stretch(tmp_path / "video.mkv", tmp_path / "clip", end=0.5).path)[:10] == list(range(10))
    with pytest.raises(DataError, match=r"video\.mkv: "):
        copy_stretch(tmp_path / "video.mkv", tmp_path / "rest", start=1.0)
    assert not (tmp_path / "rest.mkv").exists()


def test_what_mp4_cannot_hold_goes_into_mov(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "video.mov"), "w") as container:
        stream = container.add_stream("qtrle", rate=10)
        stream.width, stream.height, stream.pix_fmt = BITS * BAR, 48, "rgb24"
        for number in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number)[:, :-1].copy(), format="rgb24")))
        container.mux(stream.encode(None))
    cut = copy_stretch(tmp_path / "video.mov", tmp_path / "clip", start=1.0)
    assert cut.path.name == "clip.mov" and numbers(cut.path)[-10:] == list(range(10, 20))
    assert {path.name for path in tmp_path.iterdir()} == {"video.mov", "clip.mov"}


def test_images_in_a_folder_are_encoded_and_not_copied(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "images").mkdir()
    for number in range(6):
        Image.fromarray(picture(number)).save(tmp_path / "images" / f"{number:03d}.png")
    with pytest.raises(DataError, match="is a folder of images, which has no packets to copy"):
        copy_stretch(tmp_path / "images", tmp_path / "clip")
    assert numbers(encode_stretch(tmp_path / "images", tmp_path / "clip").path) == list(range(6))


@pytest.mark.skipif(not DATA.exists(), reason="the sample videos are not here")
def test_real_videos_are_copied_as_they_are(tmp_path: Path) -> None:
    """A turned one stays turned, packets of an AVI go into Matroska, and frames at odd times stay at them."""
    for name, suffix in (("video_90.mov", ".mp4"), ("mmaction2-test.avi", ".mkv"), ("v_GGSY1Qvo990.mp4", ".mp4")):
        path = DATA / "decoders" / name
        cut = copy_stretch(path, tmp_path / path.stem, end=1.0)
        assert cut.path.suffix == suffix
        copied = read_clip(cut.path, lambda times: np.arange(len(times)))
        whole = read_frames(path, np.arange(len(copied)))
        assert np.array_equal(copied.data, whole.data)
        assert copied.timestamps == pytest.approx(whole.timestamps, abs=2e-3)
