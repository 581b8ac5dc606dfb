"""Retrieval: how well queries rank what answers them, as R@k, the median rank and the mean average precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framebank.store.spans.span import Span

RANKS = (1, 5, 10)
OVERLAPS = (0.3, 0.5, 0.7)
OF_PRECISION = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))  # the IoUs whose precisions are averaged
SCALE = 100.0  # of a cosine in the softmax over queries
AT_ONCE = 1024


@dataclass(frozen=True)
class RetrievalFigures:
    """The figures of Q queries: R@k for each of RANKS (a fraction), the median rank (1 is best) and the mAP."""

    queries: int
    recalls: tuple[float, ...]
    median_rank: float
    map: float

    def to_dict(self) -> dict[str, Any]:
        """Return them as plain values."""
        named = {f"R@{rank}": value for rank, value in zip(RANKS, self.recalls, strict=True)}
        return {"queries": self.queries, **named, "median_rank": self.median_rank, "mAP": self.map}


@dataclass(frozen=True)
class MomentFigures:
    """The figures of Q queries for moments: R1 at each IoU of OVERLAPS (a fraction), and the mAP over OF_PRECISION."""

    queries: int
    recalls: tuple[float, ...]
    map: float

    def to_dict(self) -> dict[str, Any]:
        """Return them as plain values."""
        named = {f"R1@{least:g}": value for least, value in zip(OVERLAPS, self.recalls, strict=True)}
        return {"queries": self.queries, **named, "mAP": self.map}


def rank_figures(scores: np.ndarray, relevant: np.ndarray) -> RetrievalFigures:
    """Return the figures of scores (Q, V), of which `relevant` (Q, V) says which item answers which query.

    The rank of a query is that of its best answer; of equal scores, the first item counts as better. The average
    precision is over all of its answers. ValueError if a query has no answer.
    """
    if scores.shape != relevant.shape or not relevant.any(axis=1).all():
        raise ValueError(f"scores {scores.shape}, relevant {relevant.shape}; expected an answer to each query")
    ranks, precisions = [], []
    for at in range(0, len(scores), AT_ONCE):
        order = np.argsort(-scores[at : at + AT_ONCE], axis=1, kind="stable")
        hits = np.take_along_axis(relevant[at : at + AT_ONCE], order, axis=1)
        ranks.append(hits.argmax(axis=1) + 1)
        precision = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
        precisions.append((precision * hits).sum(axis=1) / hits.sum(axis=1))
    found = np.concatenate(ranks)
    recalls = tuple(float((found <= rank).mean()) for rank in RANKS)
    return RetrievalFigures(len(found), recalls, float(np.median(found)), float(np.concatenate(precisions).mean()))


def dual_softmax(scores: np.ndarray) -> np.ndarray:
    """Return scores (Q, V) times their softmax over the queries (CAMoE, Cheng et al. 2021, arXiv 2109.04290).

    An item that many queries are near to counts less. It needs all queries at once, so no single search can do it.
    """
    scaled = SCALE * scores.astype(np.float64)
    powers = np.exp(scaled - scaled.max(axis=0, keepdims=True))
    made: np.ndarray = scores * powers / powers.sum(axis=0, keepdims=True)
    return made


def moment_figures(found: Sequence[Sequence[Span]], truth: Sequence[Sequence[Span]]) -> MomentFigures:
    """Return the figures of the spans that were found for each query, best first, against the true ones.

    R1 asks whether the first span overlaps a true one by the IoU. The mAP is the mean over queries and over the IoUs of
    OF_PRECISION, as for QVHighlights (Lei et al. 2021, arXiv 2107.09609); a true span is found once.
    """
    firsts = np.array(
        [max((spans[0].iou(one) for one in true), default=0.0) if spans else 0.0 for spans, true in _both(found, truth)]
    )
    precisions = [_precision(spans, true, least) for spans, true in _both(found, truth) for least in OF_PRECISION]
    recalls = tuple(float((firsts >= least).mean()) for least in OVERLAPS)
    return MomentFigures(len(firsts), recalls, float(np.mean(precisions)))


def _both(
    found: Sequence[Sequence[Span]], truth: Sequence[Sequence[Span]]
) -> list[tuple[Sequence[Span], Sequence[Span]]]:
    return list(zip(found, truth, strict=True))


def _precision(spans: Sequence[Span], truth: Sequence[Span], least: float) -> float:
    """Return the average precision of the spans of one query at one IoU."""
    left, hits, total = list(truth), 0, 0.0
    for rank, span in enumerate(spans, start=1):
        best = max(left, key=span.iou, default=None)
        if best is not None and span.iou(best) >= least:
            left.remove(best)
            hits += 1
            total += hits / rank
    return total / len(truth)
