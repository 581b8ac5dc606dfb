"""Paired comparison: how often two equal runs are told apart, how often a better one is found, what intervals cover.

python benchmarks/paired.py [--sets 10000] [--covers 4000] [--pairs 4000] [--json FILE]

Made-up test sets. Of the first two parts, A is right in 70 % of the videos and the two are correlated by 0.8: B is
equal to A (errors of the first kind, which should be 5 %), or better by as much as two independent proportions of so
many videos show in half the cases; beside the verdict of `fb.compare` stand McNemar's exact test and the test of two
independent proportions. Of the third, videos come in sources of 2 to 10, and a flip is that of a whole source in nine
of ten of its videos: how often the 95 % interval by source, and by single video, holds the true difference. Of the
fourth, two equal methods are trained with several seeds: each training shifts the accuracy by as many points as a
deviation says, and each run draws its own errors beside those of the videos. How often they are told apart, which
should be 5 % at most.
"""

import json
import math
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

VIDEOS = (200, 1000, 3783)
ACCURACY, CORRELATION = 0.7, 0.8
SOURCES = (50, 200, 707)
SEEDS, SHIFTS = (2, 3, 5), (0.0, 0.005, 0.01, 0.02)


@click.command()
@click.option("--sets", default=10_000, help="Test sets of each size, for errors and power.")
@click.option("--covers", default=4_000, help="Test sets of each number of sources, for coverage.")
@click.option("--pairs", default=4_000, help="Pairs of methods of each number of seeds, for errors over seeds.")
@click.option("--seed", default=0)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(sets: int, covers: int, pairs: int, seed: int, json_path: Path | None) -> None:
    """Draw the test sets and print one line for each size."""
    rows: list[dict[str, Any]] = []
    for videos in VIDEOS:
        rows.append(_errors(videos, 0.0, sets, np.random.default_rng([seed, videos])))
        # Two independent proportions: a difference of 1.96 standard errors is found in half the cases.
        gain = 1.96 * math.sqrt(2 * ACCURACY * (1 - ACCURACY) / videos)
        rows.append(_errors(videos, gain, sets, np.random.default_rng([seed, videos, 1])))
    rows += [_coverage(sources, covers, np.random.default_rng([seed, sources])) for sources in SOURCES]
    rows += [
        _seeds(seeds, shift, pairs, np.random.default_rng([seed, seeds, round(1000 * shift)]))
        for seeds in SEEDS
        for shift in SHIFTS
    ]
    if json_path:
        json_path.write_text(json.dumps({"rows": rows}, indent=1))


def _errors(videos: int, gain: float, sets: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return how often each test tells the two apart, as a share of the sets."""
    from framebank.heads.evaluation.paired import compare_paired

    started = time.perf_counter()
    a, b = ACCURACY, ACCURACY + gain
    both = min(a, a * b + CORRELATION * math.sqrt(a * (1 - a) * b * (1 - b)))
    # both right, A alone, B alone, neither
    counts = rng.multinomial(videos, [both, a - both, b - both, 1 - a - b + both], size=sets)  # (sets, 4)
    told = mcnemar = 0
    for number, row in enumerate(counts):
        found = compare_paired(
            np.repeat([True, True, False, False], row), np.repeat([True, False, True, False], row), seed=number
        )
        told += found.verdict != "cannot tell"
        mcnemar += found.mcnemar_p < 0.05
    right_a, right_b = counts[:, 0] + counts[:, 1], counts[:, 0] + counts[:, 2]
    pooled = (right_a + right_b) / (2 * videos)
    error = np.sqrt(2 * pooled * (1 - pooled) / videos)
    unpaired = float((np.abs(right_b - right_a) / videos > 1.96 * error).mean())
    row = {
        "part": "power" if gain else "errors",
        "videos": videos,
        "gain": gain,
        "sets": sets,
        "verdict": told / sets,
        "mcnemar": mcnemar / sets,
        "unpaired": unpaired,
        "seconds": time.perf_counter() - started,
    }
    click.echo(
        f"{row['part']}, {videos} videos, B better by {100 * gain:.2f} points: told apart {100 * told / sets:.2f} %, "
        f"McNemar {100 * mcnemar / sets:.2f} %, unpaired {100 * unpaired:.2f} %"
    )
    return row


def _coverage(sources: int, sets: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return how often the interval by source, and by video, holds the true difference of 9 points."""
    from framebank.heads.evaluation.paired import compare_paired

    held = {"source": 0, "video": 0}
    for number in range(sets):
        sizes = rng.integers(2, 11, size=sources)
        groups = np.repeat(np.arange(sources), sizes)
        way = rng.choice([1, -1, 0], size=sources, p=[0.2, 0.1, 0.7])[groups]
        step = np.where(rng.random(len(groups)) < 0.9, way, 0)
        for kind, given in (("source", groups), ("video", None)):
            low, high = compare_paired(step < 0, step > 0, groups=given, seed=number).interval
            held[kind] += low <= 0.09 <= high
    click.echo(
        f"coverage, {sources} sources of 2 to 10 videos: 95 % intervals hold the truth in "
        f"{100 * held['source'] / sets:.2f} % by source, {100 * held['video'] / sets:.2f} % by video"
    )
    return {"part": "coverage", "sources": sources, "sets": sets, **{k: v / sets for k, v in held.items()}}


def _seeds(seeds: int, shift: float, pairs: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return how often two equal methods of so many seeds are told apart, whose accuracy varies by `shift`."""
    from framebank.heads.evaluation.paired import compare_paired

    told = 0
    for number in range(pairs):
        ease = rng.beta(1.4, 0.6, size=1000)  # how likely a run has each video right, 0.7 in the mean
        u = np.where(rng.random((2, seeds, 1000)) < 0.8, rng.random(1000), rng.random((2, seeds, 1000)))
        a, b = u < ease + rng.normal(0, shift, size=(2, seeds, 1))
        told += compare_paired(a, b, seed=number).verdict != "cannot tell"
    click.echo(f"{seeds} seeds, deviation {100 * shift:.1f} points: told apart {100 * told / pairs:.2f} %")
    return {"part": "seeds", "seeds": seeds, "shift": shift, "pairs": pairs, "verdict": told / pairs}


if __name__ == "__main__":
    main()
