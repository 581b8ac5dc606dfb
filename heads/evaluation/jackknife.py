"""Jackknife: how sure a mean average precision is, by what it would be without each of the videos."""

import math
from dataclasses import dataclass

import numpy as np

from framebank.heads.evaluation.normal import Z, t_by_normal
from framebank.heads.metrics import wilson_interval


@dataclass(frozen=True, eq=False)
class JackknifedMap:
    """A mean average precision, `value`, and what it is without each of V videos: `without` (V,)."""

    value: float
    without: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, hits: np.ndarray) -> "JackknifedMap":
        """Return the mean average precision of scores and hits (V, C), and what it is without each video.

        Equal scores share a threshold, as in `measure`, and labels that no video has do not count. A label with one
        video keeps its precision, whichever video is left out.

        >>> found = JackknifedMap.of(np.array([[0.9], [0.5], [0.1]]), np.array([[True], [False], [True]]))
        >>> found.without.round(6).tolist()
        [0.5, 1.0, 1.0]
        """
        occurring = np.flatnonzero(hits.any(0)).tolist()
        value, without = 0.0, np.zeros(len(scores))
        for place in occurring:
            own, left = _of_label(scores[:, place], hits[:, place] > 0)
            value += own
            without += left
        return cls(value / max(len(occurring), 1), without / max(len(occurring), 1))


def map_interval(share: float, scores: np.ndarray, hits: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of a mean average precision: scores and hits (V, C), sources (V,)."""
    return interval_of_share(share, standard_error(JackknifedMap.of(scores, hits).without, groups), videos=len(scores))


def standard_error(without: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Return the standard error of a figure by its values without each of the videos, (V,).

    Videos of one group of `groups` (V,) count as one: their changes are added. Infinite if there is one group only.
    This is the jackknife (Tukey 1958), which is rather too wide than too narrow (Efron and Stein 1981). The standard
    error of a mean is that of the mean of the groups, if they have equally many videos.
    """
    change, videos = without.mean() - without, len(without)
    if groups is not None:
        change = np.bincount(np.unique(groups, return_inverse=True)[1].reshape(-1), weights=change)
    count = len(change)
    if count < 2:
        return math.inf
    spread = float(np.square(change - change.mean()).sum()) * ((videos - 1) / videos) ** 2
    return math.sqrt(count / (count - 1) * spread) * t_by_normal(count - 1)


def interval_of_share(share: float, error: float, *, videos: int) -> tuple[float, float]:
    """Return the 95 % interval of a share with a standard error, by its logit, so that it stays between 0 and 1.

    A share of 0 or 1 has no error; then it is that of a rate which is the same in all of the `videos` (Wilson).
    """
    if not 0 < share < 1:
        return wilson_interval(round(share) * videos, videos)
    if not math.isfinite(error):
        return 0.0, 1.0
    middle, half = math.log(share / (1 - share)), Z * error / (share * (1 - share))
    return _logistic(middle - half), _logistic(middle + half)


def interval_of_gain(gain: float, error: float) -> tuple[float, float]:
    """Return the 95 % interval of a difference of two shares with a standard error."""
    return max(-1.0, gain - Z * error), min(1.0, gain + Z * error)


def _of_label(scores: np.ndarray, hits: np.ndarray) -> tuple[float, np.ndarray]:
    """The average precision of one label, and that without each of the videos, (V,): scores and hits (V,)."""
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], hits[order]
    begins = np.flatnonzero(np.append([True], ranked[1:] != ranked[:-1]))  # of the runs of equal scores
    number = np.cumsum(np.append([0], ranked[1:] != ranked[:-1]))
    first, last = begins[number], np.append(begins[1:], len(ranked))[number] - 1
    seen, found = last + 1, np.cumsum(right)[last]  # of the videos up to its score, and of those that have the label
    precision = found / seen
    total, count = float(precision[right].sum()), int(right.sum())
    if count < 2:
        return total, np.full(len(scores), total)
    fewer = np.maximum(seen - 1, 1)
    if_wrong = np.where(right, found / fewer - precision, 0.0)  # the changes if a video that lacks the label goes
    if_right = np.where(right, (found - 1) / fewer - precision, 0.0)
    left = np.where(
        right,
        (total - precision + _from(if_right, first) - if_right) / (count - 1),
        (total + _from(if_wrong, first)) / count,
    )
    values = np.empty(len(scores))
    values[order] = left
    return total / count, values


def _from(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The sum of values (V,) from the place `first` (V,) on."""
    sums: np.ndarray = values[::-1].cumsum()[::-1][first]
    return sums


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
