"""Join and split stores: copy videos bit for bit, with one shard in memory at a time."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from framebank.store.counts import listed
from framebank.store.errors import DataError, near_names
from framebank.store.features import FeatureStore, read_manifest
from framebank.store.files.kinds import refuse_inside_own
from framebank.store.files.replacing import current, refuse_inside, require_new_folder, write_text
from framebank.store.ledger import Failure, Ledger
from framebank.store.shard import ShardWriter, shard_paths
from framebank.store.upkeep.history import NAME as HISTORY_NAME
from framebank.store.upkeep.history import History, Setting
from framebank.store.upkeep.known_files import known_identities
from framebank.store.upkeep.plan import refuse_foreign
from framebank.store.upkeep.repair import same_rows, writing
from framebank.store.upkeep.rewrite import change_store
from framebank.store.videos.identity import Identity
from framebank.store.videos.manifest import Manifest, Video
from framebank.store.videos.selection import matching, where
from framebank.store.videos.spelling import nfc


@dataclass(frozen=True)
class Merge:
    """The result of a merge: videos copied, those that were there with the same rows, and failures that stay."""

    copied: int
    already_there: int
    failed: int


def merge_stores(sources: Sequence[Path], out: Path, *, max_videos: int = 512) -> Merge:
    """Copy the videos of stores made in the same way into `out`, a new store or one made in that way, in shards of
    `max_videos`.

    A video with the same rows in two stores is taken once. A failure stays if no store embedded the video. After a kill
    at any moment, `out` is a store that lacks some videos, and merging again does the rest. DataError, before anything
    is written, if specs differ, if a video has different rows, labels, splits or files in two stores, or if `out` is
    one of the sources.
    """
    for source in sources:
        if source.resolve() == out.resolve():
            raise DataError(f"{source}: is a source and also the output; expected another folder for the output")
    refuse_inside(out, sources, what="store")
    stores = [FeatureStore(source) for source in sources]
    _require_free(out)
    refuse_foreign(out)
    _plan(out, stores)
    require_new_folder(out, what="store")
    with ShardWriter(out, stores[0].spec, max_videos=max_videos, min_seconds=float("inf")) as writer:
        place, manifest, failures = _plan(out, stores)  # again, now that nobody else writes to it
        by_hand = _set_by_hand(out, sources)  # before the list says so: what is by hand is never taken for the folder's
        if by_hand.changes:
            write_text(out / HISTORY_NAME, by_hand.text())
        manifest.write(out / "manifest.csv")
        todo = [(video_id, store) for video_id, store in place.items() if store.path != out]
        _copy(todo, writer)
        writer.flush()
        _write_failures(out, failures, place)
    return Merge(len(todo), sum(map(len, stores)) - len(todo), len(failures))


def split_store(store: FeatureStore, parts: Mapping[Path, Manifest], *, max_videos: int = 512) -> dict[Path, int]:
    """Write a new store for each part of the manifest, its failures with it; return how many videos each has.

    After a kill at any moment, a part is missing or lacks some videos, and splitting again does the rest. DataError,
    before anything is written, if a folder holds anything else than that part, or some of it.
    """
    for folder, manifest in parts.items():
        refuse_inside(folder, [store.path], what="store")
        refuse_inside_own(folder)
        _require_part(folder, store, manifest)
        refuse_foreign(folder)
    counts = {}
    for folder, manifest in parts.items():
        require_new_folder(folder, what="store")
        with ShardWriter(folder, store.spec, max_videos=max_videos, min_seconds=float("inf")) as writer:
            _require_part(folder, store, manifest)  # again, now that nobody else writes to it
            own = {video.video_id for video in manifest.videos}
            by_hand = _set_by_hand(folder, [store.path], only=own)
            if by_hand.changes:
                write_text(folder / HISTORY_NAME, by_hand.text())
            manifest.write(folder / "manifest.csv")
            _write_failures(folder, [failure for failure in store.failures if failure.video_id in own], ())
            there = set(FeatureStore(folder)) if shard_paths(folder) else set()
            _copy([(video_id, store) for video_id in store.ids if video_id in own and video_id not in there], writer)
        counts[folder] = sum(video_id in own for video_id in store.ids)
    return counts


def _require_part(folder: Path, store: FeatureStore, manifest: Manifest) -> None:
    """Refuse a folder that holds a store or a list, unless a killed split of this same part left it there."""
    listed = current(folder, "manifest.csv")
    if not shard_paths(folder) and not listed.exists():
        return
    is_part = listed.exists() and (folder / "writer.lock").exists() and read_manifest(folder) == manifest
    if is_part and shard_paths(folder):
        there = FeatureStore(folder)
        is_part = there.spec == store.spec and all(
            video_id in store and same_rows(there.read_video(video_id), store.read_video(video_id))
            for video_id in there
        )
    if not is_part:
        raise DataError(f"{folder}: holds a store or a manifest.csv already; expected a new folder")


def find_videos(folder: Path, patterns: Sequence[str], conditions: Mapping[str, str]) -> list[str]:
    """Return the ids in a store that patterns mean, and of those that meet all conditions on the columns of its list.

    DataError if a pattern or the conditions meet no video.
    """
    manifest = read_manifest(folder)
    try:
        met = where(manifest, conditions) if conditions else list(_known(folder, manifest))
        return list(matching(patterns, met)) if patterns else met
    except DataError as error:
        raise DataError(f"{folder}: {error}; nothing was removed") from error


def remove_videos(folder: Path, video_ids: Sequence[str]) -> int:
    """Take videos out of a store: their rows, failures and lines of the manifest; return how many had rows.

    DataError, before anything is touched, for ids that the store does not know, or where none would be left.
    """
    with writing(folder):
        manifest, gone = Manifest.read_csv(folder / "manifest.csv"), set(map(nfc, video_ids))
        known = _known(folder, manifest)
        unknown = [video_id for video_id in video_ids if nfc(video_id) not in known]
        if unknown:
            shown = listed(map(repr, unknown), most=3)
            raise DataError(f"{folder}: has no video {shown}{near_names(unknown[0], known)}; nothing was removed")
        kept = tuple(video for video in manifest.videos if nfc(video.video_id) not in gone)
        if not kept:
            raise DataError(f"{folder}: would have no videos left; remove the folder instead")
        history = History.read(folder)
        newer = history.with_removed(sorted(gone))
        texts = {"manifest.csv": Manifest(kept).text()} | ({HISTORY_NAME: newer.text()} if newer != history else {})
        change_store(folder, dropped=gone, texts=texts | Ledger(folder / "failed.csv").texts_without(gone))
    return len([video_id for video_id in gone if known[video_id]])


def _known(folder: Path, manifest: Manifest) -> dict[str, bool]:
    """Return all videos that a store knows, and whether each has rows."""
    names = [video.video_id for video in manifest.videos]
    names += [failure.video_id for failure in Ledger(folder / "failed.csv").read()]
    return dict.fromkeys(names, False) | dict.fromkeys(FeatureStore(folder) if shard_paths(folder) else (), True)


def _require_free(out: Path) -> None:
    if (out / "manifest.csv").exists() and not (out / "writer.lock").exists():
        raise DataError(f"{out}: holds a manifest.csv that does not belong to a store; expected another folder")


def _plan(out: Path, sources: Sequence[FeatureStore]) -> tuple[dict[str, FeatureStore], Manifest, list[Failure]]:
    """Return the store that each video comes from, the list and the failures of all; `out` counts as the first."""
    stores = [*([FeatureStore(out)] if shard_paths(out) else []), *sources]
    for store in stores[1:]:
        stores[0].spec.require_equal(store.spec, mine=stores[0].path, theirs=store.path)
    place = _require_same_rows(stores)
    ledgers = [Ledger(folder / "failed.csv") for folder in (out, *(store.path for store in sources))]
    return place, _joined(stores), _open_failures(ledgers, place)


def _require_same_rows(stores: Sequence[FeatureStore]) -> dict[str, FeatureStore]:
    """Return the first store that holds each video; DataError if a later one holds other rows."""
    place: dict[str, FeatureStore] = {}
    for store in stores:
        for video_id in store:
            first = place.setdefault(video_id, store)
            if first is not store and not same_rows(first.read_video(video_id), store.read_video(video_id)):
                raise DataError(f"{video_id!r} has other rows in {store.path} than in {first.path}; remove one of them")
    return place


def _joined(stores: Sequence[FeatureStore]) -> Manifest:
    """Return one list of all videos; what one list leaves empty another may fill. DataError if two disagree."""
    manifest = stores[0].manifest
    for store in stores[1:]:
        rows = {video.video_id: video for video in manifest.videos}
        named = store.manifest.with_splits_of(manifest, where=stores[0].path)
        newer = [_filled(rows.get(video.video_id), video, where=store.path) for video in named.videos]
        manifest = manifest.merged(Manifest(tuple(newer)))
    return manifest


def _filled(old: Video | None, new: Video, *, where: Path) -> Video:
    for name in ("label", "split") if old else ():
        before, now = getattr(old, name), getattr(new, name)
        if before and now and before != now:
            raise DataError(f"{where}: the {name} of {new.video_id!r} is {now!r}, in another of the stores {before!r}")
    if not old:
        return new
    kept = {name: getattr(new, name) or getattr(old, name) for name in ("label", "split", "group", "extra")}
    return replace(new, **kept)


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
    known: dict[Path, Mapping[str, Identity]] = {}
    for video_id, store in todo:
        if store.path not in known:
            known[store.path] = known_identities(store)
        source = known[store.path].get(video_id)
        writer.add(
            video_id, store.read_video(video_id), decoder=store.decoders[video_id], source=str(source) if source else ""
        )


def _set_by_hand(out: Path, sources: Sequence[Path], *, only: Container[str] | None = None) -> History:
    """Return the history of `out` with what was set by hand in the sources, and not there yet."""
    history = History.read(out)
    there = history.by_hand
    found: dict[Setting, str] = {}
    for source in sources:
        for key, value in History.read(source).by_hand.items():
            if key not in there and (only is None or key[0] in only):
                found.setdefault(key, value)
    return history.with_set(found, old=dict.fromkeys(found, "")) if found else history
