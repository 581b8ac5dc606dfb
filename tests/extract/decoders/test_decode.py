"""Frames of video files, exact to the index, by every decoder that is asked for by name."""

import re
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from framebank.extract.decoders import pyav
from framebank.extract.decoders.decode import count_frames, decode_clip, decoder_versions, read_clip, read_frames
from framebank.extract.decoders.frames import Clip, Frames, ImageSink
from framebank.extract.decoders.pyav import scan_packets
from framebank.extract.sampling import read_sampling, segment_indices
from framebank.store.errors import DataError
from framebank.tests.worlds.decode import MATRICES, WRITERS, irregular_times, join_sizes, needs_decord, turn
from framebank.tests.worlds.video import TOTAL, read_index, write_indexed, write_video


@pytest.fixture(scope="module", params=WRITERS)
def video(request, tmp_path_factory):
    return WRITERS[request.param](tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def mp4(tmp_path_factory):
    return write_indexed(tmp_path_factory.mktemp("mp4") / "plain.mp4")


def test_every_index_in_random_order(video):
    order = np.random.default_rng(1).permutation(np.repeat(np.arange(TOTAL), 2))
    frames = read_frames(video, order)
    assert [read_index(image) for image in frames.data] == order.tolist()
    assert frames.indices.tolist() == order.tolist()
    assert frames.decoder == "pyav"
    assert count_frames(video) == TOTAL


@pytest.mark.parametrize("wanted", [[0], [TOTAL - 1], [25, 13], [11, 12], [47, 48, 47]])
def test_few_frames(video, wanted):
    whole = read_frames(video, np.arange(TOTAL))
    few = read_frames(video, np.array(wanted))
    np.testing.assert_array_equal(few.data, whole.data[wanted])
    np.testing.assert_allclose(few.timestamps, whole.timestamps[wanted], rtol=0, atol=1e-9)


def test_times_start_at_the_first_frame(video):
    times = read_frames(video, np.arange(TOTAL)).timestamps
    expected = np.arange(TOTAL) / 25
    if video.stem == "vfr":
        expected = (np.array(irregular_times()) - irregular_times()[0]) / 1000
    np.testing.assert_allclose(times, expected, rtol=0, atol=1.1e-3)


@pytest.mark.parametrize(
    ("writer", "doubt"),
    [
        ("mp4 with B-frames", ""),
        ("mp4 with irregular times", ""),
        ("mkv that starts late", ""),
        ("mov of hevc", ""),
        ("mp4 with open groups", "may refer to earlier frames"),
        ("mpeg4 avi", "not known to be frames"),
        ("vp8 webm", "not known to be frames"),
        ("mpeg-ts", "not known to be frames"),
    ],
)
def test_where_random_access_is_proven(tmp_path, writer, doubt):
    found = scan_packets(WRITERS[writer](tmp_path)).doubt
    assert doubt in found
    assert bool(found) == bool(doubt)


def test_distant_frames_are_reached_from_key_frames(mp4, monkeypatch):
    decoded = []
    visits = pyav._decode_visits
    monkeypatch.setattr(pyav, "_decode_visits", lambda *a, **k: (decoded.append(p[0]) or p for p in visits(*a, **k)))
    frames = read_frames(mp4, np.array([50, 2]))
    assert [read_index(image) for image in frames.data] == [50, 2]
    assert decoded == [0, 1, 2, 48, 49, 50]


def test_a_wrong_landing_falls_back_to_the_start(mp4, monkeypatch):
    scan = pyav.scan_packets

    def scan_shifted(path, **_):
        packets = scan(path)
        return replace(packets, key_pts=packets.key_pts + packets.pts[1] - packets.pts[0])

    monkeypatch.setattr(pyav, "scan_packets", scan_shifted)
    assert [read_index(image) for image in read_frames(mp4, np.array([50, 2])).data] == [50, 2]


@needs_decord
def test_decord_gives_the_same_where_proven(video):
    if doubt := scan_packets(video).doubt:
        with pytest.raises(DataError, match=re.escape(f"decord is not proven right on this file: {doubt}")):
            read_clip(video, lambda times: segment_indices(len(times), 8), decoder="decord")
        return
    order = np.random.default_rng(1).permutation(TOTAL)
    frames = read_frames(video, order, decoder="decord")
    assert [read_index(image) for image in frames.data] == order.tolist()
    assert frames.decoder == "decord"
    np.testing.assert_allclose(frames.timestamps, read_frames(video, order).timestamps)


def test_a_clip_is_sampled_by_its_number_of_frames(video):
    frames = read_clip(video, lambda times: segment_indices(len(times), 8))
    assert [read_index(image) for image in frames.data] == segment_indices(TOTAL, 8).tolist()


@pytest.mark.parametrize("lie", [-7, 5, 40])
def test_a_wrong_estimate_is_sampled_again(mp4, monkeypatch, lie):
    scan = pyav.scan_packets
    monkeypatch.setattr(
        pyav, "scan_packets", lambda path, **_: replace(scan(path), count=TOTAL + lie, pts=np.arange(0), doubt="a lie")
    )
    asked = []
    frames = read_clip(mp4, lambda times: asked.append(len(times)) or segment_indices(len(times), 8))
    assert asked == [TOTAL + lie, TOTAL]
    assert [read_index(image) for image in frames.data] == segment_indices(TOTAL, 8).tolist()


class Recorder:
    """A sink that writes down what happens to it."""

    def __init__(self):
        self.seen, self.kept, self.clears, self.ticks = [], [], 0, 0

    def add(self, index, image):
        self.seen.append(read_index(image))
        self.kept.append(index)

    def clear(self):
        self.seen, self.kept, self.clears = [], [], self.clears + 1

    def tick(self):
        self.ticks += 1


def test_a_sink_gets_each_wanted_frame_once_ascending(video):
    sink = Recorder()
    rows = np.array([40, 3, 40, 59, 0, 3])
    clip = decode_clip(video, lambda times: rows, sink)
    assert sink.kept == sink.seen == [0, 3, 40, 59]
    assert clip.indices.tolist() == rows.tolist()
    np.testing.assert_array_equal(clip.timestamps, read_frames(video, rows).timestamps)
    assert sink.ticks >= TOTAL  # at least one for each packet


def test_the_sample_gets_the_times_of_all_frames(video):
    asked = []
    clip = decode_clip(video, lambda times: asked.append(times) or np.arange(len(times)), Recorder())
    np.testing.assert_allclose(asked[-1], clip.timestamps, rtol=0, atol=1e-9)
    assert len(asked[-1]) == TOTAL


@pytest.mark.parametrize("first", [0, 67])
def test_a_rate_on_whole_milliseconds(tmp_path, first):
    path = write_indexed(tmp_path / "rounded.mkv", pts=[first + round(1000 * index / 30) for index in range(TOTAL)])
    frames = read_clip(path, read_sampling("fps:3").rows)
    assert [read_index(image) for image in frames.data] == [0, 10, 20, 30, 40, 50]
    assert frames.timestamps[2] == pytest.approx(0.667)


def test_rows_by_time_where_the_rate_varies(tmp_path):
    path = WRITERS["mp4 with irregular times"](tmp_path)
    times = (np.array(irregular_times()) - irregular_times()[0]) / 1000
    sampling = read_sampling("fps:4")
    sink = Recorder()
    decode_clip(path, lambda told: sampling(told, start=0.5, end=2)[0], sink)
    assert sink.seen == sampling(times, start=0.5, end=2)[0].tolist()
    assert sink.seen != sampling(np.arange(TOTAL) * times[-1] / (TOTAL - 1), start=0.5, end=2)[0].tolist()


@pytest.mark.parametrize("count", [TOTAL - 30, TOTAL])
def test_wrong_times_are_sampled_again(mp4, monkeypatch, count):
    scan = pyav.scan_packets
    monkeypatch.setattr(
        pyav,
        "scan_packets",
        lambda path, **_: replace(scan(path), count=count, rate=Fraction(10), pts=np.arange(0), doubt="a lie"),
    )
    sink = Recorder()
    sampling = read_sampling("fps:2")
    clip = decode_clip(mp4, lambda times: sampling(times)[0], sink)
    assert sink.seen == clip.indices.tolist() == [0, 12, 25, 37, 50]
    assert sink.clears == 1
    # what the guess does not hold the video may hold, and the other way round
    late = Recorder()
    decode_clip(mp4, lambda times: sampling(times, start=2.2)[0], late)
    assert late.seen == [55]
    with pytest.raises(DataError, match="no frame from 3 s"):
        decode_clip(mp4, lambda times: sampling(times, start=3)[0], late)


def test_a_failed_visit_clears_the_sink(mp4, monkeypatch):
    visits = pyav._decode_visits

    def fail_late(*args, **options):
        for index, frame in visits(*args, **options):
            if index == 50:
                raise pyav._UnexpectedFrameError
            yield index, frame

    monkeypatch.setattr(pyav, "_decode_visits", fail_late)
    sink = Recorder()
    decode_clip(mp4, lambda times: np.array([2, 50]), sink)
    assert sink.clears == 1
    assert sink.seen == [2, 50]


def test_the_frame_size_may_change(mp4, tmp_path):
    raw = join_sizes(mp4, tmp_path)
    sink = ImageSink()
    decode_clip(raw, lambda times: np.array([TOTAL + 2, 0]), sink)
    assert {index: image.shape for index, image in sink.images.items()} == {0: (64, 160, 3), TOTAL + 2: (96, 192, 3)}
    # one array takes the size of the earliest frame
    assert read_frames(raw, np.array([TOTAL + 2, 0])).data.shape == (2, 64, 160, 3)
    assert read_frames(raw, np.array([TOTAL + 2])).data.shape == (1, 96, 192, 3)


def test_an_unknown_codec_is_refused(mp4, tmp_path):
    (tmp_path / "v.mp4").write_bytes(mp4.read_bytes().replace(b"avc1", b"evc1"))
    with pytest.raises(DataError, match=r"v\.mp4: the codec of its video stream is not known here"):
        read_frames(tmp_path / "v.mp4", np.array([0]))


@pytest.mark.parametrize("told", [TOTAL - 20, TOTAL + 2])
def test_an_avi_header_may_lie(tmp_path, told):
    path = write_indexed(tmp_path / "lie.avi", codec="mpeg4")
    content = bytearray(path.read_bytes())
    content[(place := content.index(b"avih") + 8 + 16) : place + 4] = struct.pack("<I", told)
    content[(place := content.index(b"strh") + 8 + 32) : place + 4] = struct.pack("<I", told)
    path.write_bytes(content)
    assert count_frames(path) == TOTAL
    assert read_index(read_frames(path, np.array([TOTAL - 1])).data[0]) == TOTAL - 1


@pytest.mark.parametrize("tagged", [{}, {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}])
def test_red_is_red(tmp_path, tagged):
    red = np.zeros((720, 1280, 3), dtype=np.uint8)
    red[..., 0] = 220
    path = write_video(tmp_path / "red.mp4", [red] * 3, **tagged)
    np.testing.assert_allclose(read_frames(path, np.array([1])).data.mean(axis=(0, 1, 2)), [220, 0, 0], atol=12)


@pytest.mark.parametrize(("matrix", "turns"), MATRICES)
def test_rotation_is_applied(tmp_path, matrix, turns):
    path = write_indexed(tmp_path / "turned.mp4", total=3)
    upright = read_frames(path, np.arange(3)).data
    turn(path, matrix)
    turned = read_frames(path, np.arange(3)).data
    np.testing.assert_array_equal(turned, np.rot90(upright, turns, axes=(1, 2)))
    sink = ImageSink()
    decode_clip(path, lambda times: np.arange(len(times)), sink)
    assert all(image.flags.c_contiguous for image in sink.images.values())  # torch takes no negative strides


def test_a_clip_checks_itself():
    clip = Clip(indices=np.arange(2), timestamps=np.zeros(2), decoder="pyav")
    assert repr(clip) == "Clip(indices=(2,), timestamps=(2,), decoder='pyav')"
    for change in ({"timestamps": np.zeros(3)}, {"timestamps": np.zeros(2, np.float32)}, {"indices": np.zeros(2)}):
        with pytest.raises(ValueError, match=next(iter(change))):
            replace(clip, **change)


def test_frames_check_themselves():
    data, times, indices = np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2), np.arange(2)
    frames = Frames(data=data, timestamps=times, indices=indices, decoder="pyav")
    assert repr(frames) == "Frames(data=(2, 4, 4, 3), timestamps=(2,), indices=(2,), decoder='pyav')"
    assert len(frames) == 2
    for change in ({"data": data[..., 0]}, {"timestamps": times[:1]}, {"indices": indices.astype(np.int32)}):
        with pytest.raises(ValueError, match=next(iter(change))):
            replace(frames, **change)


def test_unknown_decoder(mp4):
    with pytest.raises(DataError, match="'opencv' is not a decoder; expected one of auto, pyav, torchcodec, decord"):
        read_frames(mp4, np.array([0]), decoder="opencv")


def test_without_decord(mp4, monkeypatch):
    monkeypatch.setitem(sys.modules, "decord", None)
    assert len(read_frames(mp4, np.array([0]))) == 1
    with pytest.raises(DataError, match="decord is not installed"):
        read_frames(mp4, np.array([0]), decoder="decord")


def test_versions():
    assert decoder_versions() == decoder_versions(decoder="pyav") == f"pyav {av.__version__}"


@pytest.mark.parametrize("indices", [[], [-1], [[0]], [0.5]])
def test_indices_that_are_none(mp4, indices):
    with pytest.raises(ValueError, match="indices must be"):
        read_frames(mp4, np.array(indices))


def test_threads_side_by_side(mp4, tmp_path):
    paths = [mp4, write_indexed(tmp_path / "a.avi", codec="mpeg4"), write_indexed(tmp_path / "a.mkv")] * 8
    with ThreadPoolExecutor(4) as pool:
        clips = list(pool.map(lambda path: read_clip(path, lambda times: segment_indices(len(times), 16)), paths))
    for clip in clips:
        assert [read_index(image) for image in clip.data] == segment_indices(TOTAL, 16).tolist()


@pytest.mark.parametrize("decoder", ["pyav", pytest.param("decord", marks=needs_decord)])
def test_index_past_the_end(mp4, decoder):
    with pytest.raises(DataError, match=f"frame {TOTAL} was asked for, {TOTAL} frames decode"):
        read_frames(mp4, np.array([3, TOTAL]), decoder=decoder)
