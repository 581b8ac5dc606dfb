"""Whole files are read, whatever their headers promise; files that lack a part are named, in every container."""

import struct

import av
import numpy as np
import pytest

from framebank.extract.containers.structure import read_structure
from framebank.extract.decoders.decode import count_frames, read_clip, read_frames
from framebank.extract.sampling import read_sampling
from framebank.store.errors import DataError
from framebank.tests.worlds.decode import DATA, needs_data
from framebank.tests.worlds.video import TOTAL, Pipe, draw_index, read_index, write_indexed, write_video

REPORTS = DATA / "reports"
EVERY = read_sampling("every").rows

# name -> encoder, its options, containers that hold it
CODECS = {
    "h264": ("libx264", {"bf": "0"}, ("mp4", "mkv", "avi", "ts", "mov")),
    "h264 with B-frames": ("libx264", {}, ("mp4", "mkv", "avi", "ts", "mov")),
    "mpeg4": ("mpeg4", {"g": "12"}, ("mp4", "mkv", "avi", "ts")),
    "mpeg4 with B-frames": ("mpeg4", {"g": "12", "bf": "2"}, ("mp4", "mkv", "avi", "ts")),
    "vp9": ("libvpx-vp9", {"g": "12", "deadline": "realtime", "cpu-used": "8"}, ("mp4", "mkv", "webm")),
    "av1": ("libsvtav1", {"preset": "12", "svtav1-params": "keyint=12:lp=1"}, ("mp4", "mkv", "webm")),
}


@pytest.mark.parametrize("total", [1, 2, 5, 50])
@pytest.mark.parametrize("codec", CODECS)
def test_the_same_stream_in_any_container(tmp_path, codec, total):
    encoder, options, containers = CODECS[codec]
    for suffix in containers:
        path = write_indexed(tmp_path / f"v.{suffix}", total=total, codec=encoder, **options)
        frames = read_clip(path, EVERY)
        assert [read_index(image) for image in frames.data] == list(range(total)), suffix
        np.testing.assert_allclose(frames.timestamps, np.arange(total) / 25, atol=1e-3, err_msg=suffix)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "ts"])
@pytest.mark.parametrize(
    "pts",
    [[0], [0, 40], [1000 * index for index in range(7)], [0, 40, 80, 9000], [0, 40, 500, 540, 2000]],
    ids=["one", "two", "slides", "held", "varying"],
)
def test_few_frames_and_long_ones(tmp_path, suffix, pts):
    options = {"codec": "libvpx", "deadline": "realtime"} if suffix == "webm" else {"bf": "0"}
    path = write_indexed(tmp_path / f"few.{suffix}", total=len(pts), pts=pts, **options)
    frames = read_clip(path, EVERY)
    assert [read_index(image) for image in frames.data] == list(range(len(pts)))
    np.testing.assert_allclose(frames.timestamps, np.array(pts) / 1000, atol=1e-3)


def test_a_last_frame_that_is_held(tmp_path):
    """Its packet lasts for half of the file: the last frame begins long before the end that the tags tell."""
    path = write_indexed(tmp_path / "held.mp4", total=10, bf="0")
    held = tmp_path / "held.mkv"
    with av.open(str(path)) as source, av.open(str(held), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet in packets:
            packet.duration = packet.duration * (20 if packet is packets[-1] else 1)
            packet.stream = stream
            target.mux(packet)
    assert count_frames(held) == 10


def test_a_stale_duration_tag(tmp_path):
    path = write_indexed(tmp_path / "v.mkv")
    content = path.read_bytes()
    told = b"00:00:02.400000000"
    assert content.count(told) == 1
    path.write_bytes(content.replace(told, b"00:10:02.400000000"))
    assert count_frames(path) == TOTAL


# --- AVI: empty chunks ---------------------------------------------------------------------------------------


def write_avi_with_repeats(path, *, index):
    """Write an AVI file in which each frame is followed by an empty chunk, which repeats it."""
    with av.open(str(write_indexed(path.with_name("plain.avi"), codec="mpeg4", g="12"))) as source:
        packets = [bytes(packet) for packet in source.demux(video=0) if packet.size]
    content = path.with_name("plain.avi").read_bytes()
    movi = content.index(b"movi")
    head = bytearray(content[: movi + 4])
    for place in (head.index(b"avih") + 8 + 16, head.index(b"strh") + 8 + 32):
        head[place : place + 4] = struct.pack("<I", 2 * len(packets))
    body, entries = b"", b""
    for packet in packets:
        for data in (packet, b""):
            entries += b"00dc" + struct.pack("<III", 16 if data else 0, 4 + len(body), len(data))
            body += b"00dc" + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    head[movi - 4 : movi] = struct.pack("<I", 4 + len(body))
    whole = bytes(head) + body + (b"idx1" + struct.pack("<I", len(entries)) + entries if index else b"")
    path.write_bytes(whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:])
    return path


@pytest.mark.parametrize("index", [True, False])
def test_empty_chunks_repeat_a_frame(tmp_path, index):
    path = write_avi_with_repeats(tmp_path / "repeats.avi", index=index)
    frames = read_clip(path, EVERY)
    assert [read_index(image) for image in frames.data] == list(range(TOTAL))
    np.testing.assert_allclose(frames.timestamps, 2 * np.arange(TOTAL) / 25)
    assert read_structure(path).empty == {0: TOTAL}
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    with pytest.raises(DataError, match="the file is cut short"):
        read_clip(path, EVERY)


# --- mp4: boxes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [{}, {"movflags": "faststart"}, {"movflags": "frag_keyframe+empty_moov"}])
@pytest.mark.parametrize(
    "tail", [b"TAGartist and title of the song" + bytes(14), b"\xff" * 100, bytes(64), b"ID3\x04", b"\0\0\x20\0wxyz"]
)
def test_what_lies_behind_the_last_box_is_no_loss(tmp_path, header, tail):
    path = write_indexed(tmp_path / "tag.mp4", header=header)
    path.write_bytes(path.read_bytes() + tail)
    assert read_structure(path).missing == 0
    assert count_frames(path) == TOTAL


def test_a_cut_file_whose_box_reaches_to_the_end(tmp_path):
    """A length of 0 means up to the end of the file, wherever that is: the index tells where the frames are."""
    path = write_indexed(tmp_path / "open.mp4", header={"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    place = content.index(b"mdat") - 4
    content[place : place + 4] = bytes(4)
    path.write_bytes(content)
    assert count_frames(path) == TOTAL
    path.write_bytes(content[: int(0.8 * len(content))])
    with pytest.raises(DataError, match=rf"the file is cut short: \d+ of at least \d+ bytes are there, \d+ of {TOTAL}"):
        count_frames(path)


def test_without_its_index(tmp_path):
    path = write_indexed(tmp_path / "recording.mp4")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])
    with pytest.raises(DataError, match=r"its index \(the box moov\) is missing, as where a recording was broken off"):
        count_frames(path)


# --- Matroska: elements --------------------------------------------------------------------------------------


def write_matroska(path, **options):
    """Write a video of several clusters, its index behind them."""
    texture = np.random.default_rng(0).integers(100, 160, (TOTAL, 64, 160, 3), dtype=np.uint8)
    return write_video(path, list(texture), header={"cluster_time_limit": "400", **options})


def clusters(content):
    places, place = [], content.find(b"\x1f\x43\xb6\x75")
    while place >= 0:
        places.append(place)
        place = content.find(b"\x1f\x43\xb6\x75", place + 4)
    return places


@pytest.mark.parametrize("live", ["0", "1"])
def test_a_whole_matroska_file(tmp_path, live):
    path = write_matroska(tmp_path / "whole.mkv", live=live)
    assert len(clusters(path.read_bytes())) > 3
    assert count_frames(path) == TOTAL
    path.write_bytes(path.read_bytes() + b"TAG of a player, which is no element")
    assert count_frames(path) == TOTAL


@pytest.mark.parametrize("live", ["0", "1"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_a_cut_matroska_file(tmp_path, live, share):
    path = write_matroska(tmp_path / "cut.mkv", live=live)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"the file is cut short: \d+ of at least \d+ bytes are there"):
        count_frames(path)


@pytest.mark.parametrize("live", ["0", "1"])
def test_noise_in_the_place_of_a_cluster(tmp_path, live):
    path = write_matroska(tmp_path / "noise.mkv", live=live)
    content = bytearray(path.read_bytes())
    _, first, second, *_ = clusters(bytes(content))
    content[first : second - 100] = np.random.default_rng(1).bytes(second - 100 - first)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a part of the video is lost: what stands at byte \d+ of \d+ is damaged"):
        count_frames(path)


def test_a_cluster_that_is_not_there(tmp_path):
    """The segment's length is made to fit, so that the index alone tells."""
    path = write_matroska(tmp_path / "gone.mkv")
    content = path.read_bytes()
    _, first, second, *_ = clusters(content)
    segment = content.index(b"\x18\x53\x80\x67") + 4
    length = int.from_bytes(content[segment : segment + 8]) - (second - first)
    content = content[:segment] + length.to_bytes(8) + content[segment + 8 : first] + content[second:]
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"a part of the video is lost: its index names \d+ of \d+ clusters that are not"
    ):
        count_frames(path)


def test_an_end_that_never_arrived(tmp_path):
    path = write_matroska(tmp_path / "zeros.mkv")
    content = path.read_bytes()
    there = clusters(content)[3]
    path.write_bytes(content[:there] + bytes(len(content) - there))
    with pytest.raises(DataError, match="a part of the video is lost: what stands at byte"):
        count_frames(path)


# --- other containers ----------------------------------------------------------------------------------------


def test_a_cut_transport_stream(tmp_path):
    path = write_indexed(tmp_path / "v.ts")
    content = path.read_bytes()
    path.write_bytes(content[: 188 * 40])  # as a recording ends
    assert len(read_frames(path, np.array([0]))) > 0
    path.write_bytes(content[: 188 * 40 + 100])
    with pytest.raises(DataError, match=rf"the file is cut short: {188 * 40 + 100} of at least {188 * 41} bytes"):
        read_frames(path, np.array([0]))


def test_a_cut_flash_video(tmp_path):
    path = write_indexed(tmp_path / "v.flv")
    assert count_frames(path) == TOTAL
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    with pytest.raises(DataError, match="the file is cut short"):
        count_frames(path)
    path.write_bytes(content[: len(content) // 2] + content[len(content) // 2 + 700 :])
    with pytest.raises(DataError, match="a part of the video is lost"):
        count_frames(path)


# --- files that others made ----------------------------------------------------------------------------------

WHOLE = {
    "short1.mkv": [0.0],
    "short5.mkv": [0.0, 0.04, 0.08, 0.12, 0.16],
    "stale_duration_tag.mkv": [index / 25 for index in range(100)],
    "dropped_half.avi": [2 * index / 25 for index in range(50)],
    "fragmented_with_tag.mp4": [index / 25 for index in range(50)],
    "anim.gif": [index / 10 for index in range(10)],
    "anim.webp": [index / 25 for index in range(50)],
}


@needs_data
@pytest.mark.parametrize("name", WHOLE)
def test_reported_files_that_are_whole(name):
    if not (REPORTS / name).exists():
        pytest.skip(f"{name} is not at {REPORTS}")
    frames = read_clip(REPORTS / name, EVERY)
    np.testing.assert_allclose(frames.timestamps, WHOLE[name], atol=1e-9)
    assert count_frames(REPORTS / name) == len(WHOLE[name])


def test_the_times_of_repeats_choose_the_frames(tmp_path):
    path = write_avi_with_repeats(tmp_path / "repeats.avi", index=True)
    frames = read_clip(path, read_sampling("fps:5").rows)  # every fifth slot; a repeat shows the frame before it
    assert frames.indices.tolist() == [slot // 2 for slot in range(0, 2 * TOTAL - 1, 5)]
    np.testing.assert_array_equal([read_index(image) for image in frames.data], frames.indices)
    assert draw_index(0).shape == frames.data.shape[1:]


# --- Lengths that a writer left open, and what stands behind or is cut -------------------------------------------


def write_piped_avi(tmp_path):
    """An AVI file as FFmpeg writes it behind a pipe: all lengths 0xFFFFFFFF, and 2^30 frames promised."""
    source = write_indexed(tmp_path / "v.avi", codec="mpeg4", g="12")
    pipe = Pipe()
    with av.open(str(source)) as given, av.open(pipe, "w", format="avi") as target:
        stream = target.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    path = tmp_path / "piped.avi"
    path.write_bytes(pipe.content)
    assert pipe.content[4:8] == b"\xff" * 4
    return path


@pytest.mark.parametrize("tail", [b"", b"x", bytes(3000), b"a note behind it\n" * 20])
def test_an_avi_file_from_a_pipe_is_whole(tmp_path, tail):
    path = write_piped_avi(tmp_path)
    path.write_bytes(path.read_bytes() + tail)
    assert count_frames(path) == TOTAL


def test_an_avi_file_from_a_pipe_that_lacks_a_part_is_named(tmp_path):
    path = write_piped_avi(tmp_path)
    content = path.read_bytes()
    middle = content.index(b"00dc", len(content) // 2) + 20
    path.write_bytes(content[:middle])
    with pytest.raises(DataError, match="is cut short") as told:
        count_frames(path)
    assert str(1 << 30) not in str(told.value)
    path.write_bytes(content[:middle] + content[middle + 50 :])
    with pytest.raises(DataError, match=r"is damaged|ends within"):
        count_frames(path)


@pytest.mark.parametrize("tail", [b"hello, this is a note\n" * 20, b"x", bytes(100)])
def test_what_stands_behind_a_flash_video(tmp_path, tail):
    path = write_indexed(tmp_path / "v.flv", codec="flv1")
    path.write_bytes(path.read_bytes() + tail)
    assert count_frames(path) == TOTAL


def test_an_index_that_is_cut_is_named(tmp_path):
    """The box moov at the end: a shorter list of places of frames is not all that there was."""
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:  # two streams, so that the frames do not lie behind each other
        streams = [container.add_stream("mpeg4", rate=25, width=64, height=48) for _ in range(2)]
        for index in range(TOTAL):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index, np.uint8), format="rgb24")
                frame.pts = index
                container.mux(stream.encode(frame.reformat(format="yuv420p")))
        for stream in streams:
            container.mux(stream.encode(None))
    assert count_frames(path) == TOTAL
    content = path.read_bytes()
    places = content.index(b"stco") + 12
    assert int.from_bytes(content[places - 4 : places]) > 20
    path.write_bytes(content[: places + 4 * 10])
    with pytest.raises(DataError, match="moov"):
        count_frames(path)


def test_a_hole_between_fragments_is_named(tmp_path):
    path = write_indexed(tmp_path / "v.mp4", header={"movflags": "empty_moov+frag_every_frame"})
    content = path.read_bytes()
    middle = content.index(b"moof", len(content) // 2) - 4
    path.write_bytes(content[:middle] + bytes(200) + content[middle + 200 :])
    with pytest.raises(DataError, match="is damaged"):
        count_frames(path)
