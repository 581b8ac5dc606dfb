"""SearchReport: how well an index answers queries whose answers are known, from text to video, back, and as moments."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.checks import typed
from framebank.library.search_index import SearchIndex
from framebank.library.table import html_table, percent, table
from framebank.store.counts import counted, listed
from framebank.store.errors import DataError, warn

if TYPE_CHECKING:
    import numpy as np

    from framebank.heads.evaluation.retrieval import MomentFigures, RetrievalFigures
    from framebank.store import FeatureStore

TEXT, VIDEO = "text", "video_id"
MOST_MOMENTS = 5  # that are looked for in a video
USUAL_VIDEOS = 128  # videos whose rows show what is usual


@dataclass(frozen=True)
class KnownAnswer:
    """A query and a video that answers it: the text, the video_id, and from where to where if it is a moment."""

    text: str
    video_id: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, repr=False)
class SearchReport:
    """The figures of an index for known answers. It prints as the command `evaluate-search` does.

    `moments` is None if no query has a start and an end. `left_out` are videos of the queries that the index lacks.
    """

    index: Path
    videos: int
    text_to_video: "RetrievalFigures"
    video_to_text: "RetrievalFigures"
    moments: "MomentFigures | None"
    dual_softmax: bool
    left_out: tuple[str, ...]
    encoder: str

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, and how they were made, as plain values."""
        return {
            "index": str(self.index),
            "videos": self.videos,
            "text_to_video": self.text_to_video.to_dict(),
            "video_to_text": self.video_to_text.to_dict(),
            "moments": self.moments.to_dict() if self.moments else None,
            "dual_softmax": self.dual_softmax,
            "left_out": list(self.left_out),
            "encoder": self.encoder,
        }

    def lines(self) -> list[str]:
        """Return a table of both directions, one of the moments, and how they were made."""
        moments = ["", *table(*self._moments())] if self.moments else []
        return [*table(*self._cells()), *moments, *self._below()]

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        rows = [("text to video", self.text_to_video), ("video to text", self.video_to_text)]
        return ("", "queries", "R@1", "R@5", "R@10", "median rank", "mAP"), [
            (
                *(name, str(one.queries), *map(percent, one.recalls)),
                *(f"{one.median_rank:g}", percent(one.map)),
            )
            for name, one in rows
        ]

    def _moments(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        assert self.moments
        values = (str(self.moments.queries), *map(percent, self.moments.recalls), percent(self.moments.map))
        return ("", "queries", "R1@0.3", "R1@0.5", "R1@0.7", "mAP"), [("moments", *values)]

    def _below(self) -> list[str]:
        told = [f"among {counted(self.videos, 'video')}, by {self.encoder}"]
        if self.dual_softmax:
            told.append("with a softmax over all queries, which a single search cannot do")
        if self.left_out:
            told.append(f"left out: {counted(len(self.left_out), 'video')} that the index lacks")
        return ["", *told]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        moments = html_table(*self._moments()) if self.moments else ""
        return html_table(*self._cells()) + moments + html_table(("",), [(line,) for line in self._below()[1:]])


@typed
def evaluate_search(
    index: "SearchIndex | str | Path",
    queries: str | Path,
    *,
    dual_softmax: bool = False,
    store: "FeatureStore | str | Path | None" = None,
    device: str = "auto",
) -> SearchReport:
    """Measure how well an index ranks the videos that are known to answer texts, and the texts of the videos.

    `queries` is a CSV with the columns text and video_id; a text may have several rows, and so may a video. Rows with a
    start and an end, in seconds, also measure moments: the best stretches of that video for that text, from the rows of
    the store of the index, or of `store`. Rank 1 is the best; each query ranks all videos of the index. `dual_softmax`
    weighs each score by a softmax over all queries. DataError if the file has no such columns, if the index has none of
    the videos, if its vectors cannot be compared with texts, or if `store` is not one of its encoder.

    >>> import framebank as fb
    >>> fb.evaluate_search("index", "queries.csv").text_to_video.recalls                       # doctest: +SKIP
    (0.412, 0.688, 0.79)
    """
    import numpy as np

    from framebank.heads.evaluation.retrieval import dual_softmax as over_queries
    from framebank.heads.evaluation.retrieval import rank_figures
    from framebank.heads.labelling.neighbours import require_text_space
    from framebank.library.searching.moments import store_of
    from framebank.store.vectors import unit

    opened = index if isinstance(index, SearchIndex) else SearchIndex.open(index, device=device)
    answers = read_answers(Path(queries))
    place = {name: row for row, name in enumerate(opened.index.own.ids)}
    left_out = tuple(sorted({one.video_id for one in answers if one.video_id not in place}))
    known = [one for one in answers if one.video_id in place]
    if not known:
        raise DataError(f"{queries}: the index {opened.shown} has none of its videos, such as {left_out[0]!r}")
    if left_out:
        warn(f"{queries}: the index {opened.shown} lacks {listed(map(repr, left_out), most=3)}; these are left out")
    require_text_space(opened.index)
    store = None if store is None else store_of(opened.index, store)
    texts = list(dict.fromkeys(one.text for one in known))
    vectors = unit(opened.encoder.encode_texts(texts))  # (Q, D)
    scores = vectors @ opened.index.own_vectors.T  # (Q, V)
    relevant = np.zeros(scores.shape, dtype=bool)
    row_of = {text: row for row, text in enumerate(texts)}
    for one in known:
        relevant[row_of[one.text], place[one.video_id]] = True
    asked = np.flatnonzero(relevant.any(axis=0))  # the videos that are queries for texts
    back = scores.T[asked]
    return SearchReport(
        index=opened.shown,
        videos=len(place),
        text_to_video=rank_figures(over_queries(scores) if dual_softmax else scores, relevant),
        video_to_text=rank_figures(over_queries(back) if dual_softmax else back, relevant.T[asked]),
        moments=_moments(opened, known, dict(zip(texts, vectors, strict=True)), store),
        dual_softmax=dual_softmax,
        left_out=left_out,
        encoder=opened.index.spec.encoder,
    )


def read_answers(path: Path) -> list[KnownAnswer]:
    """Return the rows of a CSV of text and video_id, with start and end in seconds if it has them.

    DataError, with the line, if a cell is empty, a time is none, or a start has no end after it.
    """
    from framebank.store.formats.table import read_table
    from framebank.store.videos.spelling import nfc

    table_of = read_table(path, wanted=(TEXT, VIDEO))
    missing = [name for name in (TEXT, VIDEO) if name not in table_of.columns]
    if missing:
        raise DataError(f"{path}: no column {missing[0]!r}; expected text and video_id, and perhaps start and end")
    found = []
    for row in table_of.rows:
        text, video_id = row.cells[TEXT].strip(), nfc(row.cells[VIDEO].strip())
        if not text or not video_id:
            raise DataError(f"{table_of.where(row)}: has no {'text' if not text else 'video_id'}; expected both")
        start, end = table_of.seconds(row, "start"), table_of.seconds(row, "end")
        if (start is None) != (end is None) or (start is not None and end is not None and not 0 <= start < end):
            raise DataError(f"{table_of.where(row)}: is from {start} to {end}; expected a start and an end after it")
        found.append(KnownAnswer(text, video_id, start, end))
    if not found:
        raise DataError(f"{path}: holds no query; expected rows of text and video_id")
    return found


def _moments(
    opened: SearchIndex,
    known: Sequence[KnownAnswer],
    vectors: "dict[str, np.ndarray]",
    store: "FeatureStore | str | Path | None",
) -> "MomentFigures | None":
    """Return the figures of the queries with a start and an end; None if there are none."""
    import numpy as np

    from framebank.heads.evaluation.retrieval import moment_figures
    from framebank.heads.moments.rows import rows_in_time
    from framebank.heads.moments.stretches import best_stretches, track_of
    from framebank.library.searching.moments import store_of
    from framebank.store import Span

    truth: dict[tuple[str, str], list[Span]] = {}
    for one in known:
        if one.start is not None and one.end is not None:
            truth.setdefault((one.text, one.video_id), []).append(Span(one.video_id, one.start, one.end))
    if not truth:
        return None
    rows_store = store_of(opened.index, store)
    ids = [name for name in opened.index.own.ids if name in rows_store]
    usual = [rows_in_time(rows_store[name])[0] for name in ids[:: max(1, len(ids) // USUAL_VIDEOS)]]
    if not any(map(len, usual)):
        raise DataError(f"{rows_store.path}: has no rows of the index's videos; moments are read from them")
    sample = np.concatenate(usual)
    found: list[tuple[Span, ...]] = []
    outside: list[str] = []
    for text, video_id in truth:
        rows, times = rows_in_time(rows_store[video_id]) if video_id in rows_store else (sample[:0], np.zeros(0))
        if not len(times):
            found.append(())
            continue
        video = opened.index.video(video_id)
        start = video.start or 0.0
        level = float(np.median(sample @ vectors[text]))
        track = track_of(video_id, rows, times, vectors[text], start=start, end=video.end, usual=level)
        last = float(track.edges[-1])
        outside += [
            f"{one.start:g} to {one.end:g} s of {video_id!r}, whose rows end at {last:.2f} s"
            for one in truth[text, video_id]
            if one.start >= last
        ]
        found.append(best_stretches(track, most=MOST_MOMENTS))
    if outside:
        warn(f"{counted(len(outside), 'answer')} behind the end of a video, never found: {listed(outside, most=3)}")
    return moment_figures(found, list(truth.values()))
