"""Remote worker: one encoder and its decoding processes on some machine, which fills part stores a slice at a time."""

import socket
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch

from framebank.extract.cluster.slices import Slice
from framebank.extract.decoders.pixels import SQUARE
from framebank.extract.fill import fill_store, store_spec
from framebank.extract.lanes import FrameEncoder
from framebank.extract.pipeline import Outcome
from framebank.extract.sampling import Sampling
from framebank.extract.worker import Decode, Task
from framebank.store.errors import DataError
from framebank.store.spec import FeatureSpec
from framebank.store.videos.manifest import Manifest

# How often a worker reports what is done, and checks whether its run still goes on.
TELL_SECONDS = 1.0

# How long a file that another machine has just made may take to be seen on a network file system.
SIGHT_SECONDS = 10.0


@dataclass(frozen=True)
class Work:
    """What is done to every slice, on any machine. It travels by pickle, so its functions belong to modules.

    `make_encoder` is called with `device=`, `decoder_versions` names what `decode` reads with, and `pixels` is how it
    reads, as in the spec. A part store gets a shard every `min_seconds` at most: what a worker that is lost has to do
    again.
    """

    make_encoder: Callable[..., FrameEncoder]
    sampling: Sampling
    decode: Decode
    decoder_versions: Callable[[], str]
    batch_size: int = 64
    time_limit: float = 300.0
    min_seconds: float = 60.0
    pixels: str = SQUARE


class RemoteWorker:
    """What one process of the cluster does: make its encoder once, then fill the part store of each slice."""

    def __init__(self, work: Work, *, device: str, num_workers: int, num_threads: int) -> None:
        self.work = work
        self.device = device
        self.num_workers = num_workers
        self.num_threads = num_threads
        self._made: tuple[FrameEncoder, FeatureSpec] | None = None

    def prepare(self) -> FeatureSpec:
        """Make the encoder, and return the spec of a store that this worker fills; DataError as of the encoder."""
        return self._make()[1]

    def fill(self, piece: Slice, *, spec: FeatureSpec) -> Generator[list[Outcome], None, None]:
        """Embed a slice and yield the results of its videos, about once a second.

        It ends early, with what is done on disk, when the sign of the run is gone. DataError if this machine does
        not see the store or the videos, or would fill the store otherwise than `spec` says.
        """
        encoder, own = self._make()
        host = socket.gethostname()
        spec.require_equal(own, mine="this extraction", theirs=f"the worker on {host}")
        _require_in_sight(piece, host=host)
        outcomes = fill_store(
            piece.part,
            Manifest(piece.videos),
            spec=spec,
            task=Task(self.work.sampling, encoder.preprocessing, self.work.decode, clip_frames=encoder.clip_frames),
            encoders=[encoder],
            batch_size=self.work.batch_size,
            num_workers=self.num_workers,
            time_limit=self.work.time_limit,
            min_seconds=self.work.min_seconds,
        )
        told: list[Outcome] = []
        since = time.monotonic()
        try:
            for outcome in outcomes:
                told.append(outcome)
                if time.monotonic() - since >= TELL_SECONDS:
                    yield told
                    told, since = [], time.monotonic()
                    if not piece.sign.exists():
                        return
        finally:
            outcomes.close()  # writes what is embedded
        yield told

    def _make(self) -> tuple[FrameEncoder, FeatureSpec]:
        if self._made is None:
            torch.set_num_threads(self.num_threads)
            encoder = self.work.make_encoder(device=self.device)
            spec = store_spec(
                encoder.spec,
                sampling=self.work.sampling.spec,
                decoder=self.work.decoder_versions(),
                pixels=self.work.pixels,
            )
            self._made = encoder, spec
        return self._made


def _require_in_sight(piece: Slice, *, host: str) -> None:
    deadline = time.monotonic() + SIGHT_SECONDS
    while not piece.sign.exists():
        if time.monotonic() > deadline:
            raise DataError(
                f"the worker on {host} does not see the store {piece.sign.parent.parent}; "
                "expected a folder on a file system that all machines share, at the same path"
            )
        time.sleep(0.1)
    if piece.witness and not piece.witness.exists():
        raise DataError(
            f"the worker on {host} does not see the video {piece.witness}; "
            "expected videos on a file system that all machines share, at the same path"
        )
