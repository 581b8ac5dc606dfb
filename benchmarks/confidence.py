"""Confidence: the calibration error of trained runs before and after their temperature, and what conformal sets cover.

python benchmarks/confidence.py STORE [STORE ...] [--recipes linear-probe,ridge] [--seeds 3] [--json FILE]

Each recipe is trained on the split train of each store, as `framebank train` does it, and measured on the split test:
ECE of 15 bins of equally many videos. The temperature is fitted on the validation videos of the training. For the sets,
the test videos are divided 200 times into halves: the one makes the sets of 90 %, the other says how often they hold
the true label, and how many labels they hold.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

SPLITS = 200


@click.command()
@click.argument("stores", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--recipes", default="linear-probe,ridge")
@click.option("--seeds", default=3)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(stores: tuple[Path, ...], recipes: str, seeds: int, json_path: Path | None) -> None:
    """Train, measure and print one line for each run."""
    rows = []
    for store in stores:
        for recipe in recipes.split(","):
            for seed in range(seeds):
                row = {"store": store.name, "recipe": recipe, "seed": seed, **_measure(store, recipe, seed)}
                rows.append(row)
                before, after = row["before"], row["after"]
                click.echo(
                    f"{store.name}, {recipe}, seed {seed}: {row['val_videos']} validation videos, temperature "
                    f"{row['temperature']:.3f}, ECE {100 * before['ece']:.1f} -> {100 * after['ece']:.1f} %, "
                    f"NLL {before['nll']:.3f} -> {after['nll']:.3f}; sets cover "
                    f"{100 * row['coverage']:.2f} % (from {100 * row['lowest']:.1f} to {100 * row['highest']:.1f}), "
                    f"{row['size']:.2f} labels each, by class {100 * row['coverage_by_class']:.2f} %"
                )
    if json_path:
        json_path.write_text(json.dumps({"rows": rows}, indent=1))


def _measure(store: Path, recipe: str, seed: int) -> dict[str, Any]:
    import torch

    from framebank.heads.bank import load_bank
    from framebank.heads.confidence.scaling import fit_scaling
    from framebank.heads.confidence.worth import confidence_of
    from framebank.heads.predictions import predict_logits
    from framebank.heads.training.job import TrainingJob
    from framebank.heads.training.recipe import read_recipe
    from framebank.store import FeatureStore

    device = torch.device("cpu")
    bank = FeatureStore(store)
    job = TrainingJob(bank, bank.split("train"), replace(read_recipe(recipe), seed=seed), device=device)
    for _ in job.epochs():
        pass
    assert job.val, "the recipe holds out no validation videos"
    model = job.model.eval()
    scaling = fit_scaling(predict_logits(model, job.val, device=device), job.val.target)
    test = load_bank(bank, bank.split("test"), job.labels, num_frames=job.recipe.frames, device=device)
    logits, target = predict_logits(model, test, device=device).double(), test.target.numpy()
    scores = scaling.apply(logits).softmax(1).numpy()
    kept = ("ece", "brier", "nll")
    before, after = (confidence_of(p, target) for p in (logits.softmax(1).numpy(), scores))
    return {
        "val_videos": len(job.val),
        "test_videos": len(target),
        "temperature": scaling.temperature,
        "before": {name: before[name] for name in kept},
        "after": {name: after[name] for name in kept},
        **_sets(scores, target),
    }


def _sets(scores: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Return how often sets of 90 % hold the true label, over the divisions, and their mean size."""
    from framebank.heads.confidence.conformal import label_sets

    rng = np.random.default_rng(0)
    covered, by_class, sizes = [], [], []
    for _ in range(SPLITS):
        order = rng.permutation(len(target))
        known, asked = order[: len(order) // 2], order[len(order) // 2 :]
        errors = 1 - scores[known, target[known]]
        rows = np.arange(len(asked))
        held = label_sets(scores[asked], level=0.9, known=errors)
        covered.append(held[rows, target[asked]].mean())
        sizes.append(held.sum(1).mean())
        held = label_sets(scores[asked], level=0.9, known=errors, classes=target[known])
        by_class.append(held[rows, target[asked]].mean())
    return {
        "coverage": float(np.mean(covered)),
        "lowest": float(np.min(covered)),
        "highest": float(np.max(covered)),
        "size": float(np.mean(sizes)),
        "coverage_by_class": float(np.mean(by_class)),
    }


if __name__ == "__main__":
    main()
