"""torchcodec: exact wherever PyAV confirms it, refused elsewhere.

Where the system has no FFmpeg for torchcodec, the last test runs this file again in a process that finds PyAV's own.
"""

import os
import re
import subprocess
import sys
import types
import weakref
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest

from framebank.extract.decoders import pyav
from framebank.extract.decoders.decode import decode_clip, decoder_versions, read_clip, read_frames
from framebank.extract.decoders.frames import UnsupportedError
from framebank.extract.decoders.torchcodec import require_torchcodec
from framebank.extract.sampling import read_sampling
from framebank.store.errors import DataError
from framebank.tests.places import ROOT
from framebank.tests.worlds.decode import MATRICES, WRITERS, join_sizes, turn
from framebank.tests.worlds.video import HEIGHT, TOTAL, WIDTH, read_index, write_indexed, write_video

# Two builds of FFmpeg may round colours differently.
TOLERANCE = 3

needs_torchcodec = pytest.mark.usefixtures("loaded")


@pytest.fixture(scope="module")
def loaded():
    try:
        require_torchcodec("these tests")
    except UnsupportedError as error:
        pytest.skip(str(error))


# What torchcodec itself gets wrong from its first frame on, or at its last; and which frames it is refused for.
STARTS_LATE = "mpeg-ts"
LACKS_THE_LAST = "mpeg4 avi"


@pytest.fixture(scope="module", params=[name for name in WRITERS if name not in (STARTS_LATE, LACKS_THE_LAST)])
def video(request, tmp_path_factory):
    return WRITERS[request.param](tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def mp4(tmp_path_factory):
    return write_indexed(tmp_path_factory.mktemp("mp4") / "plain.mp4")


@needs_torchcodec
def test_every_index_in_random_order(video):
    order = np.random.default_rng(1).permutation(np.repeat(np.arange(TOTAL), 2))
    frames, expected = read_frames(video, order, decoder="torchcodec"), read_frames(video, order)
    assert [read_index(image) for image in frames.data] == order.tolist()
    assert np.abs(frames.data.astype(int) - expected.data).max() <= TOLERANCE
    np.testing.assert_array_equal(frames.timestamps, expected.timestamps)
    assert (frames.decoder, expected.decoder) == ("torchcodec", "pyav")


@needs_torchcodec
@pytest.mark.parametrize("wanted", [[0], [TOTAL - 1], [25, 13], [11, 12]])
def test_few_frames(video, wanted):
    frames = read_frames(video, np.array(wanted), decoder="torchcodec")
    assert [read_index(image) for image in frames.data] == wanted


@needs_torchcodec
def test_where_it_begins_in_the_middle(tmp_path, monkeypatch):
    path = WRITERS[STARTS_LATE](tmp_path)
    with pytest.raises(DataError, match=r"torchcodec has frame 7 at [\d.]+ s, PyAV at [\d.]+ s"):
        read_frames(path, np.array([7]), decoder="torchcodec")
    monkeypatch.setattr(pyav, "_codec_context", lambda stream: None)
    with pytest.raises(DataError, match="torchcodec"):
        read_frames(path, np.array([7]), decoder="torchcodec")


@needs_torchcodec
def test_where_it_lacks_the_last_frame(tmp_path, monkeypatch):
    path = WRITERS[LACKS_THE_LAST](tmp_path)
    order = np.random.default_rng(1).permutation(TOTAL - 1)
    assert [read_index(image) for image in read_frames(path, order, decoder="torchcodec").data] == order.tolist()
    with pytest.raises(DataError, match=f"torchcodec fails at frame {TOTAL - 1}: Requested next frame while"):
        read_frames(path, np.array([TOTAL - 1]), decoder="torchcodec")
    monkeypatch.setattr(pyav, "_codec_context", lambda stream: None)
    with pytest.raises(DataError, match="torchcodec fails at frame"):
        read_frames(path, np.array([7]), decoder="torchcodec")


@needs_torchcodec
@pytest.mark.parametrize(("matrix", "turns"), MATRICES)
def test_rotation_is_applied(tmp_path, matrix, turns):
    path = write_indexed(tmp_path / "turned.mp4", total=3)
    upright = read_frames(path, np.arange(3)).data
    turn(path, matrix)
    turned = read_frames(path, np.arange(3), decoder="torchcodec").data
    expected = np.rot90(upright, turns, axes=(1, 2))
    assert turned.shape == expected.shape
    assert np.abs(turned.astype(int) - expected).max() <= TOLERANCE


@needs_torchcodec
def test_what_it_conceals_is_refused_all_the_same(tmp_path):
    from torchcodec.decoders import VideoDecoder

    texture = np.random.default_rng(0).integers(0, 256, (TOTAL, HEIGHT, WIDTH, 3), dtype=np.uint8)
    path = write_video(tmp_path / "noise.mp4", list(texture), g="250")
    whole = read_frames(path, np.arange(TOTAL)).data
    content = path.read_bytes()
    for seed in range(40):
        random = np.random.default_rng(seed)
        start = random.integers(2000, len(content) - 20_000)
        path.write_bytes(content[:start] + (noise := random.bytes(30)) + content[start + len(noise) :])
        try:
            read_frames(path, np.arange(TOTAL))
        except DataError as error:
            if "is damaged" in str(error):
                break
    alone = VideoDecoder(str(path), dimension_order="NHWC").get_frames_in_range(0, TOTAL).data.numpy()
    assert np.abs(alone.astype(int) - whole).max() > 50  # without a word
    with pytest.raises(DataError, match=r"noise.mp4: frame \d+ is damaged"):
        read_frames(path, np.arange(TOTAL), decoder="torchcodec")


@needs_torchcodec
@pytest.mark.parametrize("name", ["index-last.mp4", "h264.mkv"])
def test_cut_short(tmp_path, name):
    path = write_indexed(tmp_path / name)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    with pytest.raises(DataError, match="the file is cut short"):
        read_frames(path, np.array([0]), decoder="torchcodec")


@needs_torchcodec
def test_index_past_the_end(mp4):
    with pytest.raises(DataError, match=f"frame {TOTAL} was asked for, {TOTAL} frames decode"):
        read_frames(mp4, np.array([3, TOTAL]), decoder="torchcodec")


@needs_torchcodec
def test_a_stream_that_it_cannot_go_back_in(mp4, tmp_path):
    raw = join_sizes(mp4, tmp_path)  # whose frame size changes, too
    with pytest.raises(DataError, match=r"joined.h264: torchcodec cannot open it: Could not seek file"):
        read_frames(raw, np.array([0]), decoder="torchcodec")
    with pytest.raises(DataError, match=r"joined.h264: torchcodec cannot open it: Could not seek file"):
        read_frames(raw, np.array([0, TOTAL + 2]), decoder="torchcodec")


class Forgetful:
    """A sink that counts how many of the images that it got are still held by somebody."""

    def __init__(self):
        self.images, self.most, self.ticks = [], 0, 0

    def add(self, index, image):
        self.images.append(weakref.ref(image))
        self.most = max(self.most, sum(held() is not None for held in self.images))

    def clear(self):
        raise AssertionError("nothing was chosen by wrong times")

    def tick(self):
        self.ticks += 1


@needs_torchcodec
def test_no_frame_is_kept(video):
    sink = Forgetful()
    decode_clip(video, lambda times: np.arange(len(times)), sink, decoder="torchcodec")
    assert len(sink.images) == TOTAL
    assert sink.most == 1
    assert sink.ticks >= 2 * TOTAL  # PyAV's and its own


@needs_torchcodec
def test_a_file_that_pyav_lacks_the_codec_of(video, monkeypatch):
    sampling = read_sampling("fps:4")
    expected = read_clip(video, sampling.rows)
    monkeypatch.setattr(pyav, "_codec_context", lambda stream: None)
    with pytest.raises(UnsupportedError, match="the codec of its video stream is not known here"):
        read_clip(video, sampling.rows, decoder="pyav")
    for decoder in ("torchcodec", "auto"):
        frames = read_clip(video, sampling.rows, decoder=decoder)
        assert [read_index(image) for image in frames.data] == expected.indices.tolist()
        np.testing.assert_allclose(frames.timestamps, expected.timestamps, rtol=0, atol=1e-9)
        assert frames.decoder == "torchcodec"
    with pytest.raises(DataError, match=f"frame {TOTAL} was asked for, {TOTAL} frames decode"):
        read_frames(video, np.array([TOTAL]))


@needs_torchcodec
def test_a_file_that_pyav_lacks_the_container_of(mp4, monkeypatch):
    def lack(path):
        raise UnsupportedError(f"{path}: not a video")

    monkeypatch.setattr(pyav, "open_video", lack)
    frames = read_frames(mp4, np.array([50, 2, 50]))
    assert [read_index(image) for image in frames.data] == [50, 2, 50]
    assert frames.decoder == "torchcodec"


@needs_torchcodec
def test_what_it_cannot_open_itself(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("not a video\n" * 300)
    for decoder in ("torchcodec", "auto"):
        with pytest.raises(DataError, match=r"text.mp4: not a video \(Invalid data"):
            read_frames(path, np.array([0]), decoder=decoder)


@needs_torchcodec
def test_its_version():
    assert re.fullmatch(r"torchcodec \d+\.\d+.*", decoder_versions(decoder="torchcodec"))


# --- where it cannot be loaded -------------------------------------------------------------------------------

NO_FFMPEG = "torchcodec finds no FFmpeg: it needs the shared libraries of FFmpeg 4 to 9"


def refuse(path, reason):
    with pytest.raises(UnsupportedError, match=f"^{re.escape(str(path))}: {reason}") as caught:
        read_frames(path, np.array([0]), decoder="torchcodec")
    assert "\n" not in str(caught.value)
    with pytest.raises(UnsupportedError, match=f"^--decoder torchcodec: {reason}"):
        decoder_versions(decoder="torchcodec")
    assert read_index(read_frames(path, np.array([7])).data[0]) == 7


def test_not_installed(mp4, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    refuse(mp4, "torchcodec is not installed")


def test_without_ffmpeg(mp4, monkeypatch):
    stand_in = types.ModuleType("torchcodec")
    stand_in.ffmpeg_major_version = None  # as it is where the real one was imported without
    monkeypatch.setitem(sys.modules, "torchcodec", stand_in)
    refuse(mp4, NO_FFMPEG)


def test_older_ones_fail_while_they_are_imported(mp4, monkeypatch, tmp_path):
    (tmp_path / "torchcodec").mkdir()
    (tmp_path / "torchcodec" / "__init__.py").write_text("raise RuntimeError('Could not load libtorchcodec.\\nLikely')")
    monkeypatch.delitem(sys.modules, "torchcodec", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    refuse(mp4, NO_FFMPEG)


def test_the_real_one_without_ffmpeg(mp4):
    if not find_spec("torchcodec"):
        pytest.skip("torchcodec is not installed")
    try:
        require_torchcodec("here")
    except UnsupportedError:
        refuse(mp4, NO_FFMPEG)
    else:
        pytest.skip("torchcodec finds FFmpeg here")


@pytest.mark.slow
def test_with_the_libraries_of_pyav(tmp_path):
    if not find_spec("torchcodec"):
        pytest.skip("torchcodec is not installed")
    libraries = Path(av.__file__).parents[1] / "av.libs"
    found = [re.fullmatch(r"(lib\w+)-[0-9a-f]+(\.so\.\d+)[.\d]*", path.name) for path in libraries.glob("lib*")]
    names = {f"{match[1]}{match[2]}": libraries / match[0] for match in found if match}
    if not any(name.startswith("libavcodec.so") for name in names):
        pytest.skip(f"this build of PyAV brings no FFmpeg of its own in {libraries}")
    if os.environ.get("LD_LIBRARY_PATH", "").startswith(os.environ.get("FRAMEBANK_FFMPEG", "\0")):
        pytest.skip("this is the process with the libraries of PyAV")
    for name, path in names.items():
        (tmp_path / name).symlink_to(path)
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": f"{tmp_path}:{libraries}",
        "FRAMEBANK_FFMPEG": str(tmp_path),
        "OMP_NUM_THREADS": "1",
    }
    files = [str(Path(__file__)), str(Path(__file__).with_name("test_decode_table.py"))]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-k",
        "torchcodec",
        *files,
    ]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "finds no FFmpeg" not in run.stdout, run.stdout
