"""Frames of a video file, exact to the index: the one module that opens videos (PyAV and decord)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from framebank.extract.container import is_idr, missing_bytes, refuse_cut, refuse_loss, tagged_seconds
from framebank.extract.frames import Frames
from framebank.extract.packets import Packets, frame_times, packet_times, plan_visits
from framebank.extract.sampling import checked_indices
from framebank.store.errors import DataError

Indices = npt.NDArray[np.int64]
Sample = Callable[[int], Indices]

# Below this share of packets to decode, seeking pays; above it, decoding from the start also checks the whole file.
SEEK_SHARE = 0.75

# Videos are decoded beside each other: many threads for one of them take the time of the others.
DECODE_THREADS = 2

# decord keeps times in single precision: a quarter of a millisecond at one hour.
DECORD_CLOCK_SECONDS = 2e-3


def read_frames(path: Path, indices: Indices, *, decoder: str = "auto") -> Frames:
    """Return the frames that decoding `path` from its start gives at `indices` (T,), in that order, repeats allowed.

    Raises DataError where the file cannot be read, is cut short or damaged, or has fewer frames than asked for, and
    where the named decoder is not proven right on this file. See docs/decoding.md.
    """
    return read_clip(path, lambda _: indices, decoder=decoder)


def read_clip(path: Path, sample: Sample, *, decoder: str = "auto") -> Frames:
    """Return the frames at `sample(total)`, where `total` is the number of frames that `path` has.

    `sample` is called again where the first count, taken from the container, proves wrong. Errors as `read_frames`.
    """
    return _named(decoder)(Path(path), sample)


def count_frames(path: Path) -> int:
    """Return how many frames decoding `path` from its start gives. Raises DataError as `read_frames`."""
    path = Path(path)
    scan_packets(path)
    return sum(1 for _ in _decode_all(path))


def scan_packets(path: Path) -> Packets:
    """Return what demuxing tells about the video stream of `path`. Raises DataError where a part of it is gone."""
    with _open_video(path) as (container, stream):
        family, codec = container.format.name.split(",")[0], stream.codec_context.name
        exact = family in ("mov", "matroska") and codec in ("h264", "hevc")
        extradata = bytes(stream.codec_context.extradata or b"")
        shown: list[int | None] = []
        key_pts: list[int] = []
        whole = hidden = open_keys = 0
        for packet in _demux(container, stream, path=path):
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
            f"packets of {codec} in {family} are not known to be frames one to one": not exact,
            "an edit list hides some of its packets": hidden,
            "its presentation times are missing or repeated": len(np.unique(pts)) < len(shown),
            "some of its key frames may refer to earlier frames": open_keys,
            "it does not start with a key frame": not key_pts or not shown[0] == key_pts[0] == pts[0],
        }
        return Packets(
            pts=pts if len(pts) == len(shown) else pts[:0],
            key_pts=np.array(sorted(key_pts), dtype=np.int64),
            count=len(shown),
            time_base=stream.time_base or Fraction(1),
            rate=stream.average_rate or stream.base_rate or Fraction(0),
            doubt=next((doubt for doubt, holds in doubts.items() if holds), ""),
        )


def _read_pyav(path: Path, sample: Sample) -> Frames:
    """Return the sampled frames by PyAV: from key frames where that is proven exact and shorter, else from the start.

    Colours are converted for the wanted frames only, which is most of the saving on short clips.
    """
    packets = scan_packets(path)
    if not packets.doubt:
        indices = checked_indices(sample(packets.count))
        visits = plan_visits(packets, indices=indices)
        if sum(stop - start for start, stop in visits) < SEEK_SHARE * packets.count:
            _refuse_beyond(path, indices=indices, total=packets.count)
            try:
                images, _ = _convert(_decode_visits(path, packets=packets, visits=visits), indices=indices, path=path)
            except _UnexpectedFrameError:
                pass
            else:
                return _assemble(images, indices=indices, times=packet_times(packets), path=path)
    return _read_from_start(path, sample, packets=packets)


def _read_from_start(path: Path, sample: Sample, *, packets: Packets) -> Frames:
    """Return the sampled frames of one decode of the whole file, or of two where the packets promised another total."""
    indices = checked_indices(sample(packets.count))
    images, pts = _convert(enumerate(_decode_all(path)), indices=indices, path=path)
    if not pts:
        raise DataError(f"{path}: no frame of its video stream decodes")
    if len(pts) != packets.count:
        again = checked_indices(sample(len(pts)))
        if not np.array_equal(again, indices):
            indices = again
            images, pts = _convert(enumerate(_decode_all(path)), indices=indices, path=path)
    _refuse_beyond(path, indices=indices, total=len(pts))
    return _assemble(images, indices=indices, times=frame_times(path, pts=pts, packets=packets), path=path)


def _refuse_beyond(path: Path, *, indices: Indices, total: int) -> None:
    if indices.max() >= total:
        raise DataError(f"{path}: frame {indices.max()} was asked for, {total} frames decode")


class _UnexpectedFrameError(Exception):
    """Decoding from a key frame gave another frame than the packets announce."""


def _decode_visits(path: Path, *, packets: Packets, visits: list[tuple[int, int]]) -> Iterator[tuple[int, VideoFrame]]:
    """Yield (index, frame) of each visit, every frame checked against the time that the packets announce for it."""
    with _open_video(path) as (container, stream):
        stream.thread_type, stream.codec_context.thread_count = "AUTO", DECODE_THREADS
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
    with _open_video(path) as (container, stream):
        stream.thread_type, stream.codec_context.thread_count = "AUTO", DECODE_THREADS
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
def _open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the first video stream that is not a cover picture, and close the file behind it."""
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


def _convert(
    frames: Iterator[tuple[int, VideoFrame]], *, indices: Indices, path: Path
) -> tuple[dict[int, npt.NDArray[np.uint8]], list[int | None]]:
    """Return the wanted frames upright in RGB, by index, and the presentation times of all frames passed through.

    A decoder conceals damage in one frame and says so; what refers to that frame is damaged too, up to a key frame.
    """
    wanted = set(indices.tolist())
    convert = VideoReformatter().reformat
    images: dict[int, npt.NDArray[np.uint8]] = {}
    times: list[int | None] = []
    damaged = False
    for index, frame in frames:
        times.append(frame.pts)
        damaged = frame.is_corrupt or (damaged and not frame.key_frame)
        if index not in wanted:
            continue
        if damaged:
            raise DataError(f"{path}: frame {index} is damaged")
        # By default every frame starts a thread per core, which takes ten times as long on small frames.
        image = convert(frame, format="rgb24", threads=1).to_ndarray()
        images[index] = np.rot90(image, round(frame.rotation / 90))
    return images, times


def _assemble(
    images: dict[int, npt.NDArray[np.uint8]], *, indices: Indices, times: npt.NDArray[np.float64], path: Path
) -> Frames:
    shapes = sorted({image.shape[:2] for image in images.values()})
    if len(shapes) > 1:
        raise DataError(f"{path}: the frame size changes within the video: {shapes}")
    data = np.stack([images[index] for index in indices.tolist()])  # (T, H, W, 3)
    return Frames(data=data, timestamps=times[indices], indices=indices, decoder="pyav")


def _read_decord(path: Path, sample: Sample) -> Frames:
    """Return the sampled frames by decord, on files only where its random access is proven exact.

    decord seeks by packet numbers: right where packets are frames one to one and groups of pictures are closed.
    """
    try:
        import decord
    except ImportError as error:
        raise DataError("decord is not installed; decoder 'pyav' reads every file that decord reads") from error
    packets = scan_packets(path)
    if packets.doubt:
        raise DataError(f"{path}: decord is not proven right on this file: {packets.doubt}")
    indices = checked_indices(sample(packets.count))
    _refuse_beyond(path, indices=indices, total=packets.count)
    decord.logging.set_level(decord.logging.QUIET)
    times = packet_times(packets)
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        if len(reader) != packets.count:
            raise DataError(f"{path}: decord counts {len(reader)} frames, the file has {packets.count}")
        seen = reader.get_frame_timestamp(np.append(indices, 0))[:, 0].astype(np.float64)
        if np.abs(seen[:-1] - seen[-1] - times[indices]).max() > DECORD_CLOCK_SECONDS:
            raise DataError(f"{path}: decord tells other frame times than the file")
        data = reader.get_batch(indices).asnumpy()
    except decord.DECORDError as error:
        reason = str(error).strip().splitlines()[0].rpartition("] ")[2]
        raise DataError(f"{path}: decord fails: {reason}") from error
    return Frames(data=data, timestamps=times[indices], indices=indices, decoder="decord")


# "auto" is PyAV: where decord is right it is no faster beyond the noise of measuring (docs/decoding.md).
DECODERS: dict[str, Callable[[Path, Sample], Frames]] = {
    "auto": _read_pyav,
    "pyav": _read_pyav,
    "decord": _read_decord,
}


def decoder_versions(*, decoder: str = "auto") -> str:
    """Return the name and version of the library that the named decoder reads with, as "pyav 18.1.0"."""
    name = _named(decoder).__name__.removeprefix("_read_")
    return f"{name} {version({'pyav': 'av'}.get(name, name))}"


def _named(decoder: str) -> Callable[[Path, Sample], Frames]:
    if decoder not in DECODERS:
        raise DataError(f"no decoder is named {decoder!r}; there are {', '.join(DECODERS)}")
    return DECODERS[decoder]
