"""Filling a store: what is left to do, and doing it. Resuming is the manifest minus what complete shards hold."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from framebank.extract.pipeline import FrameEncoder, Outcome, extract_videos
from framebank.extract.worker import Task
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.files import require_new_folder
from framebank.store.ledger import Failure, Ledger
from framebank.store.manifest import Manifest, Video
from framebank.store.shard import ShardWriter, shard_paths
from framebank.store.spec import FeatureSpec


@dataclass(frozen=True)
class Plan:
    """What an extraction would do: the manifest that the store will have, the videos to embed, and those left alone."""

    manifest: Manifest
    missing: tuple[Video, ...]
    failed_before: tuple[Video, ...]


def store_spec(encoder: FeatureSpec, *, sampling: str, decoder: str) -> FeatureSpec:
    """Return what a store made with this encoder, sampling and decoder says of itself."""
    return replace(encoder, sampling=sampling, decoder=decoder)


def plan_store(folder: Path, manifest: Manifest, spec: FeatureSpec, *, retry_failed: bool = False) -> Plan:
    """Return what is left to do for the videos of `manifest`. Writes nothing.

    A video that failed before is tried again with `retry_failed` alone. DataError where the store was made otherwise
    than `spec` says, or holds another file under the same video_id; or where the folder holds a manifest.csv that no
    extraction wrote, and that would be written over.
    """
    held: FeatureStore | None = None
    merged = manifest
    if shard_paths(folder):
        held = FeatureStore(folder)
        held.spec.require_equal(spec, mine=folder, theirs="this extraction")
        merged = held.manifest.merged(manifest)
    elif (folder / "manifest.csv").exists() and not (folder / "writer.lock").exists():
        raise DataError(f"{folder}: holds a manifest.csv that is not a store's; expected another folder to write to")
    missing = [video for video in manifest.videos if held is None or video.video_id not in held]
    failed = set() if retry_failed else {failure.video_id for failure in Ledger(folder / "failed.csv").read()}
    return Plan(
        merged,
        missing=tuple(video for video in missing if video.video_id not in failed),
        failed_before=tuple(video for video in missing if video.video_id in failed),
    )


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
) -> Generator[Outcome, None, None]:
    """Embed what the store lacks of `manifest`, keep the manifest beside it, and yield what became of each video.

    A failure is in failed.csv before it is yielded. Killed at any moment, what complete shards hold stays, and the
    next run does the rest.
    """
    plan_store(folder, manifest, spec)  # before a lock lies there, which is what tells a store's manifest from a user's
    require_new_folder(folder, what="store")
    ledger = Ledger(folder / "failed.csv")
    with ShardWriter(folder, spec) as writer:
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
