"""Find: the stretches of two videos each that show the same recording, among all videos of one or two collections."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from framebank.heads.copies.candidates import BLOCK, near_pairs_of_videos, usual_cosines
from framebank.heads.copies.lines import LEAST, MOST, Beside, Line, lines_of
from framebank.heads.copies.rows import PackedRows, sharpened

CERTAIN = 6.0  # support of which a score is 1 - 1/e, or the rows of the shorter video if they are fewer
ELSEWHERE = 0.5  # of how much better a row fits elsewhere, which counts against it: where little moves, much fits
STILL = 0.5  # of the support counts where nothing moves
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
    """Videos, sharpened, with the `usual` cosine of each row (R,) and the `pairs` (N, 2) of them that may be copies."""

    packs: PackedRows
    usual: np.ndarray
    pairs: np.ndarray

    @classmethod
    def of(cls, packs: PackedRows, *, split_at: int = 0, pairs: np.ndarray | None = None) -> "CopyFinder":
        """Find the pairs that may be copies among videos whose rows are as they were embedded.

        With `split_at`, only pairs of a video before that place and one from it on are compared, otherwise all. Or
        `pairs` are given.
        """
        (packs,) = sharpened(packs)
        video_of = packs.video_of
        some = np.unique(np.linspace(0, len(packs.rows) - 1, MEASURED).astype(np.int64))
        level = float(np.median(usual_cosines(packs.rows[some], video_of[some], packs)))
        if pairs is None:
            pairs = near_pairs_of_videos(packs, split_at=split_at, level=level)
        return cls(packs, _usual(packs, np.unique(pairs), level), pairs)

    def copies(self, first: int, second: int, *, least: float) -> Iterator[Copy]:
        """Yield the copies between two videos that have a score of `least` or more."""
        packs = self.packs
        own, other = (slice(packs.starts[video], packs.ends[video]) for video in (first, second))
        level = (self.usual[own][:, None] + self.usual[other][None, :]) / 2
        says = (packs.rows[own] @ packs.rows[other].T - level) / (1 - level)
        scale = min(CERTAIN, *says.shape)
        support = -scale * float(np.log1p(-min(least, 0.999)))
        if np.minimum(says.max(axis=1), MOST).clip(0).sum() < support:
            return
        elsewhere = says.max(axis=1, keepdims=True) + says.max(axis=0, keepdims=True) - 2 * says
        says = (says - ELSEWHERE * elsewhere).clip(LEAST, MOST)
        step = float(max(packs.steps[first], packs.steps[second], 1e-3))
        beside = Beside(says, packs.times[own], packs.times[other], step)
        for line in lines_of(beside, least=support):
            told = line.support * _weight(packs.rows[own], self.usual[own], line)
            if told >= support:
                span, other_span = _spans(line, beside, packs.steps[first], packs.steps[second])
                yield Copy(first, second, span, other_span, round(1 - float(np.exp(-told / scale)), 4))


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


def _usual(packs: PackedRows, videos: np.ndarray, level: float) -> np.ndarray:
    """Return the usual cosine of each row (R,), measured for the rows of some videos, never below `level`."""
    found = np.full(len(packs.rows), level, dtype=np.float32)
    is_asked = np.zeros(len(packs), dtype=bool)
    is_asked[videos] = True
    video_of = packs.video_of
    asked = np.flatnonzero(is_asked[video_of])
    for at in range(0, len(asked), 16 * BLOCK):
        part = asked[at : at + 16 * BLOCK]
        found[part] = np.maximum(usual_cosines(packs.rows[part], video_of[part], packs), level)
    return found


def _spans(line: Line, beside: Beside, step: float, other_step: float) -> tuple[Seconds, Seconds]:
    """Return both stretches of a line in seconds: a row stands for half of a step before and after it."""
    start = beside.times[line.first] - step / 2
    end = beside.times[line.last] + step / 2
    low, high = beside.other_times[0] - other_step / 2, beside.other_times[-1] + other_step / 2
    other_start = max(line.speed * start + line.offset, low)
    other_end = max(min(line.speed * end + line.offset, high), other_start + 1e-3)
    return (max(0.0, float(start)), float(end)), (max(0.0, float(other_start)), float(other_end))
