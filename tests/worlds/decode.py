"""A world of containers: the indexed video in each of them, and the real videos that decoders are tried on."""

import struct
from importlib.util import find_spec

import av
import numpy as np
import pytest

from framebank.tests.places import DATA
from framebank.tests.worlds.video import TOTAL, write_indexed, write_video

SAMPLES = sorted(DATA.glob("decoders/*.*"))

# What the display matrix of a file says, in quarter turns against the clock.
TURNS = {"video_90": -1, "video_180": 2, "video_270": 1}

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the sample videos are not at {DATA}")
needs_decord = pytest.mark.skipif(find_spec("decord") is None, reason="decord is not installed")


def irregular_times():
    return np.cumsum(np.random.default_rng(0).integers(5, 90, TOTAL)).tolist()


WRITERS = {
    "mp4 with B-frames": lambda folder: write_indexed(folder / "b.mp4"),
    "mp4 of one group of pictures": lambda folder: write_indexed(folder / "one.mp4", g="250"),
    "mp4 with open groups": lambda folder: write_indexed(
        folder / "open.mp4", **{"x264-params": "open-gop=1:keyint=12"}
    ),
    "mp4 with irregular times": lambda folder: write_indexed(folder / "vfr.mp4", pts=irregular_times()),
    "fragmented mp4": lambda folder: write_indexed(
        folder / "fragment.mp4", header={"movflags": "frag_keyframe+empty_moov"}
    ),
    "mov of hevc": lambda folder: write_indexed(
        folder / "hevc.mov", codec="libx265", **{"x265-params": "keyint=12:open-gop=0:log-level=none"}
    ),
    "mkv": lambda folder: write_indexed(folder / "h264.mkv"),
    "mkv that starts late": lambda folder: write_indexed(
        folder / "late.mkv", pts=[5000 + 40 * index for index in range(TOTAL)]
    ),
    "mpeg4 avi": lambda folder: write_indexed(folder / "mpeg4.avi", codec="mpeg4", g="12", bf="2"),
    "vp9 webm": lambda folder: write_indexed(
        folder / "vp9.webm", codec="libvpx-vp9", g="12", deadline="realtime", **{"cpu-used": "8"}
    ),
    "vp8 webm": lambda folder: write_indexed(
        folder / "vp8.webm", codec="libvpx", g="12", deadline="realtime", **{"auto-alt-ref": "1", "lag-in-frames": "16"}
    ),
    "mpeg-ts": lambda folder: write_indexed(folder / "h264.ts"),
}


def join_sizes(path, folder):
    """Give the bare H.264 stream of a video with five frames of 192x96 behind it."""
    parts = [path, write_video(folder / "wide.mp4", [np.zeros((96, 192, 3), np.uint8)] * 5)]
    joined = folder / "joined.h264"
    joined.write_bytes(b"".join(_bare_stream(part, folder / f"{n}.h264") for n, part in enumerate(parts)))
    return joined


def _bare_stream(path, out):
    """Give a video as one bare H.264 stream."""
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return out.read_bytes()


# Display matrices, and the quarter turns against the clock that they ask for.
MATRICES = [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)]


def turn(path, matrix):
    """Write a display matrix into an mp4 file."""
    a, b, c, d = (value << 16 for value in matrix)
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
