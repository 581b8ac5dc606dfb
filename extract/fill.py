"""Fill a store: find what is left to do, and do it. What is left is the manifest minus what complete shards hold."""

import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from framebank.extract.decoders.pixels import SQUARE
from framebank.extract.lanes import FrameEncoder
from framebank.extract.pipeline import Outcome, extract_videos
from framebank.extract.pool import WaitingWorkers
from framebank.extract.worker import Task
from framebank.store.features import FeatureStore
from framebank.store.files.replacing import require_new_folder
from framebank.store.ledger import Failure, Ledger
from framebank.store.shard import ShardWriter
from framebank.store.spec import FeatureSpec
from framebank.store.upkeep.adoption import PARTS, Adopter, part_name, remove_parts_folder, take_parts
from framebank.store.upkeep.plan import Choices, Plan, carry_out, plan_extraction, refuse_foreign
from framebank.store.videos.manifest import Manifest, Video

# Embeds the videos of a plan into the store of a writer, and yields the result of each.
Embed = Callable[[Plan, ShardWriter], Generator[Outcome, None, None]]


@dataclass(frozen=True)
class Filling:
    """A store that is being filled: what is to do, and the result of each video, reported once."""

    plan: Plan
    outcomes: Generator[Outcome, None, None]


@contextmanager
def filling(
    folder: Path,
    manifest: Manifest,
    *,
    spec: FeatureSpec,
    embed: Embed,
    choices: Choices | None = None,
    min_seconds: float = 5.0,
) -> Iterator[Filling]:
    """Own a store while `embed` adds the missing videos of `manifest`; give what is to do, and the outcomes.

    First the part stores of an earlier run are taken in; then the manifest is written, moved videos get their new
    video_ids, and videos to prune are removed. Killed at any moment, what complete shards hold stays, and the next run
    does the rest.
    """
    refuse_foreign(folder)  # before the lock file is there, which tells a store's manifest from a user's
    require_new_folder(folder, what="store")
    with ShardWriter(folder, spec, min_seconds=min_seconds) as writer:
        take_parts(folder)
        # Planned under the lock: another process may have filled the store in the meantime.
        plan = plan_extraction(folder, manifest, spec, choices or Choices())
        carry_out(folder, plan)
        outcomes = embed(plan, writer)
        try:
            yield Filling(plan, outcomes)
        finally:
            outcomes.close()  # before the writer closes: what is embedded is written


def store_spec(encoder: FeatureSpec, *, sampling: str, decoder: str, pixels: str = SQUARE) -> FeatureSpec:
    """Return the spec of a store made with this encoder, sampling, decoder and shape of pixels."""
    return replace(encoder, sampling=sampling, decoder=decoder, pixels=pixels)


def fill_store(
    folder: Path,
    manifest: Manifest,
    *,
    spec: FeatureSpec,
    task: Task,
    encoders: Sequence[FrameEncoder],
    retry_failed: bool = False,
    batch_size: int = 64,
    num_workers: int = 2,
    time_limit: float = 300.0,
    min_seconds: float = 5.0,
) -> Generator[Outcome, None, None]:
    """Embed the videos of `manifest` that the store lacks, write the manifest, and yield the result of each video.

    A failure is in failed.csv before it is yielded. Killed at any moment, what complete shards hold stays, and the
    next run does the rest. `min_seconds` is how long embedded videos wait in memory at least, as in ShardWriter.
    """
    engine = LocalEngine(
        task, encoders, batch_size=batch_size, num_workers=num_workers, time_limit=time_limit, min_seconds=min_seconds
    )
    choices = Choices(retry_failed=retry_failed)
    with filling(folder, manifest, spec=spec, embed=engine.embed, choices=choices, min_seconds=min_seconds) as found:
        yield from found.outcomes


@dataclass(frozen=True)
class LocalEngine:
    """The processes and devices of this machine; `waiting_workers` have started already."""

    task: Task
    encoders: Sequence[FrameEncoder]
    batch_size: int = 64
    num_workers: int = 2
    time_limit: float = 300.0
    min_seconds: float = 5.0
    waiting_workers: WaitingWorkers | None = None

    def embed(self, plan: Plan, writer: ShardWriter) -> Generator[Outcome, None, None]:
        """Embed the videos of a plan and yield the result of each; a failure is in failed.csv before it is yielded."""
        ledger = Ledger(writer.folder / "failed.csv")
        yield from self._embed(plan.missing, writer, ledger)
        if plan.refreshed:
            yield from self._refresh(plan.refreshed, writer, ledger)

    def _refresh(self, videos: Sequence[Video], writer: ShardWriter, ledger: Ledger) -> Generator[Outcome, None, None]:
        """Embed videos into a part store, and replace the older rows by its rows."""
        part = writer.folder / PARTS / part_name(uuid.uuid4().hex[:8], 0, 1)
        part.mkdir(parents=True)
        writer.flush()  # so that the store to which the part is joined holds all there is
        try:
            with ShardWriter(part, writer.spec, min_seconds=self.min_seconds) as beside:
                yield from self._embed(videos, beside, ledger)
        finally:
            Adopter(writer.folder, held=FeatureStore(writer.folder)).adopt(part)
            remove_parts_folder(writer.folder)

    def _embed(self, videos: Sequence[Video], writer: ShardWriter, ledger: Ledger) -> Generator[Outcome, None, None]:
        for outcome in extract_videos(
            videos,
            task=self.task,
            encoders=self.encoders,
            writer=writer,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            time_limit=self.time_limit,
            waiting_workers=self.waiting_workers,
        ):
            if outcome.error:
                failure = Failure(outcome.video.video_id, str(outcome.video.path), outcome.error, outcome.source)
                ledger.add(failure)
            yield outcome
