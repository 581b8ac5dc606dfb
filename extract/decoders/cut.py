"""Cut: a stretch of a video as a file of its own, copied from a key frame on or encoded anew; a door to PyAV."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from framebank.extract.decoders.animation import is_animation
from framebank.extract.decoders.decode import decode_clip
from framebank.extract.decoders.frames import Clip, Image, Indices, Times
from framebank.extract.decoders.pixels import resized
from framebank.extract.decoders.pyav import open_video, scan_packets
from framebank.extract.decoders.source import local_file
from framebank.store.errors import DataError
from framebank.store.files.replacing import replacing

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
LIKE_MP4 = (".mp4", ".m4v", ".mov")  # what is copied out of these goes into MP4 or else MOV, all else into Matroska
TICKS = 90_000  # of a second, in which the frames of an exact cut are placed
QUALITY = {"preset": "veryfast", "crf": "18"}


@dataclass(frozen=True)
class Cut:
    """A file that was cut out of a video: where in the video it starts and ends, in seconds after the first frame."""

    path: Path
    start: float
    end: float


def copy_stretch(path: Path, stem: Path, *, start: float = 0.0, end: float | None = None) -> Cut:
    """Copy the packets of a stretch of a video, and of its sound, into `stem` with .mp4, .mov or .mkv.

    Nothing is decoded. The copy begins at the last key frame at or before the first frame from `start` on, in seconds
    after the first frame of the video, and ends with the last frame before `end`; None is the end of the video. Where
    frames refer to later ones, these are there too. A start below 0 is that of frames which the video itself hides.
    DataError where the video cannot be read, its end is wanted and gone, it has no frame there, its packets have no
    times, or a file of that name is there.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder of images, which has no packets to copy; an exact cut encodes it")
    with local_file(path) as local:
        if is_animation(local):
            raise DataError(f"{path}: is an animated picture, which has no packets to copy; an exact cut encodes it")
        plan = _plan(local, start=start, end=end)
        reason: Exception | None = None
        for suffix in (".mp4", ".mov") if path.suffix.lower() in LIKE_MP4 else (".mkv",):
            out = stem.with_name(stem.name + suffix)
            _require_free(out)
            try:
                with replacing(out) as part:
                    _copy(local, part, plan, form=FORMATS[suffix])
                return Cut(out, plan.seconds(plan.key), plan.seconds(plan.stop))
            except (av.FFmpegError, ValueError, IndexError) as error:
                reason = error
    raise DataError(f"{path}: its packets cannot be copied ({reason}); an exact cut encodes its frames") from reason


def encode_stretch(path: Path, stem: Path, *, start: float = 0.0, end: float | None = None) -> Cut:
    """Encode the frames of a stretch, those from `start` on and before `end`, into `stem`.mp4; return the cut.

    The file is H.264 without sound. Its frames are upright, with square pixels, each at its own time; an odd row or
    column at the edge is left out. Seconds are as in `copy_stretch`. DataError as `decode_clip`, and where no frame
    stands there or a file of that name is there.
    """
    out = stem.with_name(f"{stem.name}.mp4")
    _require_free(out)
    with replacing(out) as part:
        clip, times = _encode(path, part, start=start, end=end)
        seconds = clip.timestamps
        again = dict(zip(clip.indices.tolist(), seconds.tolist(), strict=True))
        if any(abs(times[index] - second) > 1e-3 for index, second in again.items()):  # the packets told other times
            _encode(path, part, start=start, end=end, known=again)
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0
    return Cut(out, float(seconds[0]), float(seconds[-1]) + step)


def _require_free(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise DataError(f"{out}: is there already, and is not written over; expected a new place")


def _nothing(start: float, end: float | None) -> str:
    return f"has no frame from {start:g} s to {'its end' if end is None else f'{end:g} s'}"


@dataclass(frozen=True)
class _Plan:
    """Which packets are copied: from that at `key` to the last of those at `wanted`, presentation times in `unit`."""

    key: int
    wanted: frozenset[int]
    stop: int
    first: int  # of the video
    unit: Fraction

    def seconds(self, pts: int) -> float:
        """Return a presentation time as seconds after the first frame."""
        return float((pts - self.first) * self.unit)


def _plan(path: Path, *, start: float, end: float | None) -> _Plan:
    with open_video(path) as (container, stream):
        unit = stream.time_base or Fraction(1)
        pts: list[int] = []
        keys: list[int] = []
        try:
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                if packet.pts is None:
                    raise DataError(f"{path}: its packets have no times to be cut by; an exact cut decodes its frames")
                keys += [packet.pts] * packet.is_keyframe
                pts += [packet.pts] * (not packet.is_discard)
        except (av.FFmpegError, IndexError) as error:
            raise DataError(f"{path}: cannot be read to its end: {error}") from error
    shown = np.array(sorted(pts), dtype=np.int64)
    if not len(shown):
        raise DataError(f"{path}: its video stream holds no frame")
    seconds = (shown - shown[0]) * float(unit)
    low = int(np.searchsorted(seconds, start - 1e-6))
    high = len(shown) if end is None else int(np.searchsorted(seconds, end - 1e-6))
    if high == len(shown):
        scan_packets(path)  # which refuses a file whose end is gone
    if low >= high:
        raise DataError(f"{path}: {_nothing(start, end)}; its last frame is at {seconds[-1]:.2f} s")
    before = [key for key in keys if key <= shown[low]]
    if not before:
        raise DataError(f"{path}: has no key frame at or before {start:g} s; an exact cut decodes its frames")
    step = int(np.median(np.diff(shown))) if len(shown) > 1 else 0
    stop = int(shown[high]) if high < len(shown) else int(shown[-1]) + step
    return _Plan(max(before), frozenset(shown[low:high].tolist()), stop, int(shown[0]), unit)


def _copy(path: Path, part: Path, plan: _Plan, *, form: str) -> None:
    """Write the packets of a plan; those of the sound that are heard meanwhile go with them."""
    with open_video(path) as (container, video), av.open(str(part), "w", format=form) as output:
        begin, stop = plan.key * plan.unit, plan.stop * plan.unit  # seconds of the file's own clock
        kept: dict[int, Stream] = {
            stream.index: output.add_stream_from_template(stream)
            for stream in (video, *container.streams.audio)
            if stream.codec_context is not None
        }
        if video.index not in kept:
            raise ValueError("the codec of its video stream is not known here")
        waiting, heard = set(plan.wanted), set(kept) - {video.index}
        started = False
        container.seek(plan.key, stream=video)
        for packet in container.demux([container.streams[index] for index in kept]):
            if not packet.size or packet.pts is None or packet.time_base is None:
                continue
            index, second = packet.stream.index, packet.pts * packet.time_base
            if index == video.index:
                started = started or packet.pts == plan.key
                wanted = bool(started and waiting and packet.pts >= plan.key)
                waiting.discard(packet.pts)
            else:
                wanted = begin <= second < stop
                heard -= {index} if second >= stop else set()
            if wanted:
                shift = round(begin / packet.time_base)
                packet.pts -= shift
                packet.dts = None if packet.dts is None else packet.dts - shift
                packet.stream = kept[index]
                output.mux(packet)
            if not waiting and not heard:
                break
        if waiting:
            raise ValueError("a key frame that the file tells of is not where it should be")


def _encode(
    path: Path, part: Path, *, start: float, end: float | None, known: dict[int, float] | None = None
) -> tuple[Clip, dict[int, float]]:
    """Encode a stretch; return which frames it has, and the second at which each was placed."""
    times = np.zeros(0)

    def sample(found: Times) -> Indices:
        nonlocal times
        times = found
        low = int(np.searchsorted(found, start - 1e-6))
        high = len(found) if end is None else int(np.searchsorted(found, end - 1e-6))
        if low >= high:
            raise DataError(f"{path}: {_nothing(start, end)}; its last frame is at {found[-1]:.2f} s")
        return np.arange(low, high)

    film = _Film(part, lambda index: float(times[index]) if known is None else known[index])
    try:
        clip = decode_clip(path, sample, film)
        film.finish()
    except av.FFmpegError as error:
        raise DataError(f"{path}: its frames cannot be encoded: {error}") from error
    finally:
        film.close()
    return clip, film.placed


class _Film:
    """A sink that encodes the frames as they come; `placed` has the second of each."""

    def __init__(self, path: Path, second_of: Callable[[int], float]) -> None:
        self.placed: dict[int, float] = {}
        self._path, self._second_of = path, second_of
        self._output: OutputContainer | None = None
        self._stream: VideoStream | None = None

    def add(self, index: int, image: Image) -> None:
        """Encode one frame (H, W, 3)."""
        if self._stream is None:
            self._output = av.open(str(self._path), "w", format="mp4")
            self._stream = self._output.add_stream("libx264", rate=25, options=QUALITY)
            self._stream.height, self._stream.width = (max(2, size // 2 * 2) for size in image.shape[:2])
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.thread_count = 2
            self._stream.codec_context.time_base = Fraction(1, TICKS)
        height, width = self._stream.height, self._stream.width
        if image.shape[0] // 2 * 2 != height or image.shape[1] // 2 * 2 != width:
            image = resized(image, width=width, height=height)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        self.placed[index] = self._second_of(index)
        first = next(iter(self.placed.values()))
        frame.pts, frame.time_base = round((self.placed[index] - first) * TICKS), Fraction(1, TICKS)
        assert self._output is not None
        self._output.mux(self._stream.encode(frame))

    def clear(self) -> None:
        """Begin again."""
        self.close()
        self.placed.clear()

    def tick(self) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._stream is not None and self._output is not None:
            self._output.mux(self._stream.encode(None))

    def close(self) -> None:
        """Close the file."""
        if self._output is not None:
            self._output.close()
        self._output = self._stream = None
