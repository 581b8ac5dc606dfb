"""Hit: one answer to a search: a video, or a stretch of it, and how near it is; and the hits of one query."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast, overload

import numpy as np

TEXT = "path text"  # where a hit keeps the text of its path until the path is asked for


class _LaterPath:
    """The path of a hit, made of its text when it is first asked for. The hit keeps it, and this is asked no more."""

    def __get__(self, hit: object | None, owner: type) -> Path:
        if hit is None:
            return Path()  # the default of the field
        kept = vars(hit)
        made: Path = kept.setdefault("path", Path(kept[TEXT]))  # of two threads that ask, both get the same
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
    def of_row(
        cls, video_id: str, score: float, label: str, path: str, times: tuple[float | None, float | None]
    ) -> "Hit":
        """Return the hit of a video that was not enrolled, whose path is a text as yet: a tenth of the time of a Path.

        Its values are those that the constructor would set.
        """
        made = cls.__new__(cls)
        told = {
            "video_id": video_id,
            "score": score,
            "label": label,
            "start": times[0],
            "end": times[1],
            "enrolled": False,
            "chance": None,
            TEXT: path,
        }
        object.__setattr__(made, "__dict__", told)
        return made

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: the fields."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


class FoundHits(Sequence[Hit]):
    """The hits of one query, best first, and of equal ones the first row first. A Hit is made when it is asked for.

    A loop makes all of them before its first turn.
    `found` are the scores and the rows (Q, K) that several queries gave, in any order, with row -1 where there are no
    more. `query` is the place of this one. `make` gives the Hit of a row and a score. It equals a list of the hits.
    """

    __slots__ = ("_found", "_make", "_query", "_ranked")

    def __init__(self, make: Callable[[int, float], Hit], found: tuple[np.ndarray, np.ndarray], query: int) -> None:
        self._make, self._found, self._query = make, found, query
        self._ranked: list[tuple[float, int]] | None = None

    @property
    def ranked(self) -> list[tuple[float, int]]:
        """The score with its sign changed, and the row, of each hit."""
        if self._ranked is None:
            scores, rows = self._found
            self._ranked = ranked(scores[self._query], rows[self._query])
        return self._ranked

    def __len__(self) -> int:
        return len(self.ranked)

    @overload
    def __getitem__(self, place: int) -> Hit: ...

    @overload
    def __getitem__(self, place: slice) -> list[Hit]: ...

    def __getitem__(self, place: "int | slice") -> "Hit | list[Hit]":
        if isinstance(place, slice):
            return [self._make(row, -score) for score, row in self.ranked[place]]
        score, row = self.ranked[place]
        return self._make(row, -score)

    def __iter__(self) -> Iterator[Hit]:
        make = self._make
        return iter([make(row, -score) for score, row in self.ranked])

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, FoundHits | list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def __reduce__(self) -> tuple[type[list[Hit]], tuple[list[Hit]]]:
        """Pickle as a list of hits, without the index."""
        return list, (list(self),)

    def __repr__(self) -> str:
        return repr(list(self))


def ranked(scores: np.ndarray, rows: np.ndarray) -> list[tuple[float, int]]:
    """Return (-score, row) of what one query found (K,), best first, of equal ones the first row first, without -1."""
    return sorted((-score, row) for score, row in zip(scores.tolist(), rows.tolist(), strict=True) if row >= 0)
