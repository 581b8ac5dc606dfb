"""The pipeline: decode in processes, encode full batches across videos, write. The heavy parts are arguments."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from framebank.extract.decoders.frames import Clip
from framebank.extract.encoders.preprocess import Preprocessing
from framebank.extract.pool import Chunk, Cleared, Decoded, DecodePool, Failed, WaitingWorkers
from framebank.extract.rows import assemble
from framebank.extract.windows import Windows
from framebank.extract.worker import Job, Task
from framebank.store.errors import DataError
from framebank.store.shard import Embeddings
from framebank.store.spec import FeatureSpec
from framebank.store.videos.manifest import Video

# Batches that a device is given before the first of them is asked for: one computes while another is filled.
IN_FLIGHT = 2

# Pictures that a CPU is given at once: more are no faster, and of a short list most of a large batch would be padding.
ON_CPU = 8


class FrameEncoder(Protocol):
    """What the pipeline needs from an encoder."""

    spec: FeatureSpec
    preprocessing: Preprocessing
    device: torch.device
    clip_frames: int

    def start(self, pixels: Tensor) -> Any:
        """Begin to encode pixels (N, S, S, 3) uint8, or clips (N, T, S, S, 3), and return what `finish` takes."""
        ...

    def finish(self, handle: Any) -> dict[str, np.ndarray]:
        """Return the streams, each (N, ...), of what was begun."""
        ...


class Writer(Protocol):
    """What the pipeline needs from the taker of the rows, such as a ShardWriter."""

    def add(self, video_id: str, embeddings: Embeddings, *, decoder: str = "", source: str = "") -> None:
        """Take the rows of one video."""
        ...


@dataclass(frozen=True)
class Outcome:
    """The result of one video: the number of its embedded rows, or the reason why there are none.

    `source` is the identity of a file that failed, in words, where it is known.
    """

    video: Video
    num_frames: int = 0
    error: str = ""
    source: str = ""


@dataclass(eq=False)
class _Pending:
    """A video with some pictures (frames x views), or windows of them, that are encoded or wait to be."""

    video: Video
    windows: Windows | None = None  # what makes windows of its frames, for an encoder of clips
    clip: Clip | None = None
    given: int = 0
    parts: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)  # first picture -> streams
    encoded: int = 0

    @property
    def is_whole(self) -> bool:
        return self.clip is not None and self.encoded == self.given

    def streams(self) -> dict[str, np.ndarray]:
        """Join the parts, which may have come from several devices in another order."""
        parts = [self.parts[start] for start in sorted(self.parts)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class _Lane:
    """One device: the batch that is being filled, and the batches that it is working on."""

    def __init__(self, encoder: FrameEncoder, batch_size: int, *, clip_frames: int = 1) -> None:
        self.encoder = encoder
        height, width = encoder.preprocessing.size
        pinned = encoder.device.type == "cuda"
        batch_size = max(1, (batch_size if pinned else min(batch_size, ON_CPU)) // clip_frames)
        # A buffer is written to again when the batch it held is finished.
        shape = (batch_size, *([clip_frames] if clip_frames > 1 else []), height, width, 3)
        self._buffers = deque(torch.zeros(shape, dtype=torch.uint8, pin_memory=pinned) for _ in range(IN_FLIGHT + 1))
        self._flying: deque[tuple[Any, list[tuple[_Pending, int, int]]]] = deque()
        self._entries: list[tuple[_Pending, int, int]] = []
        self.filled = 0
        self.room = batch_size

    def put(self, pending: _Pending, pictures: npt.NDArray[np.uint8]) -> None:
        """Add pictures (N, S, S, 3) or windows (N, T, S, S, 3) of a video, N no more than `room`."""
        count = len(pictures)
        self._buffers[0][self.filled : self.filled + count] = torch.from_numpy(pictures)
        self._entries.append((pending, pending.given, count))
        pending.given += count
        self.filled += count
        self.room -= count

    def launch(self) -> None:
        """Give the device the batch, padded where it is not full, so that all batches are computed alike."""
        buffer = self._buffers[0]
        buffer[self.filled :] = 0
        self._flying.append((self.encoder.start(buffer), self._entries))
        self._buffers.rotate(-1)
        self._entries, self.filled, self.room = [], 0, len(buffer)

    @property
    def num_flying(self) -> int:
        return len(self._flying)

    def land(self) -> list[_Pending]:
        """Wait for the oldest batch and hand its rows to their videos; return those videos."""
        handle, entries = self._flying.popleft()
        streams = self.encoder.finish(handle)
        _require_finite(streams, near=entries[0][0].video.path)
        first = 0
        for pending, start, count in entries:
            pending.parts[start] = {name: rows[first : first + count] for name, rows in streams.items()}
            pending.encoded += count
            first += count
        return [pending for pending, _, _ in entries]


def extract_videos(
    videos: Iterable[Video],
    *,
    task: Task,
    encoders: Sequence[FrameEncoder],
    writer: Writer | None = None,
    batch_size: int = 64,
    num_workers: int = 2,
    time_limit: float = 300.0,
    waiting_workers: WaitingWorkers | None = None,
) -> Iterator[Outcome]:
    """Embed videos and yield the result of each when it is done.

    A video that cannot be read is an Outcome with an error, as is one on which the decoder hangs or crashes; anything
    else (a full disk, a wrong model) is raised. Batches of `batch_size` pictures, of 8 at most on a CPU, go to the
    encoders in turn; the last is padded, so that a video's embedding does not depend on which videos were embedded
    beside it. `waiting_workers` are decoding processes that have started already.
    """
    lanes = deque(_Lane(encoder, batch_size, clip_frames=task.clip_frames) for encoder in encoders)
    waiting: dict[str, _Pending] = {}
    with DecodePool(task, num_workers=num_workers, time_limit=time_limit, waiting=waiting_workers) as pool:
        for event in pool.run(videos):
            video = event.video
            touched: list[_Pending] = []
            if isinstance(event, Chunk):
                pending = waiting.setdefault(video.video_id, _pending(video, task))
                pictures = pending.windows.add(event.pixels) if pending.windows else event.pixels
                touched = _fill(lanes, pending, pictures.reshape(-1, *pictures.shape[2:]))  # (N * views, ..., S, S, 3)
            elif isinstance(event, Cleared):
                waiting.pop(video.video_id, None)
            elif isinstance(event, Decoded):
                pending = waiting.setdefault(video.video_id, _pending(video, task))
                pending.clip = event.clip
                touched = [pending]
                if pending.windows:
                    try:
                        rest = pending.windows.close(event.clip.indices)
                    except DataError as error:
                        del waiting[video.video_id]
                        yield Outcome(video, error=f"{video.path}: {error}", source=event.clip.source)
                        continue
                    touched += _fill(lanes, pending, rest.reshape(-1, *rest.shape[2:]))
            elif isinstance(event, Failed):
                waiting.pop(video.video_id, None)
                yield Outcome(video, error=event.reason, source=event.source)
            yield from _finish(touched, waiting, task=task, writer=writer)
    for lane in lanes:
        if lane.filled:
            lane.launch()
    for lane in lanes:
        while lane.num_flying:
            yield from _finish(lane.land(), waiting, task=task, writer=writer)


def embed_clip(job: Job, *, task: Task, encoder: FrameEncoder) -> Embeddings:
    """Return the embeddings of one video, decoded in this process; DataError that names a video that cannot be read."""
    sink = _Pictures(task.preprocessing)
    clip = task.run(job, sink)
    pictures = np.stack(sink.pictures)  # (U, views, S, S, 3)
    if task.clip_frames > 1:
        windows = _windows(task)
        try:
            pictures = np.concatenate([windows.add(pictures), windows.close(clip.indices)])
        except DataError as error:
            raise DataError(f"{job.path}: {error}") from error
    pictures = pictures.reshape(-1, *pictures.shape[2:])
    streams = encoder.finish(encoder.start(torch.from_numpy(pictures)))
    _require_finite(streams, near=job.path)
    return _assemble(clip, streams, task)


def _assemble(clip: Clip, streams: dict[str, np.ndarray], task: Task) -> Embeddings:
    return assemble(
        clip,
        streams,
        num_views=len(task.preprocessing.views),
        num_clips=task.sampling.num_clips,
        clip_frames=task.clip_frames,
    )


def _pending(video: Video, task: Task) -> _Pending:
    return _Pending(video, _windows(task) if task.clip_frames > 1 else None)


def _windows(task: Task) -> Windows:
    return Windows(task.clip_frames, num_clips=task.sampling.num_clips, is_fixed=task.sampling.is_fixed)


class _Pictures:
    """A sink that keeps the pictures of one video in memory."""

    def __init__(self, preprocess: Preprocessing) -> None:
        self._preprocess = preprocess
        self.pictures: list[npt.NDArray[np.uint8]] = []

    def add(self, index: int, image: npt.NDArray[np.uint8]) -> None:
        self.pictures.append(self._preprocess(image))

    def clear(self) -> None:
        self.pictures.clear()

    def tick(self) -> None:
        pass


def _fill(lanes: "deque[_Lane]", pending: _Pending, pictures: npt.NDArray[np.uint8]) -> list[_Pending]:
    """Put pictures into the batch of the lane whose turn it is; return the videos whose batches came back."""
    landed: list[_Pending] = []
    while len(pictures):
        lane = lanes[0]
        count = min(lane.room, len(pictures))
        lane.put(pending, pictures[:count])
        pictures = pictures[count:]
        if not lane.room:
            lane.launch()
            if lane.num_flying >= (IN_FLIGHT if lane.encoder.device.type == "cuda" else 1):
                landed += lane.land()
            lanes.rotate(-1)
    return landed


def _finish(
    touched: Iterable[_Pending], waiting: dict[str, _Pending], *, task: Task, writer: Writer | None
) -> Iterator[Outcome]:
    """Write the videos that are complete now, and yield their outcomes."""
    for pending in dict.fromkeys(touched):
        video, clip = pending.video, pending.clip
        if clip is None or not pending.is_whole or waiting.get(video.video_id) is not pending:
            continue
        del waiting[video.video_id]
        embeddings = _assemble(clip, pending.streams(), task)
        if writer:
            writer.add(video.video_id, embeddings, decoder=clip.decoder, source=clip.source)
        yield Outcome(video, num_frames=len(embeddings.data))


def _require_finite(streams: dict[str, np.ndarray], *, near: Path) -> None:
    with np.errstate(over="ignore"):  # the overflow is what is looked for
        finite = all(np.isfinite(rows.astype(np.float16)).all() for rows in streams.values())
    if not finite:
        raise DataError(
            f"the encoder gave values that are not finite in 16 bits, near {near}; "
            "try --precision fp32, and check the weights"
        )
