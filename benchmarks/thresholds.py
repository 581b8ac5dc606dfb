"""Thresholds: what they are worth where videos have several labels, with and without the counts of all classes.

python benchmarks/thresholds.py FEATURES.npz [--draws 3] [--json FILE]

FEATURES.npz has `features` (V, 1, D) or (V, D), `label` (V,) and `split` (V,), as ucf101-midframes.npz. A made-up video
is the mean of the unit frames of one to three classes, and has their labels; the numbers of the classes fall as a power
law. A linear classifier with BCE learns from 4,000 of them of the split train. The thresholds are fitted on some of
frames of half of the split test, and 4,000 of the other half say what they are worth: the mean F1 of the classes above
0.5 and above the thresholds of best F1, and the precision of what lies above the thresholds that ask for 90 %.
"""

import json
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from framebank.heads.confidence import thresholds
from framebank.store.vectors import unit

VIDEOS, ASKED = 4000, 0.9
VALIDATION = (150, 500, 2000)
EPOCHS = (5, 15, 60)


@click.command()
@click.argument("features", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--draws", default=3)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(features: Path, draws: int, json_path: Path | None) -> None:
    """Draw, train, fit and print one line for each number of epochs and of validation videos."""
    torch.set_num_threads(1)
    with np.load(features) as arrays:
        x, label, split = (arrays[name] for name in ("features", "label", "split"))
    x = unit(x.reshape(len(x), -1).astype(np.float32))
    names, target = np.unique(label, return_inverse=True)
    found: dict[tuple[int, int], list[dict[str, float]]] = {}
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        share = 1 / (1 + rng.permutation(len(names)))
        places = {"train": np.flatnonzero(split == "train")}
        places["val"], places["test"] = np.array_split(rng.permutation(np.flatnonzero(split == "test")), 2)
        frames = {part: (x[rows], target[rows]) for part, rows in places.items()}
        train = _made_up(*frames["train"], share, VIDEOS, rng)
        test = _made_up(*frames["test"], share, VIDEOS, rng)
        val = _made_up(*frames["val"], share, max(VALIDATION), rng)
        for epochs in EPOCHS:
            model = _trained(*train, epochs=epochs, seed=draw)
            with torch.no_grad():
                scores, held = model(test[0]), model(val[0])
            for count in VALIDATION:
                row = _worth(held[:count], val[1][:count], scores, test[1])
                found.setdefault((count, epochs), []).append(row)
    rows = []
    for (count, epochs), each in found.items():
        mean = {name: 100 * float(np.mean([row[name] for row in each])) for name in each[0]}
        rows.append({"validation": count, "epochs": epochs, "draws": draws, **mean})
        told = ", ".join(f"{name} {value:.1f}" for name, value in mean.items())
        click.echo(f"{count} validation videos, {epochs} epochs: {told}")
    if json_path:
        json_path.write_text(json.dumps({"rows": rows}, indent=1))


def _made_up(
    x: np.ndarray, target: np.ndarray, share: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return videos (count, D) and their labels (count, C) of 0 or 1."""
    places = [np.flatnonzero(target == one) for one in range(len(share))]
    rows, labels = np.zeros((count, x.shape[1]), dtype=np.float32), np.zeros((count, len(share)), dtype=np.float32)
    for video in range(count):
        chosen = rng.choice(len(share), size=rng.integers(1, 4), replace=False, p=share / share.sum())
        rows[video] = np.mean([x[rng.choice(places[one])] for one in chosen], axis=0)
        labels[video, chosen] = 1
    return torch.from_numpy(rows), torch.from_numpy(labels)


def _trained(x: Tensor, target: Tensor, *, epochs: int, seed: int) -> torch.nn.Linear:
    torch.manual_seed(seed)
    model = torch.nn.Linear(x.shape[1], target.shape[1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.03)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x[batch]), target[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def _worth(held: Tensor, known: Tensor, scores: Tensor, target: Tensor) -> dict[str, float]:
    half = torch.full((target.shape[1],), 0.5)
    found = {"F1 above 0.5": _f1(scores, target, half)}
    usual = thresholds.HOLD
    for name, hold in (("without", 0.0), ("with", usual)):
        thresholds.HOLD = hold
        best, sure = (thresholds.fit_thresholds(held, known, precision=wanted) for wanted in (None, ASKED))
        found[f"F1 {name}"] = _f1(scores, target, torch.tensor(best.values))
        given = scores.sigmoid() > torch.tensor(sure.values)
        found[f"precision {name}"] = float(target[given].mean()) if given.any() else float("nan")
    thresholds.HOLD = usual
    return found


def _f1(scores: Tensor, target: Tensor, cuts: Tensor) -> float:
    """Return the mean F1 of the classes that occur."""
    given, known = scores.sigmoid() > cuts, target > 0
    hits, sums = (given & known).sum(0), given.sum(0) + known.sum(0)
    return float((2 * hits / sums.clamp(min=1))[known.any(0)].mean())


if __name__ == "__main__":
    main()
