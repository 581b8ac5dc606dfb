"""Stores joined and divided: videos copied bit for bit, a shard in memory at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from framebank.store.errors import DataError, near_names
from framebank.store.features import FeatureStore
from framebank.store.files import require_new_folder
from framebank.store.ledger import Failure, Ledger
from framebank.store.manifest import Manifest, Video
from framebank.store.reader import ShardReader
from framebank.store.repair import same_rows, writing
from framebank.store.rewrite import drop_videos
from framebank.store.shard import ShardWriter, shard_paths
from framebank.store.spelling import nfc


@dataclass(frozen=True)
class Merge:
    """What became of a merge: videos copied, those that were there with the same rows, and failures that stay."""

    copied: int
    already_there: int
    failed: int


def merge_stores(sources: Sequence[Path], out: Path, *, max_videos: int = 512) -> Merge:
    """Copy the videos of stores made alike into `out`, new or one made alike too, in shards of `max_videos`.

    A video with the same rows in two stores is taken once. A failure stays where no store embedded the video. Killed
    at any moment, `out` is a store that lacks some videos, and merging again does the rest. DataError, before anything
    is written, where specs differ, a video has different rows, labels, splits or files in two of them, or `out` is one
    of the sources.
    """
    for source in sources:
        if source.resolve() == out.resolve():
            raise DataError(f"{source}: is both merged and written to; expected another folder to write to")
    stores = [FeatureStore(source) for source in sources]
    _require_free(out)
    _plan(out, stores)
    require_new_folder(out, what="store")
    with ShardWriter(out, stores[0].spec, max_videos=max_videos, min_seconds=float("inf")) as writer:
        place, manifest, failures = _plan(out, stores)  # again, now that nobody else writes to it
        manifest.write(out / "manifest.csv")
        todo = [(video_id, store) for video_id, store in place.items() if store.path != out]
        _copy(todo, writer)
        writer.flush()
        _write_failures(out, failures, place)
    return Merge(len(todo), sum(map(len, stores)) - len(todo), len(failures))


def split_store(store: FeatureStore, parts: Mapping[Path, Manifest], *, max_videos: int = 512) -> dict[Path, int]:
    """Write a new store for each part of the manifest, its failures with it; return how many videos each has.

    DataError, before anything is written, where a folder holds a store already.
    """
    for folder in parts:
        if shard_paths(folder) or (folder / "manifest.csv").exists():
            raise DataError(f"{folder}: holds a store or a manifest.csv already; expected a new folder")
    counts = {}
    for folder, manifest in parts.items():
        require_new_folder(folder, what="store")
        with ShardWriter(folder, store.spec, max_videos=max_videos, min_seconds=float("inf")) as writer:
            own = {video.video_id for video in manifest.videos}
            manifest.write(folder / "manifest.csv")
            _write_failures(folder, [failure for failure in store.failures if failure.video_id in own], ())
            todo = [(video_id, store) for video_id in store.ids if video_id in own]
            _copy(todo, writer)
        counts[folder] = len(todo)
    return counts


def remove_videos(folder: Path, video_ids: Sequence[str]) -> int:
    """Take videos out of a store: their rows, failures and lines of the manifest; return how many had rows.

    DataError, before anything is touched, for ids that the store does not know, or where none would be left.
    """
    with writing(folder):
        manifest, ledger = Manifest.read_csv(folder / "manifest.csv"), Ledger(folder / "failed.csv")
        gone = set(map(nfc, video_ids))
        hits: dict[Path, list[int]] = {}
        known = {video.video_id for video in manifest.videos} | {failure.video_id for failure in ledger.read()}
        for path in shard_paths(folder):
            with ShardReader(path) as reader:
                ids = reader.contents.ids
            known.update(map(nfc, ids))
            positions = [position for position, video_id in enumerate(ids) if nfc(video_id) in gone]
            if positions:
                hits[path] = positions
        unknown = [video_id for video_id in video_ids if nfc(video_id) not in known]
        if unknown:
            shown = ", ".join(repr(video_id) for video_id in unknown[:3]) + (", ..." if len(unknown) > 3 else "")
            raise DataError(f"{folder}: has no video {shown}{near_names(unknown[0], known)}; nothing was removed")
        kept = tuple(video for video in manifest.videos if nfc(video.video_id) not in gone)
        if not kept:
            raise DataError(f"{folder}: would have no video left; remove the folder instead")
        for path, positions in hits.items():
            drop_videos(path, positions)
        ledger.forget(gone)
        Manifest(kept).write(folder / "manifest.csv")  # last: until then, the same command can be given again
    return sum(map(len, hits.values()))


def _require_free(out: Path) -> None:
    if (out / "manifest.csv").exists() and not (out / "writer.lock").exists():
        raise DataError(f"{out}: holds a manifest.csv that is not a store's; expected another folder to write to")


def _plan(out: Path, sources: Sequence[FeatureStore]) -> tuple[dict[str, FeatureStore], Manifest, list[Failure]]:
    """Return the store that each video comes from, the list and the failures of all; `out` counts as the first."""
    stores = [*([FeatureStore(out)] if shard_paths(out) else []), *sources]
    for store in stores[1:]:
        stores[0].spec.require_equal(store.spec, mine=stores[0].path, theirs=store.path)
    place = _require_same_rows(stores)
    ledgers = [Ledger(folder / "failed.csv") for folder in (out, *(store.path for store in sources))]
    return place, _joined(stores), _open_failures(ledgers, place)


def _require_same_rows(stores: Sequence[FeatureStore]) -> dict[str, FeatureStore]:
    """Return the first store that holds each video; DataError where a later one holds other rows."""
    place: dict[str, FeatureStore] = {}
    for store in stores:
        for video_id in store:
            first = place.setdefault(video_id, store)
            if first is not store and not same_rows(first.read_video(video_id), store.read_video(video_id)):
                raise DataError(f"{video_id!r} has other rows in {store.path} than in {first.path}; remove one of them")
    return place


def _joined(stores: Sequence[FeatureStore]) -> Manifest:
    """Return one list of all videos; what one list leaves empty another may fill. DataError where two disagree."""
    manifest = stores[0].manifest
    for store in stores[1:]:
        rows = {video.video_id: video for video in manifest.videos}
        newer = [_filled(rows.get(video.video_id), video, where=store.path) for video in store.manifest.videos]
        manifest = manifest.merged(Manifest(tuple(newer)))
    return manifest


def _filled(old: Video | None, new: Video, *, where: Path) -> Video:
    for name in ("label", "split") if old else ():
        before, now = getattr(old, name), getattr(new, name)
        if before and now and before != now:
            raise DataError(f"{where}: the {name} of {new.video_id!r} is {now!r}, in another of the stores {before!r}")
    if not old:
        return new
    return replace(new, label=new.label or old.label, split=new.split or old.split, group=new.group or old.group)


def _open_failures(ledgers: Iterable[Ledger], embedded: Mapping[str, object]) -> list[Failure]:
    failures: dict[str, Failure] = {}
    for ledger in ledgers:
        for failure in ledger.read():
            if failure.video_id not in embedded:
                failures.setdefault(failure.video_id, failure)
    return list(failures.values())


def _write_failures(folder: Path, failures: Iterable[Failure], embedded: Iterable[str]) -> None:
    ledger = Ledger(folder / "failed.csv")
    ledger.forget(set(embedded))
    there = {failure.video_id for failure in ledger.read()}
    for failure in failures:
        if failure.video_id not in there:
            ledger.add(failure)


def _copy(todo: Iterable[tuple[str, FeatureStore]], writer: ShardWriter) -> None:
    for video_id, store in todo:
        writer.add(video_id, store.read_video(video_id), decoder=store.decoders[video_id])
