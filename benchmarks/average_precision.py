"""Average precision: how often its 95 % interval holds the mean of other test sets, and that of a difference 0.

python benchmarks/average_precision.py [--sets 4000] [--json FILE]

Made-up videos with several labels. Each score is a normal value, the shift where the video has the label, and a part
that the labels of a video share. "Resampled" is the interval of before: 500 draws of the videos with replacement, of
each 20th set. In some lines a source gives five videos, with labels and scores that are alike. In the last eleven, many
labels have one to four videos or sources.
"""

import json
import resource
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

SHARED = 0.5  # the spread of what the labels of a video share
EVERY, DRAWS = 20, 500  # of the sets, and of their videos, for the interval of before


@dataclass(frozen=True)
class Case:
    """Test sets of so many videos and labels, whose rates go from `least` to `most`; `source` videos are alike."""

    videos: int
    labels: int
    least: float
    most: float
    shift: float
    source: int = 1


CASES = (
    Case(200, 3, 0.1, 0.3, 1.5),
    Case(200, 10, 0.05, 0.3, 1.5),
    Case(200, 20, 0.02, 0.1, 2.0),
    Case(300, 5, 0.1, 0.3, 4.0),
    Case(500, 10, 0.02, 0.2, 1.5),
    Case(1000, 5, 0.02, 0.2, 1.0),
    Case(500, 5, 0.1, 0.3, 1.5, source=5),
    Case(1500, 10, 0.05, 0.3, 1.5, source=5),
    Case(200, 20, 0.005, 0.02, 2.0),
    Case(100, 20, 0.01, 0.03, 2.0),
    Case(200, 5, 0.005, 0.02, 2.0),
    Case(200, 20, 0.005, 0.3, 1.5),
    Case(60, 3, 0.03, 0.1, 1.5),
    Case(200, 10, 0.005, 0.02, 1.0),
    Case(500, 20, 0.01, 0.04, 2.0, source=5),
    Case(200, 10, 0.005, 0.02, 0.5),
    Case(500, 10, 0.01, 0.04, 1.0, source=5),
    Case(100, 3, 0.03, 0.1, 4.0),
    Case(100, 6, 0.02, 0.04, 4.0),
)


@click.command()
@click.option("--sets", default=4000, help="Test sets of each kind.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(sets: int, json_path: Path | None) -> None:
    """Draw test sets, and print one line for each kind."""
    rows = []
    for case in CASES:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        row = {**asdict(case), **_measure(case, sets)}
        row["cpu"] = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
        rows.append(row)
        said = {name: f"{100 * value:.2f}" for name, value in row.items() if isinstance(value, float)}
        click.echo(
            f"{case}: mAP {said['map']} %, deviation {said['deviation']}, standard error {said['error']}; the interval "
            f"holds it {said['holds']} %, is above it {said['high']} %, below it {said['low']} %; by video "
            f"{said['by_video']} %; of a difference of 0 {said['difference']} %; resampled {said['resampled']} %, "
            f"draws {said['bias']} points off; {row['cpu']:.0f} s of CPU"
        )
    if json_path:
        json_path.write_text(json.dumps({"sets": sets, "rows": rows}, indent=1))


def _measure(case: Case, sets: int) -> dict[str, float]:
    from framebank.heads.evaluation.jackknife import JackknifedMap, interval_of_gain, standard_error

    rng = np.random.default_rng(0)
    groups = np.arange(case.videos) // case.source
    maps, errors, intervals, by_video, zero, resampled, bias = [], [], [], [], [], [], []
    for number in range(sets):
        hits, (scores, other) = _draw(case, rng)
        found, jackknifed = _map(scores, hits), JackknifedMap.of(scores, hits)
        maps.append(found)
        errors.append(standard_error(jackknifed.without, jackknifed.hits, groups, level=found))
        intervals.append(jackknifed.interval(groups))
        by_video.append(jackknifed.interval())
        gain, change = _map(other, hits) - found, JackknifedMap.of(other, hits).without - jackknifed.without
        error = standard_error(change, jackknifed.hits, groups, level=found + gain / 2)
        low, high = interval_of_gain(gain, error)
        zero.append(low <= 0 <= high)
        if number % EVERY == 0:
            draws = _resample(scores, hits, rng)
            resampled.append(np.quantile(draws, (0.025, 0.975)))
            bias.append(draws.mean() - found)
    mean = float(np.mean(maps))
    low, high = np.array(intervals).T
    return {
        "map": mean,
        "deviation": float(np.std(maps)),
        "error": float(np.mean([error for error in errors if error < np.inf])),  # without it, nothing is told
        "holds": float(((low <= mean) & (mean <= high)).mean()),
        "high": float((low > mean).mean()),
        "low": float((high < mean).mean()),
        "by_video": float(np.mean([one <= mean <= two for one, two in by_video])),
        "difference": float(np.mean(zero)),
        "resampled": float(np.mean([one <= mean <= two for one, two in resampled])),
        "bias": float(np.mean(bias)),
    }


def _draw(case: Case, rng: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """The labels (V, C) of a test set, each label with a video at least, and the scores (V, C) of two equal runs."""
    rates = np.geomspace(case.least, case.most, case.labels)
    sources = case.videos // case.source
    while True:
        own = rng.random((sources, case.labels)) < rates
        if own.any(0).all():
            break
    hits = np.repeat(own, case.source, axis=0)
    shared = rng.normal(size=(sources, 1)) * SHARED + rng.normal(size=(sources, case.labels)) * (case.source > 1)
    common = np.repeat(shared, case.source, axis=0) + case.shift * hits + rng.normal(size=hits.shape) * 0.8
    return hits, [common + rng.normal(size=hits.shape) * 0.6 for _ in range(2)]


def _map(scores: np.ndarray, hits: np.ndarray, weights: np.ndarray | None = None) -> float:
    order = np.argsort(-scores, axis=0)
    counts = np.ones(len(scores))[order] if weights is None else weights[order]
    right = counts * np.take_along_axis(hits, order, axis=0)
    there = right.sum(0)
    precision = right.cumsum(0) / np.maximum(counts.cumsum(0), 1)
    return float(((right * precision).sum(0)[there > 0] / there[there > 0]).mean())


def _resample(scores: np.ndarray, hits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    count = len(scores)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=DRAWS)
    return np.array([_map(scores, hits, each) for each in weights if hits[each > 0].any()])


if __name__ == "__main__":
    main()
