"""Duplicates: stretches of two videos that show the same recording, from the rows of one store or of two."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from framebank.library.checks import require_share, typed
from framebank.library.table import html_table, table
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted
from framebank.store.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from framebank.store import FeatureStore, Span, Video

SHORTEST = 1e-3  # seconds of a span


@dataclass(frozen=True)
class DuplicatePair:
    """Two stretches that show the same recording: span `a`, and span `b` of another video, or of the other store.

    `score` is from 0 to 1: how much nearer the rows are than those of unrelated videos, and how many there are.
    """

    a: "Span"
    b: "Span"
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Return both spans and the score as plain values."""
        sides = {
            side: {"video_id": span.video_id, "start": span.start, "end": span.end}
            for side, span in (("a", self.a), ("b", self.b))
        }
        return {**sides, "score": self.score}


@dataclass(frozen=True, repr=False)
class Duplicates(Sequence[DuplicatePair]):
    """Pairs of stretches that show the same recording, the surest first. `left_out` has videos without usable rows."""

    pairs: tuple[DuplicatePair, ...]
    videos: int = 0
    left_out: tuple[str, ...] = ()

    @overload
    def __getitem__(self, place: int) -> DuplicatePair: ...

    @overload
    def __getitem__(self, place: slice) -> "Duplicates": ...

    def __getitem__(self, place: "int | slice") -> "DuplicatePair | Duplicates":
        return Duplicates(self.pairs[place], self.videos) if isinstance(place, slice) else self.pairs[place]

    def __len__(self) -> int:
        return len(self.pairs)

    def to_dict(self) -> dict[str, Any]:
        """Return the pairs, and the videos that could not be compared, as plain values."""
        return {
            "pairs": [pair.to_dict() for pair in self.pairs],
            "videos": self.videos,
            "left_out": list(self.left_out),
        }

    def lines(self) -> list[str]:
        """Return one row for each pair, and further remarks."""
        return [*(table(*self._cells(), align="lrrlrrr") if self.pairs else []), *self._below()]

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        rows: list[tuple[str, ...]] = [
            (
                *(pair.a.video_id, f"{pair.a.start:.2f}", f"{pair.a.end:.2f}"),
                *(pair.b.video_id, f"{pair.b.start:.2f}", f"{pair.b.end:.2f}", f"{pair.score:.3f}"),
            )
            for pair in self.pairs
        ]
        return ("video", "start", "end", "copy", "start", "end", "score"), rows

    def _below(self) -> list[str]:
        told = [f"{counted(len(self), 'pair')} in {counted(self.videos, 'video')}"]
        if self.left_out:
            more = ", ..." if len(self.left_out) > 3 else ""
            told.append(f"left out, without a row that can be compared: {', '.join(self.left_out[:3])}{more}")
        return told

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), below=self._below())


@typed
def duplicates(
    bank: "FeatureStore | str | Path",
    other: "FeatureStore | str | Path | None" = None,
    *,
    split: str = "all",
    least: float = 0.5,
    watch: Watch = unwatched,
) -> Duplicates:
    """Find whole and partial copies: pairs of stretches, in seconds, that show the same recording.

    All videos of a split of `bank` are compared with each other, or with those of `other`. A copy may be encoded again,
    cropped a little, mirrored, up to a tenth faster or slower, or an excerpt inside a longer video. Rows of two videos
    that are nearer than those of unrelated videos vote for an offset between their times; the run of rows with the most
    support along the best offset and speed is the pair. Pairs with a score of `least` or more are returned. No video is
    decoded. DataError if a store holds no embedding of the split, or if the two are one store or come from different
    encoders.

    >>> import framebank as fb
    >>> fb.duplicates("bank")[0].to_dict()                                                     # doctest: +SKIP
    {'a': {'video_id': 'film', 'start': 3.0, 'end': 6.0}, 'b': {'video_id': 'clip', ...}, 'score': 0.93}
    """
    from framebank.heads.copies.find import CopyFinder, surest_first
    from framebank.heads.copies.rows import PackedRows
    from framebank.library.stores import open_store
    from framebank.store import Span
    from framebank.store.spans.span import DIGITS

    require_share("least", least)
    stores = [open_store(one) for one in (bank, other) if one is not None]
    if len(stores) == 2:
        if stores[0].path.resolve() == stores[1].path.resolve():
            raise DataError(f"{stores[0].path}: is given twice; expected one store, whose videos are compared, or two")
        stores[0].spec.require_same_encoder(stores[1].spec, mine=stores[0].path, theirs=stores[1].path)
    names: list[str] = []
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    limits: list[tuple[float, float]] = []
    left_out: list[str] = []
    split_at = 0
    for store in stores:
        split_at = len(names)
        for video, found in _rows_of(store, split, left_out, watch):
            names.append(video.video_id)
            limits.append((video.start or 0.0, math.inf if video.end is None else video.end))
            rows.append(found)
        if len(names) == split_at:
            raise DataError(f"{store.path}: no video of the split {split} has a row that can be compared")
    finder = CopyFinder.of(PackedRows.of(rows), split_at=split_at)
    listed = finder.pairs.tolist()
    copies = surest_first(
        copy
        for first, second in watch(listed, total=len(listed), unit="pair")
        for copy in finder.copies(first, second, least=least)
    )

    def span(place: int, start: float, end: float) -> Span:
        low, high = limits[place]
        last = round(max(min(end, high), low + SHORTEST), DIGITS)
        return Span(names[place], round(max(low, min(start, last - SHORTEST)), DIGITS), last, source="duplicates")

    pairs = tuple(
        DuplicatePair(span(one.first, *one.span), span(one.second, *one.other_span), one.score) for one in copies
    )
    return Duplicates(pairs, len(names), tuple(left_out))


def _rows_of(
    store: "FeatureStore", split: str, left_out: list[str], watch: Watch
) -> "list[tuple[Video, tuple[np.ndarray, np.ndarray]]]":
    """Return the videos of a split with their rows in time; add those without usable rows to `left_out`."""
    from framebank.heads.moments.rows import rows_in_time

    listed = store.split(split).videos
    videos = [video for video in listed if video.video_id in store]
    if not videos:
        raise DataError(f"{store.path}: holds no embedding of the {counted(len(listed), 'video')} asked for")
    found = []
    for video in watch(videos, total=len(videos), unit="video"):
        rows, times = rows_in_time(store[video.video_id])
        if len(times):
            found.append((video, (rows, times)))
        else:
            left_out.append(video.video_id)
    return found
