"""Plan: what an extraction or an import has left to do."""

from dataclasses import dataclass
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.ledger import Ledger
from framebank.store.manifest import Manifest, Video
from framebank.store.shard import shard_paths
from framebank.store.spec import FeatureSpec


@dataclass(frozen=True)
class Plan:
    """What filling a store would do: the manifest it will have, the videos to embed, and those left alone."""

    manifest: Manifest
    missing: tuple[Video, ...]
    failed_before: tuple[Video, ...]


def plan_store(
    folder: Path, manifest: Manifest, spec: FeatureSpec, *, retry_failed: bool = False, what: str = "extraction"
) -> Plan:
    """Return what is left to do for the videos of `manifest`. Writes nothing.

    A video that failed before is tried again with `retry_failed` alone. DataError where the store was made otherwise
    than `spec` says, or holds another file under the same video_id; or as `refuse_foreign`.
    """
    held: FeatureStore | None = None
    merged = manifest
    if shard_paths(folder):
        held = FeatureStore(folder)
        held.spec.require_equal(spec, mine=folder, theirs=f"this {what}")
        manifest = manifest.with_ids_of(held.manifest)
        merged = held.manifest.merged(manifest)
    else:
        refuse_foreign(folder)
    missing = [video for video in manifest.videos if held is None or video.video_id not in held]
    failed = set() if retry_failed else {failure.video_id for failure in Ledger(folder / "failed.csv").read()}
    return Plan(
        merged,
        missing=tuple(video for video in missing if video.video_id not in failed),
        failed_before=tuple(video for video in missing if video.video_id in failed),
    )


def refuse_foreign(folder: Path) -> None:
    """Refuse a folder whose manifest.csv is no store's, and would be written over: DataError."""
    if shard_paths(folder) or not (folder / "manifest.csv").exists() or (folder / "writer.lock").exists():
        return
    raise DataError(f"{folder}: holds a manifest.csv that is not a store's; expected another folder to write to")
