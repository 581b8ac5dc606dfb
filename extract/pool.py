"""DecodePool: workers that decode videos ahead of the encoder; one that hangs, crashes or is old is replaced."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import connection as channels
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from framebank.extract.decoders.frames import Clip
from framebank.extract.worker import Job, Slots, Task, slots_size, work
from framebank.store.errors import DataError
from framebank.store.files.process import Process, died_of, shared_memory
from framebank.store.files.scratch import scratch_path, sweep_scratch
from framebank.store.videos.manifest import Video

# A worker is replaced after this many videos, because decoders keep memory.
VIDEOS_PER_WORKER = 500

# How long frames are waited for before it is asked again whether more processes are needed; and the first frames.
LOOK_SECONDS, FIRST_SECONDS = 0.1, 1.0

# What a worker imports before anything else.
PRELOAD = ("framebank.extract.worker", "framebank.extract.decoders.decode")


@dataclass(frozen=True)
class Chunk:
    """Some more frames of a video, (N, views, S, S, 3) uint8; valid until the next event is asked for."""

    video: Video
    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Cleared:
    """The chunks of this video so far were chosen by a wrong count; they come again."""

    video: Video


@dataclass(frozen=True)
class Decoded:
    """All chunks of this video have come."""

    video: Video
    clip: Clip


@dataclass(frozen=True)
class Failed:
    """There are no frames of this video, or no more."""

    video: Video
    reason: str
    source: str = ""  # the identity of its file in words, where a worker could still tell it


Event = Chunk | Cleared | Decoded | Failed


class _Worker:
    """One process, the video it is at, the memory it shares, and a folder for the files it keeps for a while."""

    slots: Slots

    def __init__(self) -> None:
        self.video: Video | None = None
        self.done = 0
        # The worker makes it: where this process is killed before that, nothing is left.
        self.scratch = str(scratch_path())
        self._memory = shared_memory(0)
        try:
            self.process = Process(
                name="decoding process", descriptors=[self._memory], preload=PRELOAD, scratch=self.scratch
            )
        except BaseException:
            os.close(self._memory)
            raise
        self.channel = self.process.channel

    def begin(self, task: Task, pixel_shape: tuple[int, ...]) -> None:
        """Tell the process its task, and make room for its pixels."""
        os.ftruncate(self._memory, slots_size(pixel_shape))
        self.slots = Slots(self._memory, pixel_shape)
        self.process.call(work, self._memory, task, pixel_shape, self.scratch)

    def give(self, video: Video) -> None:
        self.video = video
        self.channel.send(Job(video.path, video.start, video.end))

    def end(self) -> str:
        """Kill the process, remove what it left, and return the cause if it had died by itself."""
        # One that crashes closes its channel a little before it is gone.
        code = self.process.wait(0.2 if self.video else 0)
        self.process.close()
        os.close(self._memory)
        shutil.rmtree(self.scratch, ignore_errors=True)
        return "" if code is None else died_of(code)


class WaitingWorkers:
    """Decoding processes that start while an encoder loads, before there is a task for them; a context manager.

    A DecodePool takes them before it starts others. Those that none took end with this.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._workers: list[_Worker] = []

    def __enter__(self) -> "WaitingWorkers":
        sweep_scratch()
        try:
            self._workers.extend(_Worker() for _ in range(self._count))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def __len__(self) -> int:
        """How many nobody has taken."""
        return len(self._workers)

    def take(self) -> _Worker | None:
        """Return one that nobody has taken, or None."""
        return self._workers.pop() if self._workers else None

    def _end(self) -> None:
        while worker := self.take():
            worker.end()


class DecodePool:
    """Decode videos in up to `num_workers` processes, none of which runs the caller's main; a context manager.

    It begins with those that are `waiting`, or with one, and starts another when the caller has to wait for frames and
    this is worth it.

    If a video takes more than `time_limit` seconds of work, without the time of waiting for the encoder, its worker is
    killed and the video fails. If a worker dies, its present video fails, and the worker is replaced. If a worker dies
    before it has begun, or lacks a library, that is a DataError that blames no video.
    """

    def __init__(
        self,
        task: Task,
        *,
        num_workers: int,
        time_limit: float = 300.0,
        videos_per_worker: int = VIDEOS_PER_WORKER,
        waiting: WaitingWorkers | None = None,
    ) -> None:
        self._waiting = waiting or WaitingWorkers(0)
        self.task = task
        self.num_workers = num_workers
        self.time_limit = time_limit
        self.videos_per_worker = videos_per_worker
        height, width = task.preprocessing.size
        self._pixel_shape = (len(task.preprocessing.views), height, width, 3)
        self._workers: list[_Worker] = []
        self._has_served = False  # whether frames have come, or a video has failed

    def __enter__(self) -> "DecodePool":
        sweep_scratch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def run(self, videos: Iterable[Video], *, starve: Callable[[float], bool] = lambda _: True) -> Iterator[Event]:
        """Decode the videos and yield what happens, in the order in which it happens.

        `starve` is told for how many seconds the caller waited for frames, each time that it did, and says whether
        another process is worth its cost.
        """
        source = iter(videos)
        waited = 0.0  # for the first frames
        for _ in range(min(self.num_workers, max(1, len(self._waiting)))):
            self._start_one(source)
        while busy := [worker for worker in self._workers if worker.video]:
            heard = [worker.channel for worker in busy]
            ready = channels.wait(heard, timeout=0)
            if not ready:
                since = time.monotonic()
                ready = channels.wait(heard, timeout=min(LOOK_SECONDS, self.time_limit / 4))
                seconds = time.monotonic() - since
                waited += seconds
                if starve(seconds) if self._has_served else waited >= FIRST_SECONDS:
                    self._grow(source)
                    waited = 0.0
            for worker in busy:
                if worker.channel in ready:
                    yield from self._hear(worker, source)
                elif not worker.process.is_ready:
                    worker.process.require_begun()
                elif self._is_late(worker):
                    reason = f"decoding took longer than {self.time_limit:g} seconds and was given up"
                    yield from self._replace(worker, source, reason=reason)

    def _grow(self, source: Iterator[Video]) -> None:
        """Start one more worker, as the caller has to wait, if the others have begun for the greater part.

        A slow encoder is served by one worker, and each further one would take computing time from it.
        """
        begun = sum(worker.process.is_ready for worker in self._workers)
        if len(self._workers) < min(self.num_workers, 2 * begun):
            self._start_one(source)

    def _start_one(self, source: Iterator[Video]) -> None:
        video = next(source, None)
        if video is not None:
            self._start(video)

    def _start(self, video: Video) -> None:
        worker = self._waiting.take() or _Worker()
        self._workers.append(worker)
        worker.begin(self.task, self._pixel_shape)
        with contextlib.suppress(OSError):  # it has died already, which is heard where it is listened to
            worker.give(video)

    def _hear(self, worker: _Worker, source: Iterator[Video]) -> Iterator[Event]:
        """Take one message of a worker, and give it the next video when it is done with one."""
        assert worker.video
        try:
            message = worker.process.hear()
        except (EOFError, OSError):
            yield from self._replace(worker, source, reason="")
            return
        if message is None:  # it has begun
            return
        kind, *rest = message
        video = worker.video
        self._has_served = True
        if kind == "chunk":
            slot, count = rest
            yield Chunk(video, worker.slots.pixels[slot, :count])
            self._send(worker, slot)
        elif kind == "clear":
            yield Cleared(video)
        elif kind == "unable":
            raise DataError(rest[0])
        else:
            worker.video = None
            worker.done += 1
            self._go_on(worker, source)
            yield Decoded(video, rest[0]) if kind == "done" else Failed(video, *rest)

    def _go_on(self, worker: _Worker, source: Iterator[Video]) -> None:
        if worker.done >= self.videos_per_worker:
            self._workers.remove(worker)
            self._send(worker, None)
            worker.process.wait(1.0)
            worker.end()
            self._start_one(source)
            return
        following = next(source, None)
        if following is None:
            return
        try:
            worker.give(following)
        except OSError:  # it was killed after its last video was done, which is not this one's fault
            worker.end()
            self._workers.remove(worker)
            self._start(following)

    def _replace(self, worker: _Worker, source: Iterator[Video], *, reason: str) -> Iterator[Event]:
        video = worker.video
        assert video
        if reason:
            worker.process.kill()
        cause = worker.end()
        self._workers.remove(worker)
        self._start_one(source)
        yield Failed(video, f"{video.path}: {reason or f'the decoder crashed ({cause})'}")

    def _is_late(self, worker: _Worker) -> bool:
        since = worker.slots.working_since
        return since > 0 and time.monotonic() - since > self.time_limit

    def _send(self, worker: _Worker, message: Any) -> None:
        with contextlib.suppress(OSError):  # it has died; the next wait finds its channel closed
            worker.channel.send(message)
