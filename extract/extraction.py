"""Extraction: what embeds videos, and the result of each video."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from framebank.extract.cluster.remote_worker import Work
from framebank.extract.fill import Embed, LocalEngine, store_spec
from framebank.extract.pipeline import Outcome
from framebank.extract.pool import WaitingWorkers
from framebank.extract.worker import Task
from framebank.store.features import FeatureStore
from framebank.store.shard import shard_paths
from framebank.store.spec import FeatureSpec
from framebank.store.upkeep.plan import Plan
from framebank.store.upkeep.status import drift_report

HALF = 2  # bytes of a number in 16 bits


def left_out(folder: Path, video_ids: Iterable[str]) -> dict[str, str]:
    """Return what was left out of each damaged video among these, by video_id, from the store in a folder."""
    decoders = FeatureStore(folder).decoders if shard_paths(folder) else {}
    notes = {name: decoders.get(name, "").partition(" (")[2].rstrip(")") for name in video_ids}
    return {name: note for name, note in notes.items() if note}


class Engine(Protocol):
    """What embeds videos: this machine, or a cluster."""

    @property
    def spec(self) -> FeatureSpec:
        """How it makes a store."""
        ...

    @property
    def random_weights(self) -> bool:
        """Whether its encoder has no trained weights."""
        ...

    @property
    def embed(self) -> Embed:
        """Embed the videos of a plan."""
        ...


class LocalMachine:
    """An engine of one machine, with an encoder on each of some devices; `waiting_workers` have started already.

    `video_bytes` is what a video takes in a store if its streams hold all tokens of a frame, or else 0.
    """

    def __init__(
        self, work: Work, *, devices: list[str], num_workers: int, waiting_workers: WaitingWorkers | None = None
    ) -> None:
        encoders = [work.make_encoder(device=name) for name in devices]
        first: Any = encoders[0]
        self.random_weights: bool = first.random_weights
        self.video_bytes = _video_bytes(first, work)
        self.spec = store_spec(
            first.spec, sampling=work.sampling.spec, decoder=work.decoder_versions(), pixels=work.pixels
        )
        self.embed: Embed = LocalEngine(
            Task(work.sampling, first.preprocessing, work.decode, clip_frames=first.clip_frames),
            encoders,
            batch_size=work.batch_size,
            num_workers=num_workers,
            time_limit=work.time_limit,
            waiting_workers=waiting_workers,
        ).embed


def _video_bytes(encoder: Any, work: Work) -> int:
    """Return the size of a video's rows where the stream trunk is wanted, found with one black picture; else 0."""
    if "trunk" not in encoder.spec.stream_names:
        return 0
    black = np.zeros((1, *encoder.preprocessing.size, 3), dtype=np.uint8)
    picture = HALF * sum(int(rows[0].size) for rows in encoder.encode_frames(black).values())
    return picture * work.sampling.num_rows * len(encoder.preprocessing.views)


class Tally:
    """The results of the videos of one extraction."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._started = time.perf_counter()
        self._outcomes: dict[str, Outcome] = {}

    def add(self, outcome: Outcome) -> None:
        """Count a video; if it is reported again, the last report counts."""
        self._outcomes[outcome.video.video_id] = outcome

    @property
    def failed(self) -> list[Outcome]:
        """The videos that gave no embedding."""
        return [outcome for outcome in self._outcomes.values() if outcome.error]

    @property
    def embedded(self) -> list[str]:
        """The video_ids of those that were embedded."""
        return [name for name, outcome in self._outcomes.items() if not outcome.error]

    @property
    def without_embedding(self) -> int:
        """How many of the given videos have no embedding: they failed now or before, and have no older rows."""
        again = {video.video_id for video in self.plan.refreshed}
        return len([one for one in self.failed if one.video.video_id not in again]) + len(self.plan.failed_before)

    def report(self) -> dict[str, Any]:
        """Return the counts, and the changes of files by name: the contract for scripts."""
        plan = self.plan
        given = {video.video_id for video in plan.given.videos} - set(plan.pruned)
        return {
            "videos": len(plan.given),
            "embedded": len(self._outcomes) - len(self.failed),
            "failed": len(self.failed),
            "failed_before": len(plan.failed_before),
            "already_there": len(given) - len(plan.todo) - len(plan.failed_before),
            "refreshed": len([v for v in plan.refreshed if not self._has_failed(v.video_id)]),
            **drift_report(plan),
            "frames": sum(outcome.num_frames for outcome in self._outcomes.values()),
            "seconds": round(time.perf_counter() - self._started, 2),
        }

    def _has_failed(self, video_id: str) -> bool:
        outcome = self._outcomes.get(video_id)
        return outcome is None or bool(outcome.error)
