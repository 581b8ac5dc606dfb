"""Cluster: a store filled by the workers of a Ray cluster, each on its own device. The only door to ray."""

import contextlib
import functools
import itertools
import os
import socket
import time
import uuid
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from framebank.extract.cluster.remote_worker import RemoteWorker, Work
from framebank.extract.cluster.slices import Piece, cut, slice_length
from framebank.extract.fill import filling
from framebank.extract.pipeline import Outcome
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.lazy import require
from framebank.store.shard import ShardWriter
from framebank.store.spec import FeatureSpec
from framebank.store.upkeep.adoption import PARTS, SIGN, Adopter, remove_parts_folder
from framebank.store.upkeep.plan import Choices, Plan
from framebank.store.videos.manifest import Manifest

# How many workers in a row may die before they begin.
STARTS = 3

# How long a cluster may take to answer at its address; Ray itself tries for minutes if nobody answers.
ANSWER_SECONDS = 10.0

# How long workers may take to write what they have when a run is stopped.
PATIENCE_SECONDS = 30.0

# The memory for objects of a Ray that we start: slices and outcomes are small.
OBJECT_BYTES = 200 * 1024 * 1024


class Cluster:
    """The workers of a Ray cluster, each with its own encoder; a context manager.

    `address` is HOST:PORT of a cluster that this machine belongs to; without it and RAY_ADDRESS one is started here
    for as long as this lasts. There are `num_workers`, or one for each GPU or, without any, each machine; all have the
    same number of CPUs, as many as there are. With "auto" a worker has a GPU where the cluster has any. DataError if
    ray is not installed, the cluster cannot be reached or has no such room, or the encoder cannot be made.
    """

    def __init__(
        self, work: Work, *, address: str | None = None, num_workers: int | None = None, device: str = "auto"
    ) -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise DataError(f"the device {device!r} cannot be chosen on a cluster; expected auto, cpu or cuda")
        self.work = work
        self.spec: FeatureSpec  # of the store, as the first worker that is ready gives it
        self._ray: Any = require("ray", extra="ray", what="--engine ray")
        self._address = address
        self._wanted = num_workers
        self._device = device
        self._connected = False
        self._starting: dict[Any, Any] = {}  # what tells that a worker is ready -> worker
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, Piece]] = {}  # the stream of its outcomes -> worker and slice
        self._lost_starts = 0

    def __enter__(self) -> "Cluster":
        self._connected = _connect(self._ray, self._address)
        try:
            rooms = _rooms(self._ray, device=self._device)
            self._num_workers, self._num_cpus, self._gpu = divide(rooms, self._wanted)
            if self._device == "cuda" and not self._gpu:
                raise DataError("the cluster has no GPU; expected --device auto or cpu")
            for _ in range(self._num_workers):
                self._hire()
            while not self._idle:
                self._listen()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    @property
    def random_weights(self) -> bool:
        """Whether the encoder has no trained weights."""
        return not self.spec.pretrained

    def fill(
        self, folder: Path, manifest: Manifest, *, retry_failed: bool = False, slice_size: int | None = None
    ) -> Generator[Outcome, None, None]:
        """Embed what the store lacks of `manifest`, and yield what became of each video, as `fill_store` does.

        If a worker is lost after it reported a video, the video may be reported again with another result. Closed or
        killed at any moment, what complete shards hold stays, and the next extraction does the rest. DataError if a
        slice lost three workers, and as a worker finds (`RemoteWorker.fill`).
        """
        embed, choices = functools.partial(self.embed, slice_size=slice_size), Choices(retry_failed=retry_failed)
        with filling(folder, manifest, spec=self.spec, embed=embed, choices=choices) as found:
            yield from found.outcomes

    def embed(self, plan: Plan, writer: ShardWriter, slice_size: int | None = None) -> Generator[Outcome, None, None]:
        """Embed the videos of a plan into the store that `writer` owns, for `filling`; errors as `fill`."""
        folder = writer.folder.absolute()  # its shards come from the parts alone
        sign = folder / PARTS / f"{SIGN}{uuid.uuid4().hex[:8]}"
        sign.parent.mkdir(exist_ok=True)
        sign.touch()
        again = {video.video_id for video in plan.refreshed}
        adopter = Adopter(folder, held=FeatureStore(folder) if again else None, refreshed=again)
        for _ in range(self._num_workers - len(self._idle) - len(self._starting)):  # those an earlier fill lost
            self._hire()
        try:
            pieces = cut(plan.todo, slice_size or slice_length(len(plan.todo), self._num_workers))
            yield from self._go_through(pieces, adopter, sign=sign)
        finally:
            sign.unlink(missing_ok=True)
            self._put_down(adopter)
            remove_parts_folder(folder)

    def _go_through(self, fresh: Iterator[Piece], adopter: Adopter, *, sign: Path) -> Iterator[Outcome]:
        """Get every slice done; other workers do the slices of lost ones."""
        todo: deque[Piece] = deque()
        while True:
            if not todo:
                todo.extend(itertools.islice(fresh, 1))
            if not todo and not self._busy:
                return
            if todo and self._idle:
                self._give(todo.popleft(), sign=sign)
                continue
            stream = self._listen()
            if stream is None:
                continue
            worker, piece = self._busy[stream]
            outcomes, lost = self._hear(stream)
            if outcomes is not None:
                yield from piece.news(outcomes)
                continue
            del self._busy[stream]
            if lost:
                self._hire()
            else:
                self._idle.append(worker)
            yield from piece.settle(adopter.adopt(piece.part))
            if piece.videos:
                piece.require_attempts_left(lost)
                todo.append(piece)

    def _hire(self) -> None:
        """Ask for one more worker; it may have to wait until the cluster has room."""
        hired = self._ray.remote(RemoteWorker).options(
            num_cpus=self._num_cpus, num_gpus=int(self._gpu), scheduling_strategy="SPREAD"
        )
        worker = hired.remote(
            self.work,
            device="cuda" if self._gpu else "cpu",
            num_workers=self._num_cpus,
            # On a CPU the last bit of a sum depends on the number of threads: that of this machine, where it fits.
            num_threads=min(torch.get_num_threads(), self._num_cpus),
        )
        self._starting[worker.prepare.remote()] = worker

    def _give(self, piece: Piece, *, sign: Path) -> None:
        worker = self._idle.pop()
        stream = worker.fill.options(num_returns="streaming").remote(piece.start(sign), spec=self.spec)
        self._busy[stream] = (worker, piece)

    def _listen(self, timeout: float | None = None) -> Any:
        """Wait until something happens, and return the stream that has news; None if a worker has become ready."""
        ready, _ = self._ray.wait([*self._busy, *self._starting], num_returns=1, timeout=timeout)
        if not ready or ready[0] in self._busy:
            return ready[0] if ready else None
        worker = self._starting.pop(ready[0])
        try:
            spec = self._ray.get(ready[0])
        except self._ray.exceptions.RayTaskError as error:
            raise _cause(error) from error
        except self._ray.exceptions.RayError as error:
            self._lost_starts += 1
            if self._lost_starts >= STARTS:
                raise DataError(f"{STARTS} workers in a row died before they could begin: {_words(error)}") from error
            self._hire()
            return None
        self._lost_starts = 0
        self.spec = getattr(self, "spec", spec)
        self._idle.append(worker)
        return None

    def _hear(self, stream: Any) -> tuple[list[Outcome] | None, str]:
        """Return some outcomes of a slice; at its end None, with the reason where its worker was lost."""
        try:
            return self._ray.get(next(stream)), ""
        except StopIteration:
            return None, ""
        except self._ray.exceptions.RayTaskError as error:
            raise _cause(error) from error
        except self._ray.exceptions.RayError as error:
            return None, _words(error)

    def _put_down(self, adopter: Adopter) -> None:
        """Wait until the workers of a stopped run have written what they have, and take it in."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        waiting = dict(self._busy)
        while waiting and (left := deadline - time.monotonic()) > 0:
            for stream in self._ray.wait(list(waiting), num_returns=1, timeout=left)[0]:
                outcomes, lost = None, ""
                with contextlib.suppress(Exception):  # the first error is raised already
                    outcomes, lost = self._hear(stream)
                if outcomes is None:
                    worker, _ = waiting.pop(stream)
                    self._idle += [worker] * (not lost)
        for worker, _ in waiting.values():
            self._ray.kill(worker)
        for _, piece in self._busy.values():
            adopter.adopt(piece.part)
        self._busy.clear()

    def _leave(self) -> None:
        for worker in (*self._idle, *self._starting.values()):
            self._ray.kill(worker)
        self._idle.clear()
        self._starting.clear()
        if self._connected:
            self._ray.shutdown()
            self._connected = False


def divide(rooms: Sequence[tuple[int, int]], num_workers: int | None) -> tuple[int, int, bool]:
    """Return how many workers there are, the CPUs of each, and whether each has a GPU.

    `rooms` are the (CPUs, GPUs) of each machine. DataError if so many workers have no room.
    """
    with_gpus = any(gpus for _, gpus in rooms)

    def room(share: int) -> int:
        return sum(min(cpus // share, gpus) if with_gpus else cpus // share for cpus, gpus in rooms)

    count = num_workers or (room(1) if with_gpus else sum(cpus > 0 for cpus, _ in rooms))
    if not 0 < count <= room(1):
        needs = "a CPU and a GPU" if with_gpus else "a CPU"
        raise DataError(f"the cluster has room for {room(1)} workers with {needs} each, not for {max(count, 1)}")
    share = max(share for share in range(1, max(cpus for cpus, _ in rooms) + 1) if room(share) >= count)
    return count, share, with_gpus


def _connect(ray: Any, address: str | None) -> bool:
    """Connect to a cluster, or start one here; return False where this process was connected already."""
    if ray.is_initialized():
        return False
    if address and "://" in address:
        raise DataError(f"the address {address!r} is not HOST:PORT; this must run on a machine of the cluster itself")
    quiet = {"logging_level": "WARNING", "log_to_driver": False}
    where = address or os.environ.get("RAY_ADDRESS")
    try:
        if where:
            _require_answer(where)
            ray.init(address=where, **quiet)
        else:  # not "auto", which would join a cluster that another process has started for itself
            ray.init(address="local", include_dashboard=False, object_store_memory=OBJECT_BYTES, **quiet)
    except Exception as error:  # of several kinds, some of them plain ones
        can = f"reached at {where} from this machine" if where else "started on this machine"
        raise DataError(f"no Ray cluster can be {can}: {_words(error)}") from error
    return True


def _require_answer(where: str) -> None:
    """Raise OSError or ValueError if nobody listens at HOST:PORT; other names of a cluster are Ray's to judge."""
    host, colon, port = where.rpartition(":")
    if colon and "://" not in where:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()


def _rooms(ray: Any, *, device: str) -> list[tuple[int, int]]:
    """Return the (CPUs, GPUs) of each machine, its GPUs counted as none if only CPUs are to be used."""
    found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [(int(has.get("CPU", 0)), int(has.get("GPU", 0)) if device != "cpu" else 0) for has in found]


def _cause(error: Any) -> BaseException:
    """Return the error of a worker: only the sentence of a DataError, anything else with the worker's traceback."""
    return DataError(str(error.cause)) if isinstance(error.cause, DataError) else error


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]
