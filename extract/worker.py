"""Worker: a process that decodes videos and hands over pixels; if it hangs or crashes, that costs one video.

Loads neither torch nor HDF5: a worker is small, starts fast and is replaced often, as decoders keep memory.
"""

import contextlib
import mmap
import os
import shutil
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from framebank.extract.decoders.frames import Clip, Sink
from framebank.extract.encoders.preprocess import Preprocessing
from framebank.extract.sampling import Sampling
from framebank.extract.windows import require_whole_clips
from framebank.store.errors import DataError, reason_of
from framebank.store.files.scratch import hold_scratch
from framebank.store.videos.identity import Identity, glance_at, identify_quietly

Decode = Callable[[Path, Callable[[npt.NDArray[np.float64]], npt.NDArray[np.int64]], Sink], Clip]

# Frames in one chunk, and how many chunks a worker may be ahead of the encoder.
CHUNK_FRAMES = 8
SLOTS = 4

CLOCK = struct.Struct("d")


@dataclass(frozen=True)
class Job:
    """A video, or the part of it from `start` to `end` seconds."""

    path: Path
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Task:
    """What is done to every video: which frames, which pixels, by which decoder. Travels to the workers by pickle.

    An encoder of clips reads `clip_frames` frames at once. DataError if the sampling gives every video the same number
    of frames, and they do not fill whole clips.
    """

    sampling: Sampling
    preprocessing: Preprocessing
    decode: Decode
    clip_frames: int = 1

    def __post_init__(self) -> None:
        """Check that the frames fill whole clips."""
        if self.sampling.is_fixed:
            require_whole_clips(int(self.sampling.numbers[-1]), size=self.clip_frames)

    def run(self, job: Job, sink: Sink) -> Clip:
        """Decode one video into the sink; DataError if it cannot be read."""

        def sample(times: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
            try:
                return self.sampling.rows(times, start=job.start, end=job.end)
            except DataError as error:
                raise DataError(f"{job.path}: {error}") from error

        return self.decode(job.path, sample, sink)


class Slots:
    """Memory that a worker shares with the pipeline: `SLOTS` chunks of pixels, and the clock of the current video."""

    def __init__(self, descriptor: int, pixel_shape: tuple[int, ...]) -> None:
        self.memory = mmap.mmap(descriptor, slots_size(pixel_shape))
        shape = (SLOTS, CHUNK_FRAMES, *pixel_shape)
        self.pixels: npt.NDArray[np.uint8] = np.ndarray(shape, np.uint8, self.memory, offset=CLOCK.size)

    @property
    def working_since(self) -> float:
        """When the work on the video began, as time.monotonic() without the time of waiting; 0 while waiting."""
        return float(CLOCK.unpack_from(self.memory)[0])

    @working_since.setter
    def working_since(self, moment: float) -> None:
        CLOCK.pack_into(self.memory, 0, moment)


def slots_size(pixel_shape: tuple[int, ...]) -> int:
    """Return how many bytes `Slots` takes for frames of (views, S, S, 3) pixels."""
    return CLOCK.size + SLOTS * CHUNK_FRAMES * int(np.prod(pixel_shape))


class _SlotSink:
    """The end of the worker: preprocess each frame into a slot, send the slot when it is full, wait for a free one."""

    def __init__(self, slots: Slots, connection: "Connection[Any, Any]", preprocess: Preprocessing) -> None:
        self._slots = slots
        self._connection = connection
        self._preprocess = preprocess
        self._free = list(range(SLOTS))
        self._slot = -1
        self._count = 0

    def add(self, index: int, image: npt.NDArray[np.uint8]) -> None:
        if self._slot < 0:
            self._slot = self._wait()
        self._slots.pixels[self._slot, self._count] = self._preprocess(image)
        self._count += 1
        if self._count == CHUNK_FRAMES:
            self.flush()

    def clear(self) -> None:
        self._count = 0
        self._connection.send(("clear",))

    def tick(self) -> None:
        pass

    def flush(self) -> None:
        if self._count:
            self._connection.send(("chunk", self._slot, self._count))
            self._slot, self._count = -1, 0

    def reclaim(self) -> None:
        """Begin the next video and forget what a failed one left unsent."""
        self._count = 0

    def _wait(self) -> int:
        while not self._free or self._connection.poll():
            since = self._slots.working_since
            self._slots.working_since = 0.0
            paused = time.monotonic()
            self._free.append(self._connection.recv())
            self._slots.working_since = since + time.monotonic() - paused
        return self._free.pop()

    def accept(self, slot: int) -> None:
        self._free.append(slot)


def work(
    connection: "Connection[Any, Any]", memory: int, task: Task, pixel_shape: tuple[int, ...], scratch: str
) -> None:
    """Do the jobs that come through the connection, until None comes or the other end closes.

    Temporary files, such as the member of a tar, are in the folder `scratch`. The worker makes that folder and removes
    it when it ends; if it is killed, the other end removes it.

    `memory` is the descriptor of the slots. A number is a slot that is free again. Answers ("chunk", slot, frames),
    ("clear",), and in the end ("done", clip), ("failed", reason, identity of the file), or ("unable", reason) where no
    video is at fault.
    """
    _offer_to_oom_killer()
    hold_scratch(Path(scratch))
    tempfile.tempdir = scratch
    slots = Slots(memory, pixel_shape)
    os.close(memory)
    sink = _SlotSink(slots, connection, task.preprocessing)
    try:
        while (message := connection.recv()) is not None:
            if isinstance(message, int):
                sink.accept(message)
            else:
                sink.reclaim()
                slots.working_since = time.monotonic()
                answer = _answer(task, message, sink)
                slots.working_since = 0.0
                connection.send(answer)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the pipeline is gone, and nobody needs these frames
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _answer(task: Task, job: Job, sink: _SlotSink) -> tuple[str, Any] | tuple[str, Any, str]:
    found = identify_quietly(job.path)
    source = str(found) if found else ""
    try:
        clip = task.run(job, sink)
        sink.flush()
        _require_unchanged(job.path, found)
    except DataError as error:
        return "failed", str(error), source
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except ImportError as error:  # of a library: every other video would fail in the same way
        return "unable", f"the decoding processes cannot work ({type(error).__name__}: {error})"
    except MemoryError:
        return "failed", f"{job.path}: decoding it takes more memory than there is", source
    except OSError as error:  # of a folder of frames, `filename` is one of them
        return "failed", f"{error.filename or job.path}: cannot be read: {error.strerror or reason_of(error)}", source
    except Exception as error:  # a decoder's own failure costs this video alone
        return "failed", f"{job.path}: {type(error).__name__}: {error}", source
    return "done", replace(clip, source=source)


def _require_unchanged(path: Path, found: Identity | None) -> None:
    """Refuse a file that changed while it was read, such as one that is still being copied: DataError."""
    try:
        now = glance_at(path) if found else None
    except OSError as error:
        raise DataError(f"{path}: cannot be read any more: {error.strerror}") from error
    if found and now != found.glance:
        raise DataError(f"{path}: changed while it was read; expected a file that no program writes to")


def _offer_to_oom_killer() -> None:
    """Make the worker the first victim when memory runs out: that costs one video and not the pipeline."""
    with contextlib.suppress(OSError):  # if this is not Linux
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
