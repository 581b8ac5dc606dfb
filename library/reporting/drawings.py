"""Drawings of a report: its sections as charts."""

from collections.abc import Callable, Mapping, Sequence

from framebank.library.reporting.certainty import RunCertainty
from framebank.library.reporting.charts import Axis, Curve, curve_chart, histogram, score_lines
from framebank.library.reporting.perturbed import Perturbed
from framebank.library.reporting.spread import Spread
from framebank.library.reporting.strips import ScoredStrip

KINDS = "ab"  # classes of the style sheet for the lines of a chart; a third run has the look of the second


def draw_reliability(runs: Sequence[RunCertainty]) -> str:
    """Return how often answers are right against how sure they are."""
    curves = [
        Curve(run.name, [(sure, right) for sure, right, _ in run.bins], _kind(place)) for place, run in enumerate(runs)
    ]
    told = "; ".join(f"{run.name}: calibration error {100 * run.error:.1f} %" for run in runs)
    return curve_chart(curves, _share("confidence, %"), _share("right, %"), told=f"Reliability. {told}", diagonal=True)


def draw_coverage(runs: Sequence[RunCertainty]) -> str:
    """Return the accuracy of the surest videos against the share of the videos that get an answer."""
    curves = [
        Curve(run.name, [(kept, right) for kept, right, _ in run.coverage], _kind(place), dots=False)
        for place, run in enumerate(runs)
    ]
    least = min(right for curve in curves for _, right in curve.points)
    y = Axis("right, %", min(0.9, int(10 * least) / 10), 1.0, percent=True)
    told = "; ".join(f"{run.name}: {100 * run.at(0.5)[1]:.1f} % of the surest half are right" for run in runs)
    return curve_chart(curves, _share("videos with an answer, %"), y, told=f"Coverage. {told}")


def draw_frames(found: Perturbed) -> str:
    """Return the accuracy against the number of frames that the run sees."""
    points = [(float(count), seen.accuracy) for count, seen in found.frames]
    told = ", ".join(f"{count} frames {100 * accuracy:.1f} %" for count, accuracy in points)
    x = Axis("frames that it sees", 0, points[-1][0] * 1.05)
    return curve_chart([Curve("accuracy", points)], x, _share("right, %"), told=f"Accuracy by frames: {told}")


def draw_scores(strip: ScoredStrip) -> str:
    """Return the probabilities of the label that is wrong, if there is one, and of a true one over time."""
    curves = [
        Curve(one.label, [(when, row[place]) for when, row in zip(strip.times, strip.over_time, strict=True)], kind)
        for place, (one, kind) in enumerate(zip(strip.drawn, "ba" if strip.wrong else "a", strict=True))
    ]
    said = "" if strip.wrong is None else f"{strip.wrong.label}, which is wrong, and of "
    return score_lines(strip.times, curves, told=f"Probability of {said}{strip.true[0].label} for each frame alone")


def draw_spread(found: Spread, title: str, of: str) -> str:
    """Return how numbers are spread, as bars."""
    x = Axis(title, found.edges[0], found.edges[-1])
    told = f"Spread of the {title}: {found.least:.3g} to {found.most:.3g}, the median is {found.middle:.3g}"
    return histogram(found.edges, found.counts, x, of=of, told=told)


def _kind(place: int) -> str:
    return KINDS[min(place, len(KINDS) - 1)]


def _share(title: str) -> Axis:
    return Axis(title, 0.0, 1.0, percent=True)


DRAWINGS: Mapping[str, Callable[..., str]] = {
    "draw_reliability": draw_reliability,
    "draw_coverage": draw_coverage,
    "draw_frames": draw_frames,
    "draw_scores": draw_scores,
    "draw_spread": draw_spread,
}
