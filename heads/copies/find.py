"""Find: the stretches of two videos each that show the same recording, among all videos of one or two collections."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from framebank.heads.copies.candidates import Judges, near_pairs_of_videos
from framebank.heads.copies.lines import LEAST, MOST, Beside, Line, lines_of
from framebank.heads.copies.rows import PackedRows, sharpened

CERTAIN = 6.0  # support of which a score is 1 - 1/e, or the rows of the shorter video if they are fewer
ELSEWHERE = 0.5  # of how much better a row fits elsewhere, which counts against it: where little moves, much fits
STILL = 0.5  # of the support counts where nothing moves
EXACT = 0.99  # the cosine of every row to the row of the same time, from which on two videos are one
MEASURED = 1000  # rows that say from which cosine on two rows are compared at all

Seconds = tuple[float, float]  # from, to


@dataclass(frozen=True)
class Copy:
    """A stretch of video `first` that is also in video `second`, both by their places, in seconds.

    `score` is from 0 to 1: how much nearer the rows are than those of unrelated videos, and how many of them there are.
    """

    first: int
    second: int
    span: Seconds
    other_span: Seconds
    score: float


@dataclass(frozen=True, repr=False)
class CopyFinder:
    """Videos, sharpened, the `pairs` (N, 2) of them that may be copies, and the `judges` of what is a usual cosine.

    No usual cosine is below `level`. Those of a video's rows are kept in `known` when they were asked for.
    """

    packs: PackedRows
    pairs: np.ndarray
    judges: Judges
    level: float
    known: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, packs: PackedRows, *, split_at: int = 0, pairs: np.ndarray | None = None) -> "CopyFinder":
        """Find the pairs that may be copies among videos whose rows are as they were embedded.

        With `split_at`, only pairs of a video before that place and one from it on are compared, otherwise all. Or
        `pairs` are given.
        """
        (packs,) = sharpened(packs)
        judges = Judges.of(packs)
        some = np.unique(np.linspace(0, len(packs.rows) - 1, MEASURED).astype(np.int64))
        level = float(np.median(judges.usual(packs.rows[some], packs.video_of[some])))
        if pairs is None:
            pairs = near_pairs_of_videos(packs, split_at=split_at, level=level)
        return cls(packs, pairs, judges, level)

    def usual(self, video: int) -> np.ndarray:
        """Return the usual cosine of each row of a video, (T,)."""
        if video not in self.known:
            rows = self.packs.one(video)[0]
            self.known[video] = np.maximum(self.judges.usual(rows, np.full(len(rows), video)), self.level)
        return self.known[video]

    def copies(self, first: int, second: int, *, least: float) -> Iterator[Copy]:
        """Yield the copies between two videos that have a score of `least` or more."""
        packs = self.packs
        own, other = (slice(packs.starts[video], packs.ends[video]) for video in (first, second))
        cosines = packs.rows[own] @ packs.rows[other].T
        same = self._same(first, second, cosines)
        if same is not None:
            yield same
            return
        scale = min(CERTAIN, *cosines.shape)
        support = -scale * float(np.log1p(-min(least, 0.999)))
        if ((cosines.max(axis=1) - self.level) / (1 - self.level)).clip(0, MOST).sum() < support:
            return  # before the usual cosines are measured, because none is below the level
        level = (self.usual(first)[:, None] + self.usual(second)[None, :]) / 2
        says = (cosines - level) / (1 - level)
        if np.minimum(says.max(axis=1), MOST).clip(0).sum() < support:
            return
        elsewhere = says.max(axis=1, keepdims=True) + says.max(axis=0, keepdims=True) - 2 * says
        says = (says - ELSEWHERE * elsewhere).clip(LEAST, MOST)
        step = float(max(packs.steps[first], packs.steps[second], 1e-3))
        beside = Beside(says, packs.times[own], packs.times[other], step)
        for line in lines_of(beside, least=support):
            told = line.support * _weight(packs.rows[own], self.usual(first), line)
            if told >= support:
                span, other_span = _spans(line, beside, packs.steps[first], packs.steps[second])
                yield Copy(first, second, span, other_span, round(1 - float(np.exp(-told / scale)), 4))

    def _same(self, first: int, second: int, cosines: np.ndarray) -> Copy | None:
        """Return two whole videos as one copy if all their rows are the same at the same times; otherwise None.

        So it is with one file in two stores. What is usual says nothing of it: of a video that hardly moves, each row
        fits everywhere, and of a collection that is there twice, each row has a rival.
        """
        (_, times), (_, others) = self.packs.one(first), self.packs.one(second)
        step = float(min(self.packs.steps[first], self.packs.steps[second]))
        if len(times) != len(others) or not (np.abs(times - others) <= step / 4).all():
            return None
        along = cosines.diagonal()
        if along.min() < EXACT:
            return None
        spans = [
            (max(0.0, float(own[0]) - own_step / 2), float(own[-1]) + own_step / 2)
            for own, own_step in ((times, float(self.packs.steps[first])), (others, float(self.packs.steps[second])))
        ]
        return Copy(first, second, spans[0], spans[1], round(min(1.0, float(along.mean())), 4))


def surest_first(copies: Iterable[Copy]) -> list[Copy]:
    """Return copies in the order of their scores, then of their videos and times."""
    return sorted(copies, key=lambda copy: (-copy.score, copy.first, copy.second, copy.span))


def _weight(rows: np.ndarray, usual: np.ndarray, line: Line) -> float:
    """Return what the support of a line is worth: 1 where its rows differ from each other, STILL where all are alike.

    Rows (T, D) and their usual cosines (T,) are those of the first video. Rows that are alike say the same again.
    """
    own = slice(line.first, line.last + 1)
    alike = ((rows[own] @ rows[own].T - usual[own, None]) / (1 - usual[own, None])).clip(0, 1)
    count = len(alike)
    share = (float(alike.sum()) - count) / (count * (count - 1)) if count > 1 else 0.0
    return STILL + (1 - STILL) * (1 - share)


def _spans(line: Line, beside: Beside, step: float, other_step: float) -> tuple[Seconds, Seconds]:
    """Return both stretches of a line in seconds: a row stands for half of a step before and after it."""
    start = beside.times[line.first] - step / 2
    end = beside.times[line.last] + step / 2
    low, high = beside.other_times[0] - other_step / 2, beside.other_times[-1] + other_step / 2
    other_start = max(line.speed * start + line.offset, low)
    other_end = max(min(line.speed * end + line.offset, high), other_start + 1e-3)
    return (max(0.0, float(start)), float(end)), (max(0.0, float(other_start)), float(other_end))
