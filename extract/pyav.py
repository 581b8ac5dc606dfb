"""PyAV: the frames of a video file, exact to the index, and what its packets tell; the door to the library."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from framebank.extract.container import is_idr, missing_bytes, refuse_cut, refuse_loss, tagged_seconds
from framebank.extract.frames import Clip, Image, Indices, Sample, Sink, Times, UnsupportedError, refuse_beyond
from framebank.extract.packets import Packets, frame_times, guessed_times, packet_times, plan_visits
from framebank.extract.sampling import checked_indices
from framebank.store.errors import DataError

# Below this share of packets to decode, seeking pays; above it, decoding from the start also checks the whole file.
SEEK_SHARE = 0.75

# Videos are decoded beside each other: many threads for one of them take the time of the others.
DECODE_THREADS = 2

# What of a frame goes into the sink.
Picture = Callable[[VideoFrame], Image]


def read_pyav(path: Path, sample: Sample, sink: Sink) -> Clip:
    """Put the sampled frames into `sink`: from key frames where that is proven exact and shorter, else from the start.

    Colours are converted for the wanted frames only, which is most of the saving on short clips. UnsupportedError where
    this build of PyAV has no decoder for the file.
    """
    packets = scan_packets(path, tick=sink.tick)
    return _read(path, sample, sink, packets=packets, picture=_upright_picture())


def check_video(path: Path, sample: Sample, sink: Sink) -> tuple[Packets, Clip, Times]:
    """Decode as `read_pyav` does and refuse what it refuses, but convert no colours.

    `sink` gets pictures without a channel, (H, W, 0): their size is right, and each is of an undamaged frame. Third
    come the seconds of these frames as the file tells them (ascending indices, each once), NaN where it tells none.
    """
    told: list[float] = []

    def picture(frame: VideoFrame) -> Image:
        told.append(np.nan if frame.pts is None or not frame.time_base else float(frame.pts * frame.time_base))
        return np.rot90(np.empty((frame.height, frame.width, 0), np.uint8), round(frame.rotation / 90))

    packets = scan_packets(path, tick=sink.tick)
    clip = _read(path, sample, sink, packets=packets, picture=picture)
    return packets, clip, np.array(told[-len(np.unique(clip.indices)) :])  # what was told before a `clear` is dropped


def _read(path: Path, sample: Sample, sink: Sink, *, packets: Packets, picture: Picture) -> Clip:
    if not packets.doubt:
        times = packet_times(packets)
        indices = checked_indices(sample(times))
        visits = plan_visits(packets, indices=indices)
        if sum(stop - start for start, stop in visits) < SEEK_SHARE * packets.count:
            refuse_beyond(path, indices=indices, total=packets.count)
            try:
                frames = _decode_visits(path, packets=packets, visits=visits)
                _pour(frames, sink, indices=indices, path=path, picture=picture)
            except _UnexpectedFrameError:
                sink.clear()
            else:
                return Clip(indices=indices, timestamps=times[indices], decoder="pyav")
    return _read_from_start(path, sample, sink, packets=packets, picture=picture)


def count_video(path: Path) -> int:
    """Return how many frames decoding the file `path` from its start gives. Raises DataError as `read_pyav`."""
    scan_packets(path)
    return sum(1 for _ in _decode_all(path))


def scan_packets(path: Path, *, tick: Callable[[], None] = lambda: None) -> Packets:
    """Return what demuxing tells about the video stream of `path`. Raises DataError where a part of it is gone.

    `tick` is called for each packet.
    """
    with _open_video(path) as (container, stream):
        family, codec, extradata = container.format.name.split(",")[0], "", b""
        if context := _codec_context(stream):
            codec, extradata = context.name, bytes(context.extradata or b"")
        exact = family in ("mov", "matroska") and codec in ("h264", "hevc")
        shown: list[int | None] = []
        key_pts: list[int] = []
        whole = hidden = open_keys = 0
        for packet in _demux(container, stream, path=path):
            tick()
            whole += not packet.is_corrupt
            hidden += packet.is_discard
            if packet.is_discard:
                continue
            shown.append(packet.pts)
            if exact and packet.is_keyframe and packet.pts is not None:
                key_pts.append(packet.pts)
                open_keys += not is_idr(bytes(packet), codec=codec, extradata=extradata)
        pts = np.array(sorted(p for p in shown if p is not None), dtype=np.int64)
        refuse_cut(path, promised=stream.frames, found=whole)
        if family == "avi":
            refuse_loss(path, promised=stream.frames, found=whole, unit="frames")
        if family == "matroska" and len(pts):
            last_seconds = float(pts[-1] * (stream.time_base or 0))
            refuse_loss(path, promised=tagged_seconds(stream.metadata), found=last_seconds, unit="seconds")
        if not shown:
            raise DataError(f"{path}: its video stream holds no frame")
        doubts = {
            f"packets of {codec or 'a codec not known here'} in {family} are not known to be frames one to one": (
                not exact
            ),
            "an edit list hides some of its packets": hidden,
            "its presentation times are missing or repeated": len(np.unique(pts)) < len(shown),
            "some of its key frames may refer to earlier frames": open_keys,
            "it does not start with a key frame": not key_pts or not shown[0] == key_pts[0] == pts[0],
        }
        return Packets(
            pts=pts if len(pts) == len(shown) else pts[:0],
            key_pts=np.array(sorted(key_pts), dtype=np.int64),
            count=len(shown),
            stream=stream.index,
            container=family,
            codec=codec,
            time_base=stream.time_base or Fraction(1),
            rate=stream.average_rate or stream.base_rate or Fraction(0),
            doubt=next((doubt for doubt, holds in doubts.items() if holds), ""),
        )


def _read_from_start(path: Path, sample: Sample, sink: Sink, *, packets: Packets, picture: Picture) -> Clip:
    """Read the sampled frames in one decode of the whole file, or in two where other frames came than were promised."""
    guess = guessed_times(packets)
    indices = _sample_guess(sample, guess)
    pts = _pour(enumerate(_decode_all(path)), sink, indices=indices, path=path, picture=picture)
    if not pts:
        raise DataError(f"{path}: no frame of its video stream decodes")
    times = frame_times(path, pts=pts, packets=packets)
    if not len(indices) or not np.array_equal(times, guess):
        again = checked_indices(sample(times))
        if not np.array_equal(again, indices):
            indices = again
            sink.clear()
            _pour(enumerate(_decode_all(path)), sink, indices=indices, path=path, picture=picture)
    refuse_beyond(path, indices=indices, total=len(times))
    return Clip(indices=indices, timestamps=times[indices], decoder="pyav")


def _sample_guess(sample: Sample, guess: Times) -> Indices:
    """Return the rows that a guess of the times gives; none where it has none, since the true times may have some."""
    try:
        return checked_indices(sample(guess))
    except DataError:
        return np.zeros(0, dtype=np.int64)


class _UnexpectedFrameError(Exception):
    """Decoding from a key frame gave another frame than the packets announce."""


def _decode_visits(path: Path, *, packets: Packets, visits: list[tuple[int, int]]) -> Iterator[tuple[int, VideoFrame]]:
    """Yield (index, frame) of each visit, every frame checked against the time that the packets announce for it."""
    with _open_decoder(path) as (container, stream):
        for start, stop in visits:
            try:
                container.seek(int(packets.pts[start]), stream=stream)
            except av.FFmpegError as error:
                raise _UnexpectedFrameError from error
            frames = _decode(container, stream, path=path, first=start)
            index = start - 1
            for index, frame in zip(range(start, stop), frames, strict=False):
                if frame.pts != packets.pts[index] or (index == start and not frame.key_frame):
                    raise _UnexpectedFrameError
                yield index, frame
            if index + 1 < stop:
                raise _UnexpectedFrameError


def _decode_all(path: Path) -> Iterator[VideoFrame]:
    """Yield every frame of a file from its start, in presentation order."""
    with _open_decoder(path) as (container, stream):
        yield from _decode(container, stream, path=path, first=0)


def _decode(container: InputContainer, stream: VideoStream, *, path: Path, first: int) -> Iterator[VideoFrame]:
    index = first
    try:
        for frame in container.decode(stream):
            yield frame
            index += 1
    except av.FFmpegError as error:
        raise DataError(f"{path}: decoding fails after frame {index - 1}: {error.strerror}") from error


def _demux(container: InputContainer, stream: VideoStream, *, path: Path) -> Iterator["Packet[VideoStream]"]:
    """Yield the packets of the video stream, without those that hold nothing."""
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except av.FFmpegError as error:
        raise DataError(f"{path}: the file cannot be read to its end: {error.strerror}") from error


@contextmanager
def _open_decoder(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video for decoding; UnsupportedError where PyAV has no decoder for its codec."""
    with _open_video(path) as (container, stream):
        context = _codec_context(stream)
        if not context:
            raise UnsupportedError(f"{path}: the codec of its video stream is not known here")
        stream.thread_type, context.thread_count = "AUTO", DECODE_THREADS
        yield container, stream


def _codec_context(stream: VideoStream) -> VideoCodecContext | None:
    """Return what decodes a stream, None where PyAV lacks its codec."""
    return stream.codec_context


@contextmanager
def _open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the first video stream that is not a cover picture, and close the file behind it.

    Its codec may be one that PyAV lacks. A file that no container is recognised in is no video: the other decoders read
    with the same demuxers, or fewer.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty, 0 bytes")
    try:
        container = av.open(f"file:{path}", metadata_errors="replace")
    except av.FFmpegError as error:
        missing = missing_bytes(path)
        cut = f"the file is cut short, {missing} bytes are missing" if missing else "not a video"
        raise DataError(f"{path}: {cut} ({error.strerror})") from error
    with container:
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
            raise DataError(f"{path}: no video stream, it holds {kinds}")
        yield container, streams[0]


def _pour(
    frames: Iterator[tuple[int, VideoFrame]], sink: Sink, *, indices: Indices, path: Path, picture: Picture
) -> list[int | None]:
    """Put the pictures of the wanted frames into `sink`; return the presentation times of all that passed through.

    A decoder conceals damage in one frame and says so; what refers to that frame is damaged too, up to a key frame.
    """
    wanted = set(indices.tolist())
    times: list[int | None] = []
    damaged = False
    for index, frame in frames:
        sink.tick()
        times.append(frame.pts)
        damaged = frame.is_corrupt or (damaged and not frame.key_frame)
        if index not in wanted:
            continue
        if damaged:
            raise DataError(f"{path}: frame {index} is damaged")
        sink.add(index, picture(frame))
    return times


def _upright_picture() -> Picture:
    """Return what gives a frame upright in RGB: (H, W, 3)."""
    convert = VideoReformatter().reformat

    def picture(frame: VideoFrame) -> Image:
        # By default every frame starts a thread per core, which takes ten times as long on small frames.
        image = convert(frame, format="rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))

    return picture
