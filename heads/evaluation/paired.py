"""Paired: two classifiers on the same videos: how much they differ, how sure that is, and which videos changed."""

import math
from dataclasses import dataclass

import numpy as np

from framebank.heads.evaluation.normal import t_by_normal
from framebank.heads.evaluation.verdict import (
    FEWEST,
    LEVEL,
    POWER_Z,
    difference_line,
    plain_values,
    told,
    told_in_html,
    verdict_lines,
    verdict_of,
)
from framebank.store.errors import DataError

DRAWS = 10_000
CELLS = 1 << 22  # of the resampled counts that are in memory at once


@dataclass(frozen=True)
class Flips:
    """How many videos only B has right (`gained`), and how many only A has right (`lost`).

    With several seeds, a video is gained if more seeds of B than of A have it right.
    """

    gained: int
    lost: int


@dataclass(frozen=True, repr=False)
class PairedDifference:
    """How B compares with A on the same videos. Accuracies, differences and intervals are fractions from 0 to 1.

    `difference` is B minus A. `interval` is its 95 % interval, by a paired bootstrap over `sources` (groups or single
    videos). `p_value` is the level at which that interval reaches 0; where few sources differ, it is the p of the exact
    sign test over the sources, if that is larger. `mcnemar_p` is McNemar's exact test, which assumes
    independent videos. `smallest_difference` is the difference that this test set finds in 4 of 5 cases. `verdict` is
    about B: "better", "worse" or "cannot tell". `p_holm` is the p_value after Holm's correction, if several runs are
    compared with one. `equivalent` says whether the difference is within `equivalent_within` points, by the 90 %
    interval (two one-sided tests); both are None if the caller did not ask.
    """

    accuracy_a: float
    accuracy_b: float
    difference: float
    interval: tuple[float, float]
    p_value: float
    mcnemar_p: float
    flips: Flips
    smallest_difference: float
    verdict: str
    videos: int
    sources: int
    sources_that_differ: int
    seeds: int
    p_holm: float | None = None
    equivalent_within: float | None = None
    equivalent: bool | None = None

    to_dict = plain_values
    __repr__ = told
    _repr_html_ = told_in_html

    def lines(self, *, a: str = "A", b: str = "B") -> list[str]:
        """Return what was found, as lines, with the names of the two."""
        return [
            f"accuracy   {100 * self.accuracy_a:.1f} % {a}, {100 * self.accuracy_b:.1f} % {b}",
            difference_line(self),
            f"flips      {self.flips.gained} gained, {self.flips.lost} lost; McNemar p {self.mcnemar_p:.2g}",
            *verdict_lines(self, a=a, b=b),
        ]


def compare_paired(
    correct_a: np.ndarray,
    correct_b: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
    equivalent_within: float | None = None,
) -> PairedDifference:
    """Compare B with A, given which videos each has right, (V,) or (S, V) for S paired seeds, as booleans.

    `groups` (V,) tells which videos come from one source: the bootstrap (Efron 1979) draws sources, not videos. With
    several seeds it draws from the mean over the seeds, and the spread of the S differences is added: its variance by
    S. Each of the two parts is widened as Student's t asks for, with one degree of freedom less than there are sources
    or seeds, so that few do not look like many (Banerjee 1961: such an interval is never too narrow). Equal differences
    are split evenly, as a mid-p value does. If fewer than FEWEST sources differ, the interval reaches as far as the
    exact limits of the share that is gained and lost, and `p_value` is at least that of the exact sign test over the
    sources, which is 6 % or more there. The verdict needs p < 5 % and FEWEST sources that differ.
    McNemar's test (1947) is the exact one. DataError if the arrays do not fit.

    >>> import numpy as np
    >>> found = compare_paired(np.array([True, False] * 40), np.array([True, True, True, False] * 20))
    >>> found.difference, found.flips, found.verdict
    (0.25, Flips(gained=20, lost=0), 'better')
    """
    a, b = _booleans("correct_a", correct_a), _booleans("correct_b", correct_b)
    if a.shape != b.shape:
        raise DataError(f"correct_a has the shape {correct_a.shape} and correct_b {correct_b.shape}; expected the same")
    step = b.astype(np.int64) - a  # (S, V)
    source = _sources(groups, step.shape[1])
    draws, sums = _draws(step, source, seed=seed)
    difference = float(step.mean())
    low, high = np.clip(np.quantile(draws, [LEVEL / 2, 1 - LEVEL / 2]), -1, 1).tolist()
    p_value = min(1.0, 2 * float(min((draws <= 0).mean(), (draws >= 0).mean())))
    gained, lost = int((sums > 0).sum()), int((sums < 0).sum())
    if gained + lost < FEWEST:  # draws from so few that differ say too little of those that were not seen
        low = min(low, -_most_share(lost, len(sums), LEVEL / 2))
        high = max(high, _most_share(gained, len(sums), LEVEL / 2))
        p_value = max(p_value, mcnemar(gained, lost))
    net = step.sum(0)
    flips = Flips(int((net > 0).sum()), int((net < 0).sum()))
    differing = gained + lost
    equivalent = None
    if equivalent_within is not None:
        if not equivalent_within > 0:
            raise DataError(f"equivalent_within is {equivalent_within}; expected points above 0")
        most = float(np.abs(np.quantile(draws, [LEVEL, 1 - LEVEL])).max())
        if gained + lost < FEWEST:
            most = max(most, *(_most_share(count, len(sums), LEVEL) for count in (gained, lost)))
        equivalent = bool(len(sums) > 1 and most < equivalent_within / 100)
    smallest = max(POWER_Z * float(draws.std()), FEWEST / step.shape[1])
    return PairedDifference(
        accuracy_a=float(a.mean()),
        accuracy_b=float(b.mean()),
        difference=difference,
        interval=(low, high),
        p_value=p_value,
        mcnemar_p=mcnemar(flips.gained, flips.lost),
        flips=flips,
        smallest_difference=min(1.0, smallest),
        verdict=verdict_of(difference, p_value, differing),
        videos=step.shape[1],
        sources=len(sums),
        sources_that_differ=differing,
        seeds=len(step),
        equivalent_within=equivalent_within,
        equivalent=equivalent,
    )


def mcnemar(gained: int, lost: int) -> float:
    """Return the two-sided p of McNemar's exact test: whether flips go one way more often than a coin does.

    >>> mcnemar(6, 0)
    0.03125
    """
    number, fewer = gained + lost, min(gained, lost)
    if gained == lost:
        return 1.0
    last = math.comb(number, fewer) / (1 << number)  # whole numbers, so that the quotient is exact to the last digit
    places = np.arange(fewer, 0, -1)
    below = np.cumprod(places / (number - places + 1))  # each term from the one after it
    return min(1.0, 2 * last * (1 + float(below.sum())))


def _booleans(name: str, given: np.ndarray) -> np.ndarray:
    """Return the array as (S, V). DataError if it is empty or holds anything but true and false."""
    found = np.asarray(given)
    if found.ndim not in (1, 2) or not found.size:
        raise DataError(f"{name} has the shape {found.shape}; expected (V,), or (S, V) of S seeds")
    if found.dtype != bool:
        if found.dtype.kind not in "iuf" or not np.isin(found, (0, 1)).all():
            raise DataError(f"{name} holds values of the type {found.dtype}; expected true or false for each video")
        found = found.astype(bool)
    return found if found.ndim == 2 else found[None]


def _sources(groups: np.ndarray | None, videos: int) -> np.ndarray:
    """Return the number of each video's source, counted from 0."""
    if groups is None:
        return np.arange(videos)
    found = np.asarray(groups)
    if found.shape != (videos,):
        raise DataError(f"groups has the shape {found.shape}; expected ({videos},), a value for each video")
    return np.asarray(np.unique(found, return_inverse=True)[1].reshape(-1))


def _draws(step: np.ndarray, source: np.ndarray, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return resampled differences (DRAWS,), widened for few sources and seeds, and the sum of each source (G,)."""
    rng = np.random.default_rng(seed)
    seeds, count = len(step), int(source.max()) + 1
    sums = np.bincount(source, weights=step.sum(0), minlength=count)  # (G,)
    rows = np.stack([sums, np.bincount(source, minlength=count)], axis=1)
    kinds, number = np.unique(rows, axis=0, return_counts=True)  # sources that are alike are drawn together
    at_once = max(1, CELLS // len(kinds))
    drawn = [
        rng.multinomial(count, number / count, size=min(at_once, DRAWS - first)) @ kinds
        for first in range(0, DRAWS, at_once)
    ]
    each = np.concatenate(drawn)  # (DRAWS, 2), the last column how many videos were drawn
    found = each[:, 0] / each[:, 1] / seeds
    found += rng.uniform(-0.5, 0.5, DRAWS) / step.size  # equal differences lie on both sides of their value
    middle = step.mean()
    found = middle + (found - middle) * _widening(count)
    if seeds > 1:
        error = step.mean(1).std(ddof=1) / math.sqrt(seeds)
        found += rng.normal(0, error * t_by_normal(seeds - 1), DRAWS)
    return found, sums


def _widening(sources: int) -> float:
    """Return how much wider draws from so few sources must be: Student's t by the normal, and their bias."""
    if sources == 1:
        return 1e9  # one source says nothing about others
    return t_by_normal(sources - 1) * math.sqrt(sources / (sources - 1))


def _most_share(count: int, total: int, level: float) -> float:
    """Return the largest share that `count` of `total` do not contradict at a level (Clopper and Pearson 1934)."""
    if count >= total:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(50):
        share = (low + high) / 2
        seen = sum(math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(count + 1))
        low, high = (share, high) if seen > level else (low, share)
    return high
