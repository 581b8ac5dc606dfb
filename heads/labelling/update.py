"""Updating: make an index follow its store, and keep its enrolled classes and its calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from framebank.heads.labelling.calibrate import calibrated, renewed, require_alike
from framebank.heads.labelling.enroll import free_id
from framebank.heads.labelling.levels import followed
from framebank.heads.labelling.neighbours import index_store, run_of
from framebank.heads.training.run import Run
from framebank.store.errors import DataError, near_names
from framebank.store.features import FeatureStore
from framebank.store.indexes.enrolment import Enrolment, changing
from framebank.store.indexes.index import Index
from framebank.store.indexes.origin import (
    REMOVED,
    UNKNOWN,
    USELESS,
    Difference,
    difference,
    marks_of,
    row_of,
)
from framebank.store.videos.manifest import Manifest


@dataclass(frozen=True)
class Updated:
    """An index as it now is, and how its store differed from what it held before."""

    index: Index
    difference: Difference


def update_index(
    folder: Path,
    store: FeatureStore,
    *,
    split: str | None = None,
    run: Run | None = None,
    run_path: Path | None = None,
    device: torch.device,
    remove: Sequence[str] = (),
    add: Sequence[str] = (),
) -> Updated:
    """Bring the index in a folder up to its store as it now is, pooled in the same way, of the same split.

    Only videos that are new, or whose rows are other ones, are pooled. Videos to `remove` leave the index and stay out
    of it until they are named in `add`.

    Enrolled classes and the calibration stay, and the thresholds are set again with the videos of today. A kill leaves
    either the old index or the new one. `split`, `run` and `run_path` are what the user gave; they are compared with
    those of the index. DataError if they differ, if the videos of the store were embedded in another way, or if the
    store has none of the videos of the index, or does not list a video that is named.
    """
    with changing(folder):
        old = Index.load(folder)
        require_alike(old, store, where=folder)
        split = _split_of(old, store, given=split, folder=folder)
        run, run_path = _run_of(old, run, run_path, folder=folder)
        manifest = store.split(split)
        if not _is_its_store(old, store):
            raise DataError(
                f"{store.path}: has none of the videos of {folder}, which was made from {old.made_by.get('store')}; "
                "make a new index in another folder"
            )
        removed = _removed(old, manifest, remove=remove, add=add, where=folder)
        reused = _unchanged(old, store, manifest)
        new = index_store(
            store,
            manifest,
            run=run,
            run_path=run_path,
            device=device,
            split=split,
            known=old,
            reused={name: row for name, row in reused.items() if name not in removed},
            removed=removed,
        )
        new = new.with_enrolment(replace(old.enrolment, of=""))
        found = _difference(old, new, store.path)
        new.searched = followed(old, new, store, reused)
        new = new.with_enrolment(_enrolment_in(new, old.enrolment, store, device=device))
        new.replace_in(folder)
    return Updated(new, found)


def _removed(
    index: Index, manifest: Manifest, *, remove: Sequence[str], add: Sequence[str], where: Path
) -> frozenset[str]:
    """Return the videos that stay out of an index by hand. DataError for one that the split does not list."""
    listed = set(manifest.ids)
    if both := sorted(set(remove) & set(add)):
        raise DataError(f"{where}: {both[0]!r} is to be removed and to be added; expected one of the two")
    for name in (*remove, *add):
        if name not in listed:
            raise DataError(f"{where}: its store lists no video {name!r} in the split{near_names(name, listed)}")
    before = {name for name, why in (index.origin.left_out if index.origin else {}).items() if why == REMOVED}
    return frozenset(((before | set(remove)) - set(add)) & listed)


def _unchanged(index: Index, store: FeatureStore, manifest: Manifest) -> dict[str, int]:
    """Return the videos that have the same rows in an index and in its store, with their numbers in the index."""
    if index.origin is None:
        return {}
    marks, listed = marks_of(store), set(manifest.ids)
    own = zip(index.own.ids, index.origin.marks.tolist(), strict=True)
    return {
        name: row
        for row, (name, mark) in enumerate(own)
        if name in listed and mark not in (UNKNOWN, USELESS) and marks.get(name) == mark
    }


def _split_of(index: Index, store: FeatureStore, *, given: str | None, folder: Path) -> str:
    """Return the split that an index was made of. It is found from its videos if an earlier version did not keep it."""
    made_of = index.origin.split if index.origin else None
    if made_of is None:
        there = {video.split for video in index.videos[: index.num_own]}
        if len(there) > 1 or there >= set(store.manifest.split_sizes):
            made_of = "all"
    if made_of is None and given is None:
        raise DataError(f"{folder}: does not say of which split it was made; give --split, or --split all")
    given = given and store.manifest.split_named(given)
    if given is not None and made_of is not None and given != made_of:
        raise DataError(f"{folder}: was made of the split {made_of!r}, not of {given!r}; make a new index for that")
    return given or made_of or "all"


def _run_of(index: Index, run: Run | None, run_path: Path | None, *, folder: Path) -> tuple[Run | None, Path | None]:
    """Return the run that pooled an index, and where it is now. A run that the user gave must be the same one."""
    if run is None:
        made_by = run_of(index)
        return made_by, Path(index.made_by["run"]) if made_by else None
    if run.weights_hash != index.made_by["run_hash"]:
        by = f"by the run {index.made_by['run']}" if index.made_by["run"] else "by the mean of the frames"
        raise DataError(f"{folder}: was pooled {by}, not by {run_path} as it is now; make a new index for that")
    return run, run_path


def _enrolment_in(index: Index, old: Enrolment, store: FeatureStore, *, device: torch.device) -> Enrolment:
    """Return what was enrolled, with thresholds set by an index's videos. An id that the index has gets a number."""
    taken = {video.video_id for video in index.videos[: index.num_own]}
    videos = []
    for video in old.videos:
        videos.append(replace(video, video_id=free_id(video.video_id, taken)))
        taken.add(videos[-1].video_id)
    return calibrated(index, tuple(videos), old.vectors, renewed(old.calibration, index, store, device=device))


def _is_its_store(index: Index, store: FeatureStore) -> bool:
    """Return whether a store is the one that an index was made from, or has some of its videos."""
    own = index.videos[: index.num_own]
    known = {video.video_id for video in own} | {str(video.path) for video in own}
    place = str(index.origin.store) if index.origin else index.made_by.get("store")
    return place == str(store.path.absolute()) or any(
        video.video_id in known or str(video.path) in known for video in store.manifest.videos
    )


def _difference(old: Index, new: Index, place: Path) -> Difference:
    """Return how two indexes differ, by the marks of their rows, or by their vectors if the old one has no marks."""
    own = old.videos[: old.num_own]
    new_own = new.videos[: new.num_own]
    if old.origin and new.origin:
        old_marks, new_marks = old.origin.marks.tolist(), new.origin.marks.tolist()
    else:
        old_marks, new_marks = _marks_by_vectors(old, new)
    marks: Mapping[str, object] = dict(zip((video.video_id for video in new_own), new_marks, strict=True))
    return difference(place, own, old_marks, {v.video_id: (row_of(v), marks[v.video_id]) for v in new_own})


def _marks_by_vectors(old: Index, new: Index) -> tuple[list[object], list[object]]:
    """Return the bytes of each vector. A video of both indexes gets its old bytes if only rounding differs."""
    old_marks: list[object] = [vector.tobytes() for vector in old.own_vectors]
    row_of_id = {video.video_id: row for row, video in enumerate(old.videos[: old.num_own])}
    new_marks: list[object] = []
    for video, vector in zip(new.videos[: new.num_own], new.own_vectors, strict=True):
        row = row_of_id.get(video.video_id)
        same = row is not None and np.allclose(old.own_vectors[row], vector, atol=1e-4)
        new_marks.append(old_marks[row] if same and row is not None else vector.tobytes())
    return old_marks, new_marks
