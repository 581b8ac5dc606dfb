"""How far `auto` is behind the best way in hindsight, and how much of that is the luck of the best of many.

python benchmarks/hindsight.py STORE LINES [--draws 2000] [--splits 20]

LINES is what benchmarks/auto.py wrote about STORE: for each number of shots, way and seed, which test videos were
right. "in hindsight" is the mean over seeds of `auto` minus the highest mean of the other ways, on the videos that also
choose the highest. A maximum over noisy figures is too high. So "cross-fitted" divides the test videos into halves, by
source, at random: one half chooses the best way, and the other half compares `auto` with it; then the halves change
places. It is the mean over the splits. The interval (95 %) is a bootstrap over sources: in each draw the sources of
both halves get other weights. Ways of equal figures in the half that chooses count alike. A half knows the best way
less well than all test videos do, so that the true gap is about between the two. And it knows more than anybody who has
no labelled test videos.
"""

import json
from pathlib import Path

import click
import numpy as np


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.argument("lines", type=click.Path(path_type=Path, exists=True))
@click.option("--draws", default=2000, help="Draws of the bootstrap.")
@click.option("--splits", default=20, help="Of the test videos, in each draw.")
def main(store: Path, lines: Path, draws: int, splits: int) -> None:
    """Print a row for each number of shots."""
    import framebank as fb
    from framebank.store.videos.groups import groups_of

    test = fb.open(store).split("test")
    videos = sorted(test.labelled().videos, key=lambda video: video.video_id)
    groups = groups_of(videos)
    rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    for shots in dict.fromkeys(row["shots"] for row in rows):
        ways: dict[str, list[np.ndarray]] = {}
        for row in rows:
            if row["shots"] == shots:
                ways.setdefault(row["way"], []).append(np.array(list(row["right"]), dtype=float))
        auto = np.mean(ways.pop("auto"), axis=0)  # (V,), the share of the seeds that are right
        others = np.stack([np.mean(each, axis=0) for each in ways.values()])  # (W, V)
        whole = others.mean(1)
        best = [name for name, mean in zip(ways, whole, strict=True) if mean > whole.max() - 1e-9]
        gap, interval = cross_fitted(auto, others, groups, draws=draws, splits=splits)
        click.echo(
            f"{shots:3d} shots  {len(videos)} videos of {groups.max() + 1} sources  auto {100 * auto.mean():.1f} %  in "
            f"hindsight {100 * (auto.mean() - whole.max()):+.1f} ({', '.join(best)} of {len(ways)})  cross-fitted "
            f"{100 * gap:+.1f} ({100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})"
        )


def cross_fitted(
    auto: np.ndarray, others: np.ndarray, groups: np.ndarray, *, draws: int, splits: int
) -> tuple[float, tuple[float, float]]:
    """Return the mean gap and its interval: auto (V,), others (W, V), sources (V,) counted from 0."""
    draw, sources = np.random.default_rng(0), int(groups.max()) + 1
    sums = np.stack([np.bincount(groups, each, sources) for each in (auto, *others)])  # (1 + W, S)
    sizes = np.bincount(groups, minlength=sources)
    plain = np.mean([_gap(sums, sizes, np.ones(sources), draw) for _ in range(draws)])
    found = []
    for _ in range(draws):
        weights = draw.multinomial(sources, np.full(sources, 1 / sources))
        found.append(np.mean([_gap(sums, sizes, weights, draw) for _ in range(splits)]))
    return float(plain), (float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975)))


def _gap(sums: np.ndarray, sizes: np.ndarray, weights: np.ndarray, draw: np.random.Generator) -> float:
    """Return auto minus the way that the other half chooses, as the mean over both halves of a random split."""
    first = np.zeros(len(sizes), dtype=bool)
    first[draw.permutation(np.flatnonzero(weights))[: np.count_nonzero(weights) // 2]] = True
    tops = [(sums * weights * half).sum(1) / (sizes * weights * half).sum() for half in (first, ~first)]  # (1 + W,)
    gaps = []
    for chooses, compares in (tops, tops[::-1]):
        best = chooses[1:] > chooses[1:].max() - 1e-9
        gaps.append(compares[0] - compares[1:][best].mean())
    return float(np.mean(gaps))


if __name__ == "__main__":
    main()
