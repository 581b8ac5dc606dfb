"""Paired precision: two classifiers of several labels on the same videos, by their mean average precision."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framebank.heads.evaluation.jackknife import JackknifedMap, interval_of_gain, standard_error
from framebank.heads.evaluation.normal import t_by_normal
from framebank.heads.evaluation.verdict import (
    FEWEST,
    POWER_Z,
    difference_line,
    plain_values,
    told,
    told_in_html,
    verdict_lines,
    verdict_of,
)
from framebank.store.counts import counted
from framebank.store.errors import DataError

ONE_SIDED_Z = 1.644854  # standard errors to either side of a 90 % interval, for two one-sided tests of 5 %
SAME = 1e-12  # a smaller change is that of rounding
SHARE_THAT_COUNTS = 0.2  # of the largest change; one source changes the precision of all others by far less


@dataclass(frozen=True, repr=False)
class PrecisionDifference:
    """How B compares with A on the same videos of several labels. All figures are fractions from 0 to 1.

    `difference` is the mean average precision of B minus that of A. `interval` is its 95 % interval, by a jackknife
    over `sources` (groups or single videos), and `p_value` the level at which it reaches 0. `smallest_difference` is
    the difference that this test set finds in 4 of 5 cases. `verdict` is about B: "better", "worse" or "cannot tell".
    `sources_that_differ` counts the sources without which the difference would be another. `p_holm`,
    `equivalent_within` and `equivalent` are as in `PairedDifference`. A video of several labels is not right or wrong
    as a whole, so there are no flips and no McNemar's test.
    """

    map_a: float
    map_b: float
    difference: float
    interval: tuple[float, float]
    p_value: float
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
            f"mAP        {100 * self.map_a:.1f} % {a}, {100 * self.map_b:.1f} % {b}",
            difference_line(self),
            "flips      none, and no McNemar's test: a video of several labels is not right or wrong as a whole",
            *verdict_lines(self, a=a, b=b),
        ]


def compare_precision(
    a: Sequence[JackknifedMap],
    b: Sequence[JackknifedMap],
    *,
    groups: np.ndarray | None = None,
    equivalent_within: float | None = None,
) -> PrecisionDifference:
    """Compare B with A by their mean average precision on the same V videos; each has one map for each of S seeds.

    `groups` (V,) tells which videos come from one source. The interval is a jackknife (Tukey 1958): the difference
    without each source. With several seeds, the videos count by the mean over the pairs, and the spread of the S
    differences is added, widened by Student's t. The verdict needs p < 5 % and FEWEST sources that differ. DataError
    if the runs do not have the same videos or the same number of seeds.

    >>> scores, hits = np.random.default_rng(0).random((90, 2)), np.arange(180).reshape(90, 2) % 4 == 0
    >>> first, second = JackknifedMap.of(scores, hits), JackknifedMap.of(scores + hits, hits)
    >>> compare_precision([first], [second]).verdict
    'better'
    """
    videos = len(a[0].without)
    if len(a) != len(b) or any(len(one.without) != videos for one in (*a, *b)):
        sizes = [
            f"{name} has {counted(len(one), 'seed')} and {counted(len(one[0].without), 'video')}"
            for name, one in (("A", a), ("B", b))
        ]
        raise DataError(f"{', '.join(sizes)}; expected the same")
    source = np.arange(videos) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    gains = np.array([two.value - one.value for one, two in zip(a, b, strict=True)])
    without = np.mean([two.without - one.without for one, two in zip(a, b, strict=True)], axis=0)
    map_a, map_b = (float(np.mean([one.value for one in each])) for each in (a, b))
    difference = float(gains.mean())
    error = standard_error(without, a[0].hits, source, level=(map_a + map_b) / 2)
    if len(gains) > 1:
        error = math.hypot(error, float(gains.std(ddof=1)) / math.sqrt(len(gains)) * t_by_normal(len(gains) - 1))
    sources = int(source.max()) + 1
    differing = _differing(np.bincount(source, weights=without.mean(1) - difference))
    p_value = _p_value(difference, error)
    return PrecisionDifference(
        map_a=map_a,
        map_b=map_b,
        difference=difference,
        interval=interval_of_gain(difference, error),
        p_value=p_value,
        smallest_difference=min(1.0, POWER_Z * error if error else FEWEST / videos),
        verdict=verdict_of(difference, p_value, differing),
        videos=videos,
        sources=sources,
        sources_that_differ=differing,
        seeds=len(gains),
        equivalent_within=equivalent_within,
        equivalent=_equivalent(difference, error, equivalent_within, sources=sources, differing=differing),
    )


def maps_of_scores(scores: np.ndarray, hits: np.ndarray, *, name: str) -> list[JackknifedMap]:
    """Return the mean average precision for each seed: scores (V, C) or (S, V, C), hits (V, C) of true and false.

    Videos without a label do not count. DataError, which calls the scores by `name`, if the arrays do not fit.
    """
    if hits.ndim != 2 or hits.dtype.kind not in "biuf" or not np.isin(hits, (0, 1)).all():
        raise DataError(f"targets has the shape {hits.shape}; expected (V, C) of true and false for each label")
    if scores.ndim not in (2, 3) or scores.shape[-2:] != hits.shape or not scores.size:
        raise DataError(f"{name} has the shape {scores.shape}; expected {hits.shape}, or (S, V, C) of S seeds")
    if scores.dtype.kind not in "biuf" or np.isnan(scores).any():
        raise DataError(f"{name} holds values that are not numbers; expected a score for each video and label")
    scores, labelled = scores.astype(np.float64), hits.any(1)
    if not labelled.any():
        raise DataError("targets: no video has a label; expected one or more")
    return [JackknifedMap.of(one[labelled], hits[labelled] > 0) for one in scores.reshape(-1, *hits.shape)]


def _differing(changes: np.ndarray) -> int:
    """The sources that count for a difference, by how it changes without each of them, (N,).

    Without one source, the precision of all others changes a little too, and alike. So a source counts if it differs
    from the middle one by a fifth of the largest change, which is a count that can be wrong by one or two.
    """
    apart = np.abs(changes - np.median(changes))
    return int((apart > max(SAME, SHARE_THAT_COUNTS * float(apart.max()))).sum())


def _p_value(difference: float, error: float) -> float:
    """The level at which the interval reaches 0, by the normal distribution."""
    if not difference or math.isinf(error):
        return 1.0
    return math.erfc(abs(difference) / error / math.sqrt(2)) if error else 0.0


def _equivalent(difference: float, error: float, within: float | None, *, sources: int, differing: int) -> bool | None:
    """Whether the 90 % interval lies within so many points; None if the caller did not ask."""
    if within is None:
        return None
    if not within > 0:
        raise DataError(f"equivalent_within is {within}; expected points above 0")
    most = abs(difference) + ONE_SIDED_Z * error
    if differing < FEWEST:  # sources that were not seen may differ
        most = max(most, FEWEST / sources)
    return most < within / 100
