"""The shape of pixels, the stream that is read, fields, damage left out, and the limit of pixels a frame."""

import re
from fractions import Fraction

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition

from framebank.extract.decoders import pixels
from framebank.extract.decoders.decode import count_frames, decode_clip, read_clip, read_frames
from framebank.extract.decoders.frames import ImageSink, UnsupportedError
from framebank.extract.decoders.pixels import LARGEST_FRAME, Reading, read_pixels, reading_for, refuse_large, to_square
from framebank.extract.decoders.pyav import scan_packets
from framebank.extract.decoders.torchcodec import require_torchcodec
from framebank.extract.sampling import read_sampling
from framebank.store.errors import DataError
from framebank.tests.worlds.decode import DATA, MATRICES, needs_decord, turn
from framebank.tests.worlds.video import draw_index, read_index, write_indexed, write_video

REPORTS = DATA / "reports"
EVERY = read_sampling("every").rows


def has_torchcodec():
    try:
        require_torchcodec("here")
    except UnsupportedError:
        return False
    return True


needs_torchcodec = pytest.mark.skipif(not has_torchcodec(), reason="torchcodec cannot be loaded here")
DECODERS = [
    "pyav",
    pytest.param("torchcodec", marks=needs_torchcodec),
    pytest.param("decord", marks=needs_decord),
]


def disc(width, height):
    """A red disc on grey, as wide as three quarters of the picture."""
    down, across = np.mgrid[0:height, 0:width]
    inside = (down / height - 0.5) ** 2 + (across / width - 0.5) ** 2 < 0.375**2
    return np.where(inside[..., None], [200, 30, 30], [90, 90, 90]).astype(np.uint8)


def write_aspect(path, image, aspect, *, total=5):
    """Write a video whose pixels are `aspect` times as wide as high."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for index in range(total):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(1, 2), Fraction(16, 15), Fraction(64, 45)])
def test_frames_are_brought_to_square_pixels(tmp_path, aspect, decoder):
    width, height = 240, 240
    path = write_aspect(tmp_path / "v.mp4", disc(int(width / aspect) // 2 * 2, height), aspect)
    image = read_frames(path, np.array([2]), decoder=decoder).data[0]
    assert image.shape == (height, int(int(width / aspect) // 2 * 2 * aspect), 3)
    assert np.abs(image.astype(int) - disc(image.shape[1], height)).mean() < 4
    coded = read_frames(path, np.array([2]), decoder=decoder, reading=Reading(square=False)).data[0]
    assert coded.shape[1] == int(width / aspect) // 2 * 2


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts", "mov"])
def test_any_container_tells_the_aspect(tmp_path, suffix):
    path = write_aspect(tmp_path / f"v.{suffix}", disc(120, 240), Fraction(2))
    assert read_frames(path, np.array([0])).data.shape == (1, 240, 240, 3)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(("matrix", "turns"), MATRICES)
def test_the_aspect_is_that_of_the_frame_before_it_is_turned(tmp_path, matrix, turns, decoder):
    path = write_aspect(tmp_path / "v.mp4", disc(120, 200), Fraction(2))
    turn(path, matrix)
    image = read_frames(path, np.array([1]), decoder=decoder).data[0]
    assert image.shape == ((240, 200, 3) if turns % 2 else (200, 240, 3))


def test_an_aspect_that_changes_within_the_stream(tmp_path):
    parts = [write_aspect(tmp_path / f"{n}.mp4", disc(120, 96), Fraction(n), total=10) for n in (1, 2)]
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(bare_stream(part) for part in parts))
    sink = ImageSink()
    decode_clip(joined, EVERY, sink)
    assert [sink.images[index].shape[1] for index in range(20)] == [120] * 10 + [240] * 10


def bare_stream(path):
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        bare = BitStreamFilterContext("h264_mp4toannexb", stream)
        packets = [out for packet in source.demux(stream) if packet.size for out in bare.filter(packet)]
        return b"".join(bytes(packet) for packet in packets)


def test_frames_that_would_be_too_large(tmp_path, monkeypatch):
    path = write_aspect(tmp_path / "v.mp4", disc(120, 240), Fraction(2))
    monkeypatch.setattr(pixels, "LARGEST_FRAME", 240 * 240 - 1)
    with pytest.raises(DataError, match=r"v\.mp4: its frames are 240x240, 57600 pixels; at most 57599 are read"):
        read_frames(path, np.array([0]))
    monkeypatch.setattr(pixels, "LARGEST_FRAME", 120 * 240 - 1)
    with pytest.raises(DataError, match=r"v\.mp4: its frames are 120x240"):
        read_frames(path, np.array([0]), reading=Reading(square=False))
    refuse_large(path, width=100, height=10)
    assert LARGEST_FRAME >= 15360 * 8640  # which is the largest that cameras write


def test_to_square_rounds_as_ffmpeg():
    image = np.zeros((8, 11, 3), np.uint8)
    assert to_square(image, Fraction(4, 3), path="v").shape == (8, 14, 3)  # 14.67
    assert to_square(image, Fraction(4, 3), path="v", turned=True).shape == (10, 11, 3)
    assert to_square(image, Fraction(1, 100), path="v").shape == (8, 1, 3)
    assert to_square(image, Fraction(1), path="v") is image


# --- the spec ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["square", "coded", "square+deinterlaced", "coded+deinterlaced"])
def test_a_spec_names_a_reading(text):
    assert read_pixels(text).pixels == text


@pytest.mark.parametrize("text", ["", "round", "square+", "square+sharpened", "deinterlaced"])
def test_pixels_that_are_not_known(text):
    if text == "square+":
        assert read_pixels(text).pixels == "square"
        return
    with pytest.raises(DataError, match=re.escape(f"the pixels {text!r} are not known; expected square or coded")):
        read_pixels(text)


def test_a_store_keeps_its_reading():
    assert reading_for("") == Reading()
    assert reading_for("coded") == Reading(square=False)
    assert reading_for("", deinterlace=True).pixels == "square+deinterlaced"
    assert reading_for("square+deinterlaced").deinterlace
    with pytest.raises(DataError, match="the frames of this store were not deinterlaced"):
        reading_for("coded", deinterlace=True)


# --- which stream --------------------------------------------------------------------------------------------


def write_two(path, *, default, cover=None):
    """Write two video streams, which count from 0 and from 100; one is the default, one may be a cover."""
    with av.open(str(path), "w") as container:
        streams = []
        for number in range(2):
            stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
            stream.height, stream.width, stream.pix_fmt = 64, 160, "yuv420p"
            stream.disposition = Disposition.default if number == default else Disposition(0)
            if number == cover:
                stream.disposition = Disposition.attached_pic
            streams.append(stream)
        for index in range(20):
            for number, stream in enumerate(streams):
                frame = av.VideoFrame.from_ndarray(draw_index(100 * number + index), format="rgb24")
                frame.pts = index
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize("decoder", ["pyav", pytest.param("torchcodec", marks=needs_torchcodec)])
@pytest.mark.parametrize("default", [0, 1])
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_the_default_stream_is_read(tmp_path, suffix, default, decoder):
    path = write_two(tmp_path / f"two.{suffix}", default=default)
    assert read_index(read_frames(path, np.array([7]), decoder=decoder).data[0]) == 100 * default + 7


@needs_decord
def test_decord_cannot_choose(tmp_path):
    with pytest.raises(DataError, match="decord is not proven right on this file: it holds other video streams"):
        read_frames(write_two(tmp_path / "two.mkv", default=1), np.array([7]), decoder="decord")


def write_cover(path):
    """Write sound and a cover picture into an mp4 file."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000)
        picture = container.add_stream("mjpeg", rate=1)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuvj420p"
        picture.disposition = Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
        still = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        container.mux(picture.encode(still.reformat(format="yuvj420p")))
        container.mux(picture.encode())
    return path


def test_a_cover_picture_is_no_video(tmp_path):
    with pytest.raises(DataError, match=r"song\.mp4: no video stream, it holds audio and a cover picture$"):
        count_frames(write_cover(tmp_path / "song.mp4"))


# --- fields --------------------------------------------------------------------------------------------------


def write_interlaced(path, *, total=16, flags="+ildct+ilme"):
    """Write frames whose even lines show a bar where it is, whose odd lines where it is half a frame later."""
    images = []
    for index in range(total):
        image = np.full((64, 160, 3), 40, np.uint8)
        image[::2, 8 * index : 8 * index + 20] = 220
        image[1::2, 8 * index + 4 : 8 * index + 24] = 220
        images.append(image)
    return write_video(path, images, codec="mpeg2video", g="12", flags=flags, b="4000000")


def combing(frames):
    """How much neighbouring lines differ, on the mean."""
    return np.abs(np.diff(frames.data.astype(float), axis=1)).mean()


def test_fields_become_one_picture(tmp_path):
    path = write_interlaced(tmp_path / "fields.ts")
    with av.open(str(path)) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
    plain = read_clip(path, EVERY)
    for rows in (EVERY, lambda times: np.array([3, 10, 15])):
        frames = read_clip(path, rows, reading=Reading(deinterlace=True))
        np.testing.assert_array_equal(frames.timestamps, plain.timestamps[frames.indices])
        assert combing(frames) < 0.4 * combing(plain)
    few = read_frames(path, np.array([10]), reading=Reading(deinterlace=True))
    np.testing.assert_array_equal(few.data[0], frames.data[1])  # whatever is read beside it


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_frames_that_are_not_interlaced_stay(tmp_path, suffix):
    path = write_indexed(tmp_path / f"v.{suffix}")
    np.testing.assert_array_equal(
        read_clip(path, EVERY, reading=Reading(deinterlace=True)).data, read_clip(path, EVERY).data
    )


@pytest.mark.parametrize("decoder", ["decord", "torchcodec"])
@pytest.mark.parametrize(
    ("reading", "what"),
    [(Reading(deinterlace=True), "frames are deinterlaced"), (Reading(use_damaged=True), "damaged videos are used")],
)
def test_other_decoders_do_not(tmp_path, decoder, reading, what):
    if decoder == "torchcodec" and not has_torchcodec():
        pytest.skip("torchcodec cannot be loaded here")
    if decoder == "decord":
        pytest.importorskip("decord")
    with pytest.raises(DataError, match=f"{what} only by PyAV, not by {decoder}; expected the decoder auto or pyav"):
        read_frames(write_indexed(tmp_path / "v.mp4"), np.array([0]), decoder=decoder, reading=reading)


# --- files that others made ----------------------------------------------------------------------------------


def report(name):
    if not (REPORTS / name).exists():
        pytest.skip(f"{name} is not at {REPORTS}")
    return REPORTS / name


@pytest.mark.parametrize("decoder", DECODERS)
def test_one_disc_at_two_aspects(decoder):
    one, two = (read_frames(report(f"sar_{n}.mp4"), np.arange(25), decoder=decoder).data for n in (1, 2))
    assert one.shape == two.shape == (25, 240, 240, 3)
    red = [(image[..., 0].astype(int) - image[..., 1]) > 60 for image in (one[3], two[3])]
    for axis in (0, 1):
        assert abs(red[0].any(axis=axis).sum() - red[1].any(axis=axis).sum()) <= 4  # 118 pixels
    assert np.abs(one.astype(int) - two).mean() < 2


def test_the_default_stream_of_a_report():
    assert read_frames(report("default_is_second.mkv"), np.array([0])).data.shape == (1, 96, 128, 3)


def test_a_size_that_changes():
    sink = ImageSink()
    decode_clip(report("size_change.webm"), EVERY, sink)
    sizes = [image.shape[:2] for _, image in sorted(sink.images.items())]
    assert set(sizes) == {(96, 128), (48, 64)}
    assert sizes[0] == (96, 128)
    assert read_clip(REPORTS / "size_change.webm", EVERY).data.shape == (30, 96, 128, 3)


def test_interlaced_frames_of_a_report():
    path = report("interlaced.mp4")
    plain, frames = (read_clip(path, EVERY, reading=Reading(deinterlace=on)) for on in (False, True))
    assert len(frames) == 25
    np.testing.assert_array_equal(frames.timestamps, plain.timestamps)
    assert combing(frames) < 0.7 * combing(plain)


def test_the_size_of_packets_is_told():
    assert scan_packets(report("sar_2.mp4")).aspect == 2
