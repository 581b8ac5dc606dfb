"""Lanes: batches that are encoded side by side. Each lane has one that is being filled and some that are on their way.

A CUDA device has one lane. A CPU has several, each with threads of its own: two batches on one thread each take less
time than one after the other on two threads, because no thread waits for another between two layers.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from framebank.extract.decoders.frames import Clip
from framebank.extract.encoders.preprocess import Preprocessing
from framebank.extract.windows import Windows
from framebank.store.errors import DataError
from framebank.store.spec import FeatureSpec
from framebank.store.videos.manifest import Video

# Batches that a lane is given before the first of them is asked for: one computes while another is filled.
IN_FLIGHT = 2

# Pictures that a CPU is given at once: more are no faster, and of a short list most of a large batch would be padding.
ON_CPU = 8

# Lanes of one CPU at most: each holds what a batch of a large model needs, in memory.
MOST_LANES = 8

# What another decoding process costs, in seconds: on a CPU it is worth that when lanes have waited as long.
PROCESS_SECONDS = 0.5


class FrameEncoder(Protocol):
    """What the pipeline needs from an encoder."""

    spec: FeatureSpec
    preprocessing: Preprocessing
    device: torch.device
    clip_frames: int

    def start(self, pixels: Tensor) -> Any:
        """Begin to encode pixels (N, S, S, 3) uint8, or clips (N, T, S, S, 3), and return what `finish` takes.

        On CUDA that has `is_done`, whether its results are there.
        """
        ...

    def finish(self, handle: Any) -> dict[str, np.ndarray]:
        """Return the streams, each (N, ...), of what was begun."""
        ...


@dataclass(eq=False)
class Pending:
    """A video with some pictures (frames x views), or windows of them, that are encoded or wait to be."""

    video: Video
    windows: Windows | None = None  # what makes windows of its frames, for an encoder of clips
    clip: Clip | None = None
    given: int = 0
    parts: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)  # first picture -> streams
    encoded: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all of its pictures are encoded."""
        return self.clip is not None and self.encoded == self.given

    def streams(self) -> dict[str, np.ndarray]:
        """Join the parts, which may have come from several lanes in another order."""
        parts = [self.parts[start] for start in sorted(self.parts)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class Lanes:
    """The lanes of some encoders, which take batches in turn; a context manager that ends their threads.

    Batches have `batch_size` pictures, 8 at most on a CPU, or as many clips of `clip_frames` as fill that.
    """

    def __init__(self, encoders: Sequence[FrameEncoder], batch_size: int, *, clip_frames: int = 1) -> None:
        self._encoders = encoders
        self._batch_size = batch_size
        self._clip_frames = clip_frames
        self._lanes: deque[_Lane] = deque()
        self._threads = ExitStack()
        self._lost = 0.0  # seconds for which lanes had nothing to do, since a process was last asked for

    def __enter__(self) -> "Lanes":
        with ExitStack() as threads:
            for encoder in self._encoders:
                sides = [encoder] if encoder.device.type == "cuda" else list(_side_by_side(encoder, threads))
                self._lanes += [_Lane(one, self._batch_size, clip_frames=self._clip_frames) for one in sides]
            self._threads = threads.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.close()

    def fill(self, pending: Pending, pictures: npt.NDArray[np.uint8]) -> list[Pending]:
        """Put pictures (N, S, S, 3), or windows (N, T, S, S, 3), of a video into batches.

        Return the videos some of whose rows have come back.
        """
        landed: list[Pending] = []
        while len(pictures):
            lane = self._lanes[0]
            count = min(lane.room, len(pictures))
            lane.put(pending, pictures[:count])
            pictures = pictures[count:]
            if not lane.room:
                landed += self._launch()
        return landed

    def finish(self) -> Iterator[list[Pending]]:
        """Encode what is left, in a padded batch; yield the videos of each batch, in the order of their filling."""
        if self._lanes[0].filled:
            yield self._launch()
        while any(lane.num_flying for lane in self._lanes):
            if self._lanes[0].num_flying:
                yield self._lanes[0].land()
            self._lanes.rotate(-1)

    def _launch(self) -> list[Pending]:
        """Start the batch of the lane whose turn it is, and go on to the next, which then has the oldest batch.

        Return the videos of the batch that came back in exchange.
        """
        lane = self._lanes[0]
        lane.launch()
        landed = lane.land() if lane.num_flying >= IN_FLIGHT else []
        self._lanes.rotate(-1)
        return landed

    def starve(self, seconds: float) -> bool:
        """Return whether another decoding process is worth its cost, now that frames were waited for so long.

        Beside a CUDA device it is. On a CPU it takes computing time from the lanes, and is worth that when they have
        had nothing to do for as long as it takes to start.
        """
        idle = [lane.is_idle for lane in self._lanes]
        if any(lane.on_cuda for lane in self._lanes):
            return any(idle)
        self._lost += seconds * sum(idle) / len(idle)
        if self._lost < PROCESS_SECONDS:
            return False
        self._lost = 0.0
        return True


class _Lane:
    """The batch that is being filled, and the batches that an encoder is working on."""

    def __init__(self, encoder: "FrameEncoder | _BesideOthers", batch_size: int, *, clip_frames: int = 1) -> None:
        self.encoder = encoder
        height, width = encoder.preprocessing.size
        self.on_cuda = encoder.device.type == "cuda"
        batch_size = max(1, (batch_size if self.on_cuda else min(batch_size, ON_CPU)) // clip_frames)
        # A buffer is written to again when the batch it held is finished.
        shape = (batch_size, *([clip_frames] if clip_frames > 1 else []), height, width, 3)
        self._buffers = deque(
            torch.zeros(shape, dtype=torch.uint8, pin_memory=self.on_cuda) for _ in range(IN_FLIGHT + 1)
        )
        self._flying: deque[tuple[Any, list[tuple[Pending, int, int]]]] = deque()
        self._entries: list[tuple[Pending, int, int]] = []
        self.filled = 0
        self.room = batch_size

    def put(self, pending: Pending, pictures: npt.NDArray[np.uint8]) -> None:
        """Add pictures or windows of a video, no more than `room`."""
        count = len(pictures)
        self._buffers[0][self.filled : self.filled + count] = torch.from_numpy(pictures)
        self._entries.append((pending, pending.given, count))
        pending.given += count
        self.filled += count
        self.room -= count

    def launch(self) -> None:
        """Start the batch, padded where it is not full, so that all batches are computed alike."""
        buffer = self._buffers[0]
        buffer[self.filled :] = 0
        self._flying.append((self.encoder.start(buffer), self._entries))
        self._buffers.rotate(-1)
        self._entries, self.filled, self.room = [], 0, len(buffer)

    @property
    def num_flying(self) -> int:
        return len(self._flying)

    @property
    def is_idle(self) -> bool:
        """Whether everything it was given is done."""
        return not self._flying or bool(self._flying[-1][0].is_done)

    def land(self) -> list[Pending]:
        """Wait for the oldest batch and hand its rows to their videos; return those videos."""
        handle, entries = self._flying.popleft()
        streams = self.encoder.finish(handle)
        require_finite(streams, near=entries[0][0].video.path)
        first = 0
        for pending, start, count in entries:
            pending.parts[start] = {name: rows[first : first + count] for name, rows in streams.items()}
            pending.encoded += count
            first += count
        return [pending for pending, _, _ in entries]


class _BesideOthers:
    """An encoder on a CPU that encodes in a thread of its own, beside others."""

    def __init__(self, encoder: FrameEncoder, thread: ThreadPoolExecutor) -> None:
        self.preprocessing = encoder.preprocessing
        self.device = encoder.device
        self._encoder = encoder
        self._thread = thread

    def start(self, pixels: Tensor) -> "_Coming":
        return _Coming(self._thread.submit(self._encode, pixels))

    def finish(self, handle: "_Coming") -> dict[str, np.ndarray]:
        return handle.streams.result()

    def _encode(self, pixels: Tensor) -> dict[str, np.ndarray]:
        return self._encoder.finish(self._encoder.start(pixels))


@dataclass(frozen=True)
class _Coming:
    """A batch that a thread encodes."""

    streams: "Future[dict[str, np.ndarray]]"

    @property
    def is_done(self) -> bool:
        return self.streams.done()


def _side_by_side(encoder: FrameEncoder, threads: ExitStack) -> Iterator[_BesideOthers]:
    """Yield an encoder on a CPU once for each lane, with threads that end with `threads`.

    All threads that torch may use here are shared out among the lanes.
    """
    available = torch.get_num_threads()
    each = -(-available // MOST_LANES)  # rounded up
    count = available // each
    try:
        for _ in range(count):
            thread = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(each,))
            threads.callback(thread.shutdown, cancel_futures=True)
            thread.submit(torch.get_num_threads).result()  # it has started
            yield _BesideOthers(encoder, thread)
    finally:
        torch.set_num_threads(available)  # what threads of others find when they start


def require_finite(streams: dict[str, np.ndarray], *, near: Path) -> None:
    """Refuse values that a store, which keeps 16 bits, cannot hold: DataError that names a video near them."""
    with np.errstate(over="ignore"):  # the overflow is what is looked for
        finite = all(np.isfinite(rows.astype(np.float16)).all() for rows in streams.values())
    if not finite:
        raise DataError(
            f"the encoder gave values that are not finite in 16 bits, near {near}; "
            "try --precision fp32, and check the weights"
        )
