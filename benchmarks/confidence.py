"""Confidence: the calibration error of trained runs before and after their temperature, and what conformal sets cover.

python benchmarks/confidence.py STORE [STORE ...] [--recipes linear-probe,ridge] [--seeds 3] [--min-steps N] [--turned]
    [--json FILE]

Each recipe is trained on the split train of each store, as `framebank train` does it, and measured on the split test:
ECE of 15 bins of equally many videos, and the mean that chance alone makes of it where the confidences are right. The
temperature is fitted on the validation videos of the training. "Best" is the temperature of least cross-entropy on the
test videos themselves: what no fit can beat by much. --min-steps 0 is linear-probe's training of before it had a floor
of steps, which leaves it unsure. --turned turns all rows by one random rotation, which changes no cosine. For the sets,
the test videos are divided 200 times into halves: the one makes the sets of 90 %, the other says how often they hold
the true label, and how many labels they hold.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

SPLITS = 200


@click.command()
@click.argument("stores", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--recipes", default="linear-probe,ridge")
@click.option("--seeds", default=3)
@click.option("--min-steps", type=int, help="The floor of the steps of a training.  [that of the recipe]")
@click.option("--turned", is_flag=True, help="Turn the rows by a random rotation first.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(
    stores: tuple[Path, ...], recipes: str, seeds: int, min_steps: int | None, turned: bool, json_path: Path | None
) -> None:
    """Train, measure and print one line for each run."""
    rows = []
    for store in stores:
        for recipe in recipes.split(","):
            for seed in range(seeds):
                with _turned(store) if turned else _as_it_is(store) as place:
                    measured = _measure(place, recipe, seed, min_steps=min_steps)
                row = {"store": store.name, "turned": turned, "recipe": recipe, "seed": seed, **measured}
                rows.append(row)
                before, after, best = row["before"], row["after"], row["best"]
                click.echo(
                    f"{store.name}, {recipe}, seed {seed}: {row['val_videos']} validation videos, of which "
                    f"{100 * row['val_top1']:.1f} % are right, and {100 * row['test_top1']:.1f} % of the test videos; "
                    f"temperature {row['temperature']:.3f}, ECE {_told(before)} -> {_told(after)} %, with the best "
                    f"temperature {best['temperature']:.3f} {_told(best)} %; "
                    f"NLL {before['nll']:.3f} -> {after['nll']:.3f}; sets cover "
                    f"{100 * row['coverage']:.2f} % (from {100 * row['lowest']:.1f} to {100 * row['highest']:.1f}), "
                    f"{row['size']:.2f} labels each, by class {100 * row['coverage_by_class']:.2f} %"
                )
    if json_path:
        json_path.write_text(json.dumps({"rows": rows}, indent=1))


def _told(found: dict[str, float]) -> str:
    return f"{100 * found['ece']:.1f} (by chance {100 * found['ece_by_chance']:.1f})"


@contextmanager
def _as_it_is(store: Path) -> Iterator[Path]:
    yield store


@contextmanager
def _turned(store: Path) -> Iterator[Path]:
    """A copy of a store whose rows are turned by a random rotation."""
    from framebank.store import FeatureStore, ShardWriter

    bank = FeatureStore(store)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(bank.spec.dim, bank.spec.dim)))[0]
    with tempfile.TemporaryDirectory() as folder:
        with ShardWriter(Path(folder), bank.spec) as writer:
            for video_id in bank:
                rows = bank[video_id]
                writer.add(video_id, replace(rows, data=rows.data.astype(np.float64) @ turn))
        bank.manifest.write(Path(folder) / "manifest.csv")
        yield Path(folder)


def _measure(store: Path, recipe: str, seed: int, *, min_steps: int | None) -> dict[str, Any]:
    import torch

    from framebank.heads.bank import load_bank
    from framebank.heads.confidence.scaling import fit_scaling
    from framebank.heads.confidence.shared_sources import shared_sources_note
    from framebank.heads.confidence.worth import confidence_of
    from framebank.heads.predictions import predict_logits
    from framebank.heads.training.job import TrainingJob
    from framebank.heads.training.recipe import read_recipe
    from framebank.store import FeatureStore

    device = torch.device("cpu")
    bank = FeatureStore(store)
    chosen = replace(read_recipe(recipe), seed=seed)
    chosen = chosen if min_steps is None else replace(chosen, min_steps=min_steps)
    job = TrainingJob(bank, bank.split("train"), chosen, device=device)
    for _ in job.epochs():
        pass
    assert job.val, "the recipe holds out no validation videos"
    model = job.model.eval()
    known = predict_logits(model, job.val, device=device)
    sources = partial(shared_sources_note, job.val, job.train, bank.manifest)
    scaling = fit_scaling(known, job.val.target, sources=sources)
    test = load_bank(bank, bank.split("test"), job.labels, num_frames=job.recipe.frames, device=device)
    logits, target = predict_logits(model, test, device=device).double(), test.target.numpy()
    scores = scaling.apply(logits).softmax(1).numpy()
    ideal = fit_scaling(logits, test.target)
    kept = ("ece", "ece_by_chance", "brier", "nll")
    before, after, best = (
        confidence_of(p, target) for p in (logits.softmax(1).numpy(), scores, ideal.apply(logits).softmax(1).numpy())
    )
    return {
        "val_videos": len(job.val),
        "val_top1": float((known.argmax(1) == job.val.target).float().mean()),
        "test_videos": len(target),
        "test_top1": float((logits.argmax(1) == test.target).float().mean()),
        "temperature": scaling.temperature,
        "before": {name: before[name] for name in kept},
        "after": {name: after[name] for name in kept},
        "best": {"temperature": ideal.temperature, **{name: best[name] for name in kept}},
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
