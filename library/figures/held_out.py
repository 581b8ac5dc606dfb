"""Held out: the videos on which something of a run may be fitted, because they neither trained nor measure it."""

from pathlib import Path
from typing import TYPE_CHECKING

from framebank.store.counts import counted, listed
from framebank.store.errors import DataError
from framebank.store.videos.split_names import usual_split

if TYPE_CHECKING:
    from framebank.heads.training.run import Run
    from framebank.store import FeatureStore, Manifest


def held_out_split(
    run: "Run", bank: "FeatureStore | str | Path | None", split: str, *, folder: Path, what: str
) -> "tuple[FeatureStore, Manifest]":
    """Return a store, by default the one of the run, and a split of it; `what` is to be fitted there.

    DataError for the split "test", for "train", "all" and the split that the run was trained on, and if the split holds
    training videos of the run.
    """
    from framebank.library.stores import open_store

    store = open_store(run.store if bank is None else bank)
    split = store.manifest.split_named(split)
    _require_held_out(split, run.trained_on.get("split"), where=folder, what=what)
    manifest = store.split(split)
    seen = run.trained_videos_among(manifest.columns.ids, store=store.path)
    if seen:
        raise DataError(
            f"{folder}: was trained on {counted(len(seen), 'video')} of the split {split!r}: {listed(seen, most=3)}; "
            "expected videos that it was not trained on"
        )
    return store, manifest


def _require_held_out(split: str, trained_on: object, *, where: Path, what: str) -> None:
    if usual_split(split) == "test":
        raise DataError(f"{where}: {what} is not fitted on the split {split!r}, which measures it; expected 'val'")
    if split == trained_on or usual_split(split) in ("train", "all"):
        raise DataError(
            f"{where}: {what} is not fitted on the split {split!r}, which may hold videos that the run was "
            "trained on; expected one that was held out, such as 'val'"
        )
