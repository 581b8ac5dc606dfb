"""Hit: one answer to a search: a video, or a stretch of it, and how near it is; and the hits of one query."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast, overload

import numpy as np

from framebank.store.videos.columns import VideoColumns

PATHS, ROW = "paths of all", "row of all"  # where a hit keeps what gives its path, if that is asked for


class _LaterPath:
    """The path of a hit, made of its text when it is first asked for. The hit keeps it, and this is asked no more."""

    def __get__(self, hit: object | None, owner: type) -> Path:
        if hit is None:
            return Path()  # the default of the field
        kept = vars(hit)
        made: Path = kept.setdefault("path", Path(kept[PATHS][kept[ROW]]))  # of two threads that ask, both get the same
        return made


LATER = cast(Path, _LaterPath())  # `dataclass` takes the default of the field from it, and leaves it in its place


@dataclass(frozen=True)
class Hit:
    """One neighbour: the video, its cosine similarity to the query, its label, and its seconds in a file.

    `enrolled` says whether it was added under its label later. `chance` is the share of the everyday names that fit it
    at least as well as the query does, or None if that is not known.
    """

    video_id: str
    score: float
    label: str
    start: float | None = None
    end: float | None = None
    enrolled: bool = False
    path: Path = LATER
    chance: float | None = None

    @classmethod
    def of_rows(
        cls,
        own: VideoColumns,
        rows: Sequence[int],
        scores: Sequence[float],
        spans: Sequence[tuple[float | None, float | None]] | None = None,
    ) -> "list[Hit]":
        """Return the hits of videos that were not enrolled, by their rows (K,) in `own`, with `spans` of seconds.

        A path is made when it is asked for: a Path takes ten times as long as the rest of a hit, and its text is far
        away in the memory. The fields say what those of the constructor would; what a hit does not keep is the default
        of the class.
        """
        if spans is None and own.times:
            spans = [own.times[row] for row in rows]
        ids, labels, paths, found = own.ids, own.labels, own.paths, []
        make, keep = cls.__new__, object.__setattr__
        for row, score in zip(rows, scores, strict=True):
            made = make(cls)
            told = {"video_id": ids[row], "score": score, "label": labels[row], PATHS: paths, ROW: row}
            keep(made, "__dict__", told)
            found.append(made)
        if spans is not None:
            for made, (start, end) in zip(found, spans, strict=True):
                vars(made).update(start=start, end=end)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: the fields."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


class FoundHits(Sequence[Hit]):
    """The hits of one query, best first, and of equal ones the first row first. A Hit is made when it is asked for.

    A loop makes all of them before its first turn.
    `found` are the scores and the rows (Q, K) that several queries gave, in any order, with row -1 where there are no
    more. `query` is the place of this one. `make` gives the hits of rows and their scores. It equals a list of them.
    """

    __slots__ = ("_found", "_make", "_ordered", "_query")

    def __init__(
        self,
        make: Callable[[Sequence[int], Sequence[float]], list[Hit]],
        found: tuple[np.ndarray, np.ndarray],
        query: int,
    ) -> None:
        self._make, self._found, self._query = make, found, query
        self._ordered: tuple[Sequence[int], Sequence[float]] | None = None

    @property
    def ordered(self) -> tuple[Sequence[int], Sequence[float]]:
        """The rows and the scores of the hits."""
        if self._ordered is None:
            scores, rows = self._found
            self._ordered = ordered(scores[self._query], rows[self._query])
        return self._ordered

    def __len__(self) -> int:
        return len(self.ordered[0])

    @overload
    def __getitem__(self, place: int) -> Hit: ...

    @overload
    def __getitem__(self, place: slice) -> list[Hit]: ...

    def __getitem__(self, place: "int | slice") -> "Hit | list[Hit]":
        rows, scores = self.ordered
        if isinstance(place, slice):
            return self._make(rows[place], scores[place])
        return self._make([rows[place]], [scores[place]])[0]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self._make(*self.ordered))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, FoundHits | list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def __reduce__(self) -> tuple[type[list[Hit]], tuple[list[Hit]]]:
        """Pickle as a list of hits, without the index."""
        return list, (list(self),)

    def __repr__(self) -> str:
        return repr(list(self))


def ordered(scores: np.ndarray, rows: np.ndarray) -> tuple[Sequence[int], Sequence[float]]:
    """Return the rows and the scores of what one query found (K,), as `ranked` orders them."""
    told, own = scores.tolist(), rows.tolist()
    # faiss mostly gives them in order: best first, no two alike, none missing
    if own and min(own) >= 0 and len(set(told)) == len(told) and told == sorted(told, reverse=True):
        return own, told
    pairs = ranked(scores, rows)
    return [row for _, row in pairs], [-score for score, _ in pairs]


def ranked(scores: np.ndarray, rows: np.ndarray) -> list[tuple[float, int]]:
    """Return (-score, row) of what one query found (K,), best first, of equal ones the first row first, without -1."""
    return sorted((-score, row) for score, row in zip(scores.tolist(), rows.tolist(), strict=True) if row >= 0)
