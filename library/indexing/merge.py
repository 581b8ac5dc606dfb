"""Merge indexes of parts of a bank, made on several machines, into one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from framebank.library.checks import typed
from framebank.library.search_index import SearchIndex
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.store.indexes.index import Index
    from framebank.store.indexes.rows import Rows
    from framebank.store.indexes.tuning import Target

SAME = 1e-3  # the length of the difference of two unit vectors that count as one
ALIKE = ("head", "run_hash")  # of what made the vectors; a run may lie in another folder on each machine


@typed
def merge_indexes(
    indexes: Sequence[str | Path],
    out: str | Path,
    *,
    type: str | None = None,  # noqa: A002 - the word of the command
    budget: float | None = None,
    recall: float | None = None,
    overwrite: bool = False,
) -> SearchIndex:
    """Join indexes of parts of a bank into one in the folder `out`; no row of a store is read.

    `type`, `budget` and `recall` are those of `index`, and those of the first index if they are not given. The new
    index knows no store until it is updated to one. DataError if the indexes differ in the encoder, in the sampling or
    another part of the spec, in what pooled them or in the level, if one has enrolled classes, or if two have different
    vectors of one video.

    >>> import framebank as fb
    >>> fb.merge_indexes(["index-1", "index-2"], "index")                                      # doctest: +SKIP
    """
    from framebank.heads.labelling.levels import chosen
    from framebank.heads.training.folder import taking
    from framebank.store.files.replacing import refuse_inside
    from framebank.store.indexes.index import Index

    paths, folder = [Path(path) for path in indexes], Path(out)
    refuse_inside(folder, paths, what="index")
    parts = [Index.load(path) for path in paths]
    if not parts:
        raise DataError("no index is given to merge; expected one at least")
    for path, part in zip(paths, parts, strict=True):
        _require_alike(part, parts[0], path, paths[0])
    kept = _kept(parts, paths)
    asked = _asked(parts[0].searched.asked, type, budget, recall)
    with taking(folder, what="index", overwrite=overwrite):
        made = _joined(parts, kept)
        made.searched = chosen(_rows(parts, kept, asked), made.own_vectors, asked)
        made.save(folder)
    return SearchIndex(folder.absolute(), made, given=folder)


def _require_alike(part: "Index", first: "Index", path: Path, first_path: Path) -> None:
    """Raise DataError if two indexes cannot be joined."""
    part.spec.require_equal(first.spec, mine=path, theirs=first_path)  # 8 frames a video are not 2 a second
    odd = next((name for name in ALIKE if part.made_by.get(name) != first.made_by.get(name)), None)
    if odd is not None:
        told = f"{part.made_by.get(odd)!r}, that of {first_path} is {first.made_by.get(odd)!r}"
        raise DataError(f"{path}: its {odd} is {told}; expected indexes that were pooled in the same way")
    if part.searched.level != first.searched.level:
        raise DataError(
            f"{path}: is of level {part.searched.level!r}, {first_path} of {first.searched.level!r}; expected one level"
        )
    if not part.enrolment.is_empty:
        raise DataError(
            f"{path}: has enrolled classes or a calibration, whose thresholds hold for this index alone; expected "
            "indexes without them: `framebank unenroll` them, merge, and enroll them again"
        )


def _kept(parts: "Sequence[Index]", paths: Sequence[Path]) -> list[list[int]]:
    """Return the videos of each index, by their numbers, that no earlier one has. DataError if two differ."""
    import numpy as np

    seen: dict[str, tuple[int, int]] = {}
    kept: list[list[int]] = []
    for number, part in enumerate(parts):
        kept.append([])
        for row, video_id in enumerate(part.own.ids):
            where, before = seen.setdefault(video_id, (number, row))
            if where == number:
                kept[-1].append(row)
            elif np.linalg.norm(part.own_vectors[row] - parts[where].own_vectors[before]) > SAME:
                raise DataError(
                    f"{paths[number]}: its vector of {video_id!r} is not that of {paths[where]}; expected each video "
                    "once, or twice the same"
                )
    return kept


def _joined(parts: "Sequence[Index]", kept: list[list[int]]) -> "Index":
    import numpy as np

    from framebank.store.indexes.index import Index
    from framebank.store.videos.columns import VideoColumns

    vectors = np.concatenate([part.own_vectors[rows] for part, rows in zip(parts, kept, strict=True)])
    owns = [part.own.select(rows) for part, rows in zip(parts, kept, strict=True)]
    videos = VideoColumns.of([video for own in owns for video in own])
    if any(own.durations for own in owns):
        durations = [seconds for own in owns for seconds in own.durations or [None] * len(own)]
        videos = replace(videos, durations=durations)
    made_by = {name: value for name, value in parts[0].made_by.items() if name != "store"}
    return Index(vectors, videos, spec=parts[0].spec, made_by=made_by)


def _rows(parts: "Sequence[Index]", kept: list[list[int]], asked: "Target") -> "Rows | None":
    import numpy as np

    from framebank.store.indexes.rows import Rows

    found = [part.searched.rows.select(rows) for part, rows in zip(parts, kept, strict=True) if part.searched.rows]
    if not found:
        return None
    firsts: np.ndarray = np.cumsum([0, *(len(rows) for rows in found)])
    ends = np.concatenate([rows.ends + first for rows, first in zip(found, firsts[:-1], strict=True)])
    row_type = asked.row_type(int(firsts[-1]))
    vectors = np.concatenate([rows.vectors for rows in found], dtype=row_type, casting="same_kind")
    spans = np.concatenate([rows.spans for rows in found])
    return Rows(found[0].level, vectors, ends, spans)


def _asked(first: "Target", kind: str | None, budget: float | None, recall: float | None) -> "Target":
    from framebank.store.indexes.tuning import Target

    return Target(
        first.type if kind is None else kind,
        first.budget if budget is None else budget,
        first.recall if recall is None else recall,
        first.rows,
    )
