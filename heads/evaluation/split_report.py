"""Split reports: the report of each split or draw of a protocol, and their means."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framebank.heads.evaluation.normal import Z
from framebank.heads.metrics import wilson_interval
from framebank.store.errors import DataError

SINGLE, SEVERAL = ("top1", "top5", "mean_class_accuracy"), ("map",)  # figures for one label of a video, and for more


@dataclass(frozen=True)
class SplitReport:
    """One split or draw: its report, as `evaluate` gives it, and how many test videos the official list has."""

    name: str
    report: Mapping[str, Any]
    listed: int

    @property
    def evaluated(self) -> int:
        """How many videos were scored."""
        return int(self.report["videos_evaluated"])


def mean_over(parts: Sequence[SplitReport]) -> dict[str, Any]:
    """Return the mean of each figure over the parts, the sample deviation of the first, and the counts of videos.

    The figures are `top1`, `top5` and `mean_class_accuracy`, with the 95 % interval of top1 over videos; or `map` with
    its interval, if videos may have several labels. The interval of several parts is that of their mean, for the mean
    number of their videos; for `map`, its ends are the means of theirs. The parts are not independent, so more draws do
    not make it narrower. DataError if some parts have several labels and others do not.
    """
    reports = [part.report for part in parts]
    several = ["map" in report for report in reports]
    if any(several) and not all(several):
        raise DataError("in some parts of the protocol a video has several labels, in others one; expected one kind")
    figures = SEVERAL if any(several) else SINGLE
    means = {name: statistics.fmean(report[name] for report in reports) for name in figures}
    found: dict[str, Any] = {**means, "deviation": _deviation([report[figures[0]] for report in reports])}
    if "top1" in means:
        videos = round(statistics.fmean(part.evaluated for part in parts))
        found["top1_interval"] = wilson_interval(round(means["top1"] * videos), videos)
    else:
        ends = zip(*(report["map_interval"] for report in reports), strict=True)
        found["map_interval"] = tuple(map(statistics.fmean, ends))
    return {**found, **_counts(parts)}


def harmonic_mean_over(base: Sequence[SplitReport], novel: Sequence[SplitReport]) -> dict[str, Any]:
    """Return the harmonic mean of the base and the novel accuracy, each of them the mean over the draws.

    `top1` is the harmonic mean of the two top-1 means, as CoCoOp (arXiv 2203.05557) and ViFi-CLIP (arXiv 2212.03640)
    have it; so are `top5` and `mean_class_accuracy`. The 95 % interval takes the two for independent (delta method).
    The deviation is that of the draws' own harmonic means.
    """
    one, other = mean_over(base), mean_over(novel)
    if "map" in one:
        raise DataError("a video of the protocol has several labels; expected one for each video")
    draws = [harmonic(a.report["top1"], b.report["top1"]) for a, b in zip(base, novel, strict=True)]
    half = Z * _spread(one["top1"], _videos(base), other["top1"], _videos(novel))
    mean = {name: harmonic(one[name], other[name]) for name in SINGLE}
    return {
        **mean,
        "top1_interval": (max(0.0, mean["top1"] - half), min(1.0, mean["top1"] + half)),
        "deviation": _deviation(draws),
        "base_top1": one["top1"],
        "novel_top1": other["top1"],
        **_counts([*base, *novel]),
    }


def harmonic(one: float, other: float) -> float:
    """Return the harmonic mean of two rates, 0 if both are 0.

    >>> harmonic(0.9, 0.6)
    0.72
    """
    return 2 * one * other / (one + other) if one + other else 0.0


def _spread(one: float, ones: float, other: float, others: float) -> float:
    """The standard error of the harmonic mean of two independent rates."""
    if not one + other:
        return 0.0
    slopes = 2 * other**2 / (one + other) ** 2, 2 * one**2 / (one + other) ** 2
    variances = one * (1 - one) / ones, other * (1 - other) / others
    return math.sqrt(sum(slope**2 * variance for slope, variance in zip(slopes, variances, strict=True)))


def _videos(parts: Sequence[SplitReport]) -> float:
    return statistics.fmean(part.evaluated for part in parts)


def _counts(parts: Sequence[SplitReport]) -> dict[str, int]:
    return {
        "videos_evaluated": sum(part.evaluated for part in parts),
        "videos_listed": sum(part.listed for part in parts),
    }


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0
