"""Plots: a comparison as a picture."""

from collections.abc import Sequence
from pathlib import Path

from framebank.heads.evaluation.compare import Standing
from framebank.store.lazy import require


def draw_standings(found: Sequence[Standing], path: Path) -> None:
    """Draw the score of each recipe, with its deviation over seeds and its interval over videos, as a PNG.

    DataError if matplotlib is not installed.
    """
    figure = require("matplotlib.figure", extra="plot", what=path.name).Figure(
        figsize=(8, 0.4 * len(found) + 1.4), layout="constrained"
    )
    axes = figure.subplots()
    places = range(len(found), 0, -1)
    for place, standing in zip(places, found, strict=True):
        low, high = standing.interval or (standing.score, standing.score)
        axes.plot([100 * low, 100 * high], [place, place], color="0.75", linewidth=6, solid_capstyle="butt")
        axes.errorbar(100 * standing.score, place, xerr=100 * standing.deviation, fmt="o", color="C0", capsize=3)
    axes.set_yticks(list(places), [standing.recipe for standing in found])
    axes.set_xlabel("score in %: mean and deviation over seeds; grey: 95 % interval over videos")
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=120)
