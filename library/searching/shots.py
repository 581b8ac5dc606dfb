"""Shots: where the shots of a store's videos begin and end, from their rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from framebank.library.checks import typed
from framebank.library.table import html_table, table
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.store import FeatureStore, Span


@dataclass(frozen=True, repr=False)
class Shots(Sequence["Span"]):
    """The shots of videos, in order of the store and of time. `left_out` has the videos without rows to compare.

    `sparse` are videos whose rows are so far apart that shots may have been missed.
    """

    spans: tuple["Span", ...]
    left_out: tuple[str, ...] = ()
    sparse: tuple[str, ...] = ()

    @overload
    def __getitem__(self, place: int) -> "Span": ...

    @overload
    def __getitem__(self, place: slice) -> "Shots": ...

    def __getitem__(self, place: "int | slice") -> "Span | Shots":
        return Shots(self.spans[place]) if isinstance(place, slice) else self.spans[place]

    def __len__(self) -> int:
        return len(self.spans)

    def to_dict(self) -> dict[str, Any]:
        """Return the shots, and the videos that have none, as plain values."""
        return {
            "shots": [{name: getattr(span, name) for name in ("video_id", "start", "end")} for span in self.spans],
            "left_out": list(self.left_out),
            "sparse": list(self.sparse),
        }

    def lines(self) -> list[str]:
        """Return one row for each shot, and further remarks."""
        return [*table(*self._cells()), *self._below()]

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        rows: list[tuple[str, ...]] = [
            (one.video_id, f"{one.start:.2f}", f"{one.end:.2f}", f"{one.seconds:.2f}") for one in self.spans
        ]
        return ("video", "start", "end", "seconds"), rows

    def _below(self) -> list[str]:
        videos = len({span.video_id for span in self.spans})
        told = [f"{counted(len(self), 'shot')} in {counted(videos, 'video')}"]
        for names, why in ((self.left_out, "left out, without a row that can be compared"), (self.sparse, SPARSE)):
            if names:
                told.append(f"{why}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}")
        return told

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), below=self._below())


SPARSE = "rows more than 1 s apart, so that short shots are missed (`framebank extract --fps 2` gives more)"


@typed
def shots(bank: "FeatureStore | str | Path", *, split: str = "all", watch: Watch = unwatched) -> Shots:
    """Find the shots of the videos of a split: spans without gaps between them, in seconds.

    A cut is where the cosine of the rows before and after it falls. No video is decoded. DataError if `bank` is not a
    store, or if it holds no video of the split.

    >>> import framebank as fb
    >>> fb.shots("bank")[0]                                                                    # doctest: +SKIP
    Span(video_id='film', start=0.0, end=4.25, label='', score=None, source='shots')
    """
    from framebank.heads.moments.rows import rows_in_time
    from framebank.heads.moments.shots import shots_of, step_of
    from framebank.library.stores import open_store

    store = open_store(bank)
    listed = store.split(split).videos
    videos = [video for video in listed if video.video_id in store]
    if not videos:
        raise DataError(f"{store.path}: holds no embedding of the {counted(len(listed), 'video')} asked for")
    found: list[Span] = []
    left_out, sparse = [], []
    for video in watch(videos, total=len(videos), unit="video"):
        rows, times = rows_in_time(store[video.video_id])
        if not len(times):
            left_out.append(video.video_id)
            continue
        found += shots_of(video.video_id, rows, times, start=video.start or 0.0, end=video.end)
        if step_of(times) > 1.0:
            sparse.append(video.video_id)
    return Shots(tuple(found), tuple(left_out), tuple(sparse))
