"""Filling a store: what is left to do, and doing it. Resuming is the manifest minus what complete shards hold."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from framebank.extract.pipeline import FrameEncoder, Outcome, extract_videos
from framebank.extract.pixels import SQUARE
from framebank.extract.worker import Task
from framebank.store.files import require_new_folder
from framebank.store.ledger import Failure, Ledger
from framebank.store.manifest import Manifest
from framebank.store.plan import plan_store, refuse_foreign
from framebank.store.shard import ShardWriter
from framebank.store.spec import FeatureSpec


def store_spec(encoder: FeatureSpec, *, sampling: str, decoder: str, pixels: str = SQUARE) -> FeatureSpec:
    """Return what a store made with this encoder, sampling, decoder and shape of pixels says of itself."""
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
    """Embed what the store lacks of `manifest`, keep the manifest beside it, and yield what became of each video.

    A failure is in failed.csv before it is yielded. Killed at any moment, what complete shards hold stays, and the
    next run does the rest. `min_seconds` is how long embedded videos wait in memory at least, as in ShardWriter.
    """
    refuse_foreign(folder)  # before a lock lies there, which is what tells a store's manifest from a user's
    require_new_folder(folder, what="store")
    ledger = Ledger(folder / "failed.csv")
    with ShardWriter(folder, spec, min_seconds=min_seconds) as writer:
        # Planned under the lock: another process may have filled the store in the meantime.
        plan = plan_store(folder, manifest, spec, retry_failed=retry_failed)
        plan.manifest.write(folder / "manifest.csv")
        ledger.forget({video.video_id for video in plan.missing})
        for outcome in extract_videos(
            plan.missing,
            task=task,
            encoders=encoders,
            writer=writer,
            batch_size=batch_size,
            num_workers=num_workers,
            time_limit=time_limit,
        ):
            if outcome.error:
                ledger.add(Failure(outcome.video.video_id, str(outcome.video.path), outcome.error))
            yield outcome
