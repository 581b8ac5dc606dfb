"""Plan: what an extraction or an import has left to do; also do the part that needs no embedding."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.files.replacing import current
from framebank.store.ledger import Ledger
from framebank.store.shard import shard_paths
from framebank.store.spec import FeatureSpec
from framebank.store.upkeep.drift import Drift, find_drift
from framebank.store.upkeep.history import NAME as HISTORY_NAME
from framebank.store.upkeep.history import History, Setting, with_value
from framebank.store.upkeep.known_files import NAME as LEARNED_NAME
from framebank.store.upkeep.known_files import learned_text, read_learned
from framebank.store.upkeep.rewrite import change_store
from framebank.store.videos.identity import Identity
from framebank.store.videos.manifest import Manifest, Video


@dataclass(frozen=True)
class Choices:
    """What to do about videos that failed, changed or are gone, and the folders that were given."""

    retry_failed: bool = False
    refresh: bool = False
    prune: bool = False
    roots: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What filling a store would do.

    `given` are the videos to fill it with, each under its video_id in the store. `manifest` is the list that the store
    will have, `missing` are the videos to embed, and `failed_before` are skipped. `refreshed` videos are embedded
    again: their rows stay until the new ones are there. `drift` holds the changes of the files, `pruned` the videos to
    remove (none whose folder is there and empty), and `by_hand` the values of the folder that differ from one set by
    hand.
    """

    given: Manifest
    manifest: Manifest
    missing: tuple[Video, ...]
    failed_before: tuple[Video, ...]
    refreshed: tuple[Video, ...] = ()
    drift: Drift = field(default_factory=Drift)
    pruned: tuple[str, ...] = ()
    by_hand: Mapping[Setting, str] = field(default_factory=dict)

    @property
    def todo(self) -> tuple[Video, ...]:
        """All videos to embed."""
        return (*self.missing, *self.refreshed)


def plan_store(
    folder: Path, manifest: Manifest, spec: FeatureSpec, *, retry_failed: bool = False, what: str = "extraction"
) -> Plan:
    """Return what is left to do for the videos of `manifest`, without a look at their files. Writes nothing.

    A video that failed before is tried again only with `retry_failed`. DataError if the store has another spec than
    `spec`, or holds another file under the same video_id; or as `refuse_foreign`.
    """
    held = _held(folder, spec, what=what)
    manifest = _named_as_in(held, manifest)
    failed = set() if retry_failed else {failure.video_id for failure in Ledger(folder / "failed.csv").read()}
    missing = [video for video in manifest.videos if held is None or video.video_id not in held]
    return Plan(
        manifest,
        _merged(held, manifest, Drift(), refresh=False)[0],
        missing=tuple(video for video in missing if video.video_id not in failed),
        failed_before=tuple(video for video in missing if video.video_id in failed),
    )


def plan_extraction(folder: Path, manifest: Manifest, spec: FeatureSpec, choices: Choices) -> Plan:
    """Return what is left to do, as `plan_store`, but compare each file with the one that the store knows."""
    held = _held(folder, spec, what="extraction")
    manifest = _named_as_in(held, manifest)
    failures = Ledger(folder / "failed.csv").read()
    drift = find_drift(held, manifest, failures=failures, roots=choices.roots) if held else Drift()
    pruned = set(drift.gone).difference(drift.in_empty_folders) if choices.prune else set()
    rows = (set(held or ()) - drift.moved.keys() - pruned) | set(drift.moved.values())
    merged, by_hand = _merged(held, manifest, drift, refresh=choices.refresh)
    kept = tuple(video for video in merged.videos if video.video_id not in pruned)
    if not kept:
        raise DataError(f"{folder}: would have no videos left; remove the folder instead")
    another = {*drift.changed, *drift.unsure} if choices.refresh else set()
    failed = set() if choices.retry_failed else {failure.video_id for failure in failures} - another
    wanted = [video for video in manifest.videos if video.video_id not in pruned]
    missing = [video for video in wanted if video.video_id not in rows]
    return Plan(
        manifest,
        Manifest(kept),
        missing=tuple(video for video in missing if video.video_id not in failed),
        failed_before=tuple(video for video in missing if video.video_id in failed),
        refreshed=tuple(video for video in wanted if video.video_id in rows and video.video_id in another),
        drift=drift,
        pruned=tuple(sorted(pruned)),
        by_hand=by_hand,
    )


def carry_out(folder: Path, plan: Plan) -> None:
    """Write the manifest of a plan, give moved videos their new video_id, and drop those that are gone.

    The caller holds the lock of the store. All of it is done, or nothing.
    """
    moved, pruned = plan.drift.moved, plan.pruned
    learned = _renamed(read_learned(folder), moved, pruned) | _renamed(plan.drift.learned, moved, pruned)
    again = {*(video.video_id for video in plan.todo), *pruned, *moved.values()}
    texts = {"manifest.csv": plan.manifest.text(), **Ledger(folder / "failed.csv").texts_without(again)}
    if plan.drift.learned or moved or (pruned and learned):
        texts[LEARNED_NAME] = learned_text(learned)
    history = History.read(folder)
    newer = history.with_moved(moved).with_removed(pruned)
    if newer != history:
        texts[HISTORY_NAME] = newer.text()
    change_store(folder, dropped=pruned, renamed=moved, texts=texts)


OTHERS = ("checkpoint.safetensors", "matcher.safetensors", "index.faiss")  # what no store holds


def refuse_foreign(folder: Path) -> None:
    """Refuse a folder of a run or an index, or one whose manifest.csv does not belong to a store: DataError."""
    for name in OTHERS:
        if current(folder, name).exists():
            raise DataError(f"{folder}: holds {name}, so it is a run or an index; choose another folder")
    if shard_paths(folder) or not (folder / "manifest.csv").exists() or (folder / "writer.lock").exists():
        return
    raise DataError(f"{folder}: holds a manifest.csv that does not belong to a store; expected another folder")


def _held(folder: Path, spec: FeatureSpec, *, what: str) -> FeatureStore | None:
    if not shard_paths(folder):
        refuse_foreign(folder)
        return None
    held = FeatureStore(folder)
    held.spec.require_equal(spec, mine=folder, theirs=f"this {what}")
    return held


def _named_as_in(held: FeatureStore | None, given: Manifest) -> Manifest:
    """Return the given videos with the ids and the names of splits that a store has for them."""
    return given.with_ids_of(held.manifest).with_splits_of(held.manifest, where=held.path) if held else given


def _merged(
    held: FeatureStore | None, given: Manifest, drift: Drift, *, refresh: bool
) -> tuple[Manifest, dict[Setting, str]]:
    """Return the list of the store and the given videos, and the given values that differ from values set by hand.

    A video whose rows come from another file than the given one stays in the list as it was, until it is refreshed.
    """
    if held is None:
        return given, {}
    listed = {video.video_id: video for video in held.manifest.videos}
    taken = set(drift.moved.values()) - drift.moved.keys()  # by a video that moves there: a failed one had that name
    newer = {video.video_id: video for video in given.videos}
    before = [
        replace(v, video_id=drift.moved[name], path=newer[drift.moved[name]].path) if name in drift.moved else v
        for name, v in listed.items()
        if name not in taken
    ]
    rows = {video.video_id: video for video in Manifest(tuple(before)).merged(given).videos}
    for name in () if refresh else (*drift.changed, *drift.unsure):
        if name in listed and name in held and listed[name].path.absolute() != rows[name].path.absolute():
            rows[name] = listed[name]
    against: dict[Setting, str] = {}
    for (name, column), value in History.read(held.path).with_moved(drift.moved).by_hand.items():
        if name not in rows:
            continue
        told = getattr(newer.get(name), column, "")
        if told and told != value:
            against[name, column] = told
        rows[name] = with_value(rows[name], column, value)
    return Manifest(tuple(rows.values())), against


def _renamed(
    identities: Mapping[str, Identity], moved: Mapping[str, str], pruned: tuple[str, ...]
) -> dict[str, Identity]:
    return {moved.get(name, name): one for name, one in identities.items() if name not in pruned}
