"""PyAV: the frames of a video file, exact to the index, and what its packets tell; the door to the library."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from framebank.extract.containers.container import end_of_video, find_loss, format_of, why_unreadable
from framebank.extract.decoders.damaged import read_undamaged
from framebank.extract.decoders.frames import Clip, DamageError, Image, Sample, Sink, UnsupportedError, refuse_beyond
from framebank.extract.decoders.packets import Packets, Scan, frame_times, guessed_times, packet_times, plan_visits
from framebank.extract.decoders.picture import Aspect, Picture, Shown, deinterlaced, pour, upright_picture
from framebank.extract.decoders.pixels import READ, Reading, refuse_large
from framebank.extract.sampling import checked_indices, sample_guess
from framebank.store.errors import DataError

# Below this share of packets to decode, seeking pays; above it, decoding from the start also checks the whole file.
SEEK_SHARE = 0.75

# With two threads, FFmpeg now and then gives a damaged frame without its mark: in 9 of 600 readings of one file.
DECODE_THREADS = 1


def read_pyav(path: Path, sample: Sample, sink: Sink, *, reading: Reading = READ) -> Clip:
    """Put the sampled frames into `sink`: from key frames where that is proven exact and shorter, else from the start.

    Colours are converted for the wanted frames only, which is most of the saving on short clips. DamageError if a
    part of the file is gone or a wanted frame is damaged; with `reading.use_damaged` the sampling then falls on the
    frames that are not. UnsupportedError if this build of PyAV has no decoder for the file.
    """
    packets = scan_packets(path, tick=sink.tick, refuse=not reading.use_damaged)
    picture = upright_picture(path, square=reading.square)
    if not packets.damage:
        try:
            return _read(path, sample, sink, packets=packets, picture=picture, reading=reading)
        except DamageError:
            if not reading.use_damaged:
                raise
        sink.clear()
    decode = functools.partial(_decode_all, path, reading)
    return read_undamaged(path, sample, sink, packets=packets, picture=picture, decode=decode)


def check_video(path: Path, sample: Sample, sink: Sink) -> tuple[Packets, Clip, list[Shown]]:
    """Decode as `read_pyav` does and refuse what it refuses, but convert no colours.

    `sink` gets pictures without a channel, (H, W, 0): their size is right, of pixels as they are coded, and each is of
    an undamaged frame. Third come these frames (ascending indices, each once).
    """
    told: list[Shown] = []

    def picture(shown: Shown) -> Image:
        told.append(shown)
        return np.rot90(np.empty((shown.frame.height, shown.frame.width, 0), np.uint8), shown.turns)

    packets = scan_packets(path, tick=sink.tick)
    clip = _read(path, sample, sink, packets=packets, picture=picture, reading=READ)
    return packets, clip, told[-len(np.unique(clip.indices)) :]  # what was told before a `clear` is dropped


def _read(path: Path, sample: Sample, sink: Sink, *, packets: Packets, picture: Picture, reading: Reading) -> Clip:
    if not packets.doubt and not reading.deinterlace:  # which takes the frames beside each one
        times = packet_times(packets)
        indices = checked_indices(sample(times))
        visits = plan_visits(packets, indices=indices)
        if sum(stop - start for start, stop in visits) < SEEK_SHARE * packets.count:
            refuse_beyond(path, indices=indices, total=packets.count)
            try:
                frames = _decode_visits(path, packets=packets, visits=visits)
                pour(frames, sink, indices=indices, path=path, picture=picture)
            except _UnexpectedFrameError:
                sink.clear()
            else:
                return Clip(indices=indices, timestamps=times[indices], decoder="pyav")
    return _read_from_start(path, sample, sink, packets=packets, picture=picture, reading=reading)


def count_video(path: Path) -> int:
    """Return how many frames decoding the file `path` from its start gives. Raises DataError as `read_pyav`."""
    scan_packets(path)
    return sum(1 for _ in _decode_all(path))


def first_frame(path: Path) -> Shown:
    """Return the first frame of a video; DataError if none decodes, and as `read_pyav`."""
    for shown in _decode_all(path):
        return shown
    raise DataError(f"{path}: no frame of its video stream decodes")


def scan_packets(path: Path, *, tick: Callable[[], None] = lambda: None, refuse: bool = True) -> Packets:
    """Return what demuxing tells about the video stream of `path`. DamageError if a part is gone and `refuse` is on.

    `tick` is called for each packet.
    """
    with open_video(path) as (container, stream):
        context = _codec_context(stream)
        scan = Scan(
            container=container.format.name.split(",")[0],
            codec=context.name if context else "",
            extradata=bytes(context.extradata or b"") if context else b"",
        )
        damage = ""
        try:
            for packet in _demux(container, stream):
                if packet.size:
                    tick()
                    scan.take(packet)
        except av.FFmpegError as error:
            damage = f"the file cannot be read to its end: {error.strerror}"
        last_byte = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
        loss = find_loss(
            path,
            family=scan.container,
            stream=stream.index,
            number=stream.id,
            promised=stream.frames,
            found=scan.whole,
            last_byte=last_byte,
        )
        damage = loss or damage
        if damage and refuse:
            raise DamageError(path, damage)
        if not scan.shown:
            raise DataError(f"{path}: its video stream holds no frame")
        pts = scan.pts
        return Packets(
            pts=pts if len(pts) == len(scan.shown) else pts[:0],
            key_pts=np.array(sorted(scan.key_pts), dtype=np.int64),
            count=len(scan.shown),
            stream=stream.index,
            container=scan.container,
            codec=scan.codec,
            time_base=stream.time_base or Fraction(1),
            rate=stream.average_rate or (context and context.framerate) or stream.base_rate or Fraction(0),
            doubt=scan.doubt(),
            aspect=stream.sample_aspect_ratio or Fraction(1),
            damage=damage,
            rivals=len(container.streams.video) - 1,
        )


def _read_from_start(
    path: Path, sample: Sample, sink: Sink, *, packets: Packets, picture: Picture, reading: Reading
) -> Clip:
    """Read the sampled frames in one decode of the whole file, or in two where other frames came than were promised."""
    guess = guessed_times(packets)
    indices = sample_guess(sample, guess)
    pts = pour(enumerate(_decode_all(path, reading)), sink, indices=indices, path=path, picture=picture)
    if not pts:
        raise DataError(f"{path}: no frame of its video stream decodes")
    times = frame_times(path, pts=pts, packets=packets)
    if not len(indices) or not np.array_equal(times, guess):
        again = checked_indices(sample(times))
        if not np.array_equal(again, indices):
            indices = again
            sink.clear()
            pour(enumerate(_decode_all(path, reading)), sink, indices=indices, path=path, picture=picture)
    refuse_beyond(path, indices=indices, total=len(times))
    return Clip(indices=indices, timestamps=times[indices], decoder="pyav")


class _UnexpectedFrameError(Exception):
    """Decoding from a key frame gave another frame than the packets announce."""


def _decode_visits(path: Path, *, packets: Packets, visits: list[tuple[int, int]]) -> Iterator[tuple[int, Shown]]:
    """Yield (index, frame) of each visit, every frame checked against the time that the packets announce for it."""
    with _open_decoder(path) as (container, stream):
        for start, stop in visits:
            try:
                container.seek(int(packets.pts[start]), stream=stream)
            except av.FFmpegError as error:
                raise _UnexpectedFrameError from error
            frames = _decode(container, stream, path=path, first=start)
            index = start - 1
            for index, shown in zip(range(start, stop), frames, strict=False):
                if shown.frame.pts != packets.pts[index] or (index == start and not shown.frame.key_frame):
                    raise _UnexpectedFrameError
                yield index, shown
            if index + 1 < stop:
                raise _UnexpectedFrameError


def _decode_all(path: Path, reading: Reading = READ) -> Iterator[Shown]:
    """Yield every frame of a file from its start, in presentation order."""
    with _open_decoder(path) as (container, stream):
        frames = _decode(container, stream, path=path, first=0, go_on=reading.use_damaged)
        yield from deinterlaced(frames) if reading.deinterlace else frames


def _decode(
    container: InputContainer, stream: VideoStream, *, path: Path, first: int, go_on: bool = False
) -> Iterator[Shown]:
    """Yield the frames from here on; with `go_on` also those behind a packet that does not decode, as damaged."""
    index = first
    aspect = Aspect(container, stream)
    try:
        broken = False
        for packet in _demux(container, stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                if not go_on:
                    raise
                broken = True
                continue
            for frame in frames:
                broken = broken and not frame.key_frame
                yield Shown(frame, aspect.of(frame), frame, damaged=broken)
                index += 1
    except av.FFmpegError as error:
        if go_on:
            return  # the file cannot be read to its end
        where = f"after frame {index - 1}" if index else "at the first frame"
        raise DamageError(path, f"decoding fails {where}: {error.strerror}") from error


def _demux(container: InputContainer, stream: VideoStream) -> Iterator["Packet[VideoStream]"]:
    """Yield the packets of the video stream and the empty one behind them.

    Where another stream comes up on the way, as in a transport stream, PyAV loses count of the streams: it is asked for
    the rest.
    """
    size = 1
    while size:
        with suppress(IndexError):
            for packet in container.demux(stream):
                size = packet.size
                yield packet
            return


@contextmanager
def _open_decoder(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video for decoding; UnsupportedError if PyAV has no decoder for its codec."""
    with open_video(path) as (container, stream):
        context = _codec_context(stream)
        if not context:
            raise UnsupportedError(f"{path}: the codec of its video stream is not known here")
        refuse_large(path, width=context.width, height=context.height)
        stream.thread_type, context.thread_count = "AUTO", DECODE_THREADS
        yield container, stream


def _codec_context(stream: VideoStream) -> VideoCodecContext | None:
    """Return what decodes a stream, None if PyAV lacks its codec."""
    return stream.codec_context


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the default video stream, as FFmpeg chooses it, but never a cover picture; close the file behind it.

    Its codec may be one that PyAV lacks. A file that no container is recognised in is no video: the other decoders read
    with the same demuxers, or fewer.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty, 0 bytes")
    with _open_container(path) as container:
        yield container, _video_stream(container, path=path)


def _open_container(path: Path) -> InputContainer:
    end = end_of_video(path)
    address = f"subfile,,start,0,end,{end},,:file:{path}" if end else f"file:{path}"
    try:
        return av.open(address, metadata_errors="replace")
    except av.FFmpegError as error:
        reason = error.strerror
    try:
        if name := format_of(path):
            return av.open(address, format=name, metadata_errors="replace")
    except av.FFmpegError as error:
        reason = error.strerror
    raise DataError(f"{path}: {why_unreadable(path)} ({reason})")


def _video_stream(container: InputContainer, *, path: Path) -> VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = " and ".join(sorted({s.type for s in container.streams} - {"video"})) or "nothing"
        cover = " and a cover picture" * bool(container.streams.video)
        raise DataError(f"{path}: no video stream, it holds {kinds}{cover}")
    best = None
    with suppress(IndexError):  # of a stream that came up while the file was probed
        best = container.streams.best("video")
    marked = [s for s in streams if s == best] or [s for s in streams if s.disposition & Disposition.default]
    return [*marked, *streams][0]
