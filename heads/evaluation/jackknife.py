"""Jackknife: how sure a mean average precision is, by what it would be without each of the videos."""

import math
from dataclasses import dataclass

import numpy as np

from framebank.heads.evaluation.normal import Z, t_by_normal
from framebank.heads.metrics import wilson_interval


@dataclass(frozen=True, eq=False)
class JackknifedMap:
    """A mean average precision, `value`, and that of each label without each video: `without` and `hits` (V, C).

    C are the labels that a video has.
    """

    value: float
    without: np.ndarray
    hits: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, hits: np.ndarray) -> "JackknifedMap":
        """Return the mean average precision of scores and hits (V, C), and what it is without each video.

        Equal scores share a threshold, as in `measure`, and labels that no video has do not count. A label with one
        video keeps its precision, whichever video is left out.

        >>> found = JackknifedMap.of(np.array([[0.9], [0.5], [0.1]]), np.array([[True], [False], [True]]))
        >>> found.without.T.round(6).tolist()
        [[0.5, 1.0, 1.0]]
        """
        occurring = np.flatnonzero(hits.any(0)).tolist()
        value, without = 0.0, np.empty((len(scores), len(occurring)))
        for number, place in enumerate(occurring):
            own, without[:, number] = _of_label(scores[:, place], hits[:, place] > 0)
            value += own
        return cls(value / max(len(occurring), 1), without, hits[:, occurring] > 0)

    def interval(self, groups: np.ndarray | None = None) -> tuple[float, float]:
        """Return the 95 % interval of `value`; videos of one group of `groups` (V,) count as one."""
        error = standard_error(self.without, self.hits, groups, level=self.value)
        return interval_of_share(self.value, error, having=int((_by_source(self.hits, groups) > 0).sum()))


def standard_error(without: np.ndarray, hits: np.ndarray, groups: np.ndarray | None = None, *, level: float) -> float:
    """Return the standard error of the mean of C figures by what each is without each of the videos, (V, C).

    Videos of one group of `groups` (V,) count as one: their changes are added. This is the jackknife (Tukey 1958),
    which is rather too wide (Efron and Stein 1981): without one of the n videos that have a label, `hits` (V, C), the
    mean of n precisions changes by 1 / (n - 1) and not by 1 / n, so (n - 1) / n of the variance counts. A label of one
    group shows no change; it gets the variance that the others would have with one group. The others count by
    1 / groups there, because they are the more like it the fewer they have. The error is widened by Student's t, with
    a degree of freedom for each group of a label but one. Where precisions are low, a few high ones make nearly all of
    the variance, and it is known as a count of them is: of N groups of labels whose mean precision is `level`, with
    2 N level / (1 - level) degrees of freedom at most. Infinite if no label has two groups.
    """
    change, of_source = _by_source(without.mean(0) - without, groups), _by_source(hits, groups)
    count, (videos, labels) = len(change), hits.shape
    own, having = (of_source > 0).sum(0), hits.sum(0)
    shown = own > 1
    if not shown.any():
        return math.inf
    unit = (own - 1) * _variance(change, videos)
    unseen = np.average(unit, weights=shown / own) * (~shown).sum()
    total = (change * np.sqrt(shown * (having - 1) / having)).sum(1, keepdims=True)
    error: float = math.sqrt(float(_variance(total, videos)[0]) + unseen) / labels
    high = 2 * own.sum() * level / max(1 - level, 1e-9)
    return error * t_by_normal(max(1, round(min(count - 1, (own - 1).sum(), high))))


def _by_source(values: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """The sums of values (V, C) over the videos of each of N groups, (N, C) float64."""
    if groups is None:
        return values.astype(np.float64)
    source = np.unique(groups, return_inverse=True)[1].reshape(-1)
    sums = np.zeros((int(source.max()) + 1, values.shape[1]))
    np.add.at(sums, source, values)
    return sums


def _variance(change: np.ndarray, videos: int) -> np.ndarray:
    """The variance of figures by their changes without each of N groups: (N, C) -> (C,)."""
    count = len(change)
    spread: np.ndarray = np.square(change - change.mean(0)).sum(0)
    return count / (count - 1) * ((videos - 1) / videos) ** 2 * spread


def interval_of_share(share: float, error: float, *, having: int) -> tuple[float, float]:
    """Return the 95 % interval of a share with a standard error, by its logit, so that it stays between 0 and 1.

    A share of 0 or 1 has no error; then it is that of a rate which is the same in all `having` trials (Wilson).
    """
    if not 0 < share < 1:
        return wilson_interval(round(share) * having, having)
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
