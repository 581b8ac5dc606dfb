"""Filling a store: what is left to do, and doing it. Resuming is the manifest minus what complete shards hold."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from framebank.extract.pipeline import Clip, FrameEncoder, Outcome, extract_videos
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.files import require_new_folder
from framebank.store.ledger import Failure, Ledger
from framebank.store.manifest import Manifest, Video
from framebank.store.shard import ShardWriter, shard_paths
from framebank.store.spec import FeatureSpec


def store_spec(encoder: FeatureSpec, *, num_frames: int, decoder: str) -> FeatureSpec:
    """Return what a store made with this encoder, sampling and decoder says of itself."""
    return replace(encoder, sampling=f"segments:{num_frames}", decoder=decoder)


def plan_store(folder: Path, manifest: Manifest, spec: FeatureSpec) -> tuple[Manifest, tuple[Video, ...]]:
    """Return the manifest the store will have, and which of the videos it does not hold yet. Writes nothing.

    DataError where the store was made otherwise than `spec` says, or holds another file under the same video_id; or
    where the folder holds a manifest.csv that no extraction wrote, and that would be written over.
    """
    if not shard_paths(folder):
        if (folder / "manifest.csv").exists() and not (folder / "writer.lock").exists():
            raise DataError(
                f"{folder}: holds a manifest.csv that is not a store's; expected another folder to write to"
            )
        return manifest, manifest.videos
    store = FeatureStore(folder)
    store.spec.require_equal(spec, mine=folder, theirs="this extraction")
    return store.manifest.merged(manifest), tuple(v for v in manifest.videos if v.video_id not in store)


def fill_store(
    folder: Path,
    manifest: Manifest,
    videos: Sequence[Video],
    *,
    spec: FeatureSpec,
    read_clip: Callable[[Path], Clip],
    encoder: FrameEncoder,
    batch_size: int = 64,
    num_workers: int = 2,
) -> Iterator[Outcome]:
    """Embed `videos` into the store, keep `manifest` beside them, and yield what became of each video.

    A failure is in failed.csv before it is yielded. Killed at any moment, what complete shards hold stays, and the
    next run does the rest.
    """
    require_new_folder(folder, what="store")
    ledger = Ledger(folder / "failed.csv")
    with ShardWriter(folder, spec) as writer:
        # Again, now that nobody else writes: another process may have filled the store since it was planned.
        manifest, missing = plan_store(folder, manifest, spec)
        wanted = {video.video_id for video in videos}
        videos = [video for video in missing if video.video_id in wanted]
        manifest.write(folder / "manifest.csv")
        ledger.forget({video.video_id for video in videos})
        for outcome in extract_videos(
            videos,
            read_clip=read_clip,
            encoder=encoder,
            writer=writer,
            batch_size=batch_size,
            num_workers=num_workers,
        ):
            if outcome.error:
                ledger.add(Failure(outcome.video.video_id, str(outcome.video.path), outcome.error))
            yield outcome
