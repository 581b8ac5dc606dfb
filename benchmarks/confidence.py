"""Confidence: the calibration error of trained runs before and after their temperature, and what conformal sets cover.

python benchmarks/confidence.py STORE [STORE ...] [--recipes linear-probe] [--seeds 10] [--min-steps N] [--turned]
    [--steps KIND] [--json FILE]

Each recipe is trained on the split train of each store, as `framebank train` does it, and measured on the split test:
ECE of 15 bins of equally many videos, and what chance alone makes of it where the confidences are right: the mean and
the 95 % range of 1,000 draws. The temperature is fitted on the validation videos of the training; the interval of the
ratio of the error after it to that before is by 1,000 draws of the sources of the test videos. "Best" is the
temperature of least cross-entropy on the test videos themselves: what no fit can beat by much. --min-steps 0 is
linear-probe's training of before it had a floor of steps, which leaves it unsure. --steps adamw is the one of before
the validation videos chose the kind of its steps. --turned turns all rows by one random
rotation, which changes no cosine. For the sets, the test videos are divided 200 times into halves: the one makes the
sets of 90 %, the other says how often they hold the true label, and how many labels they hold.
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
DRAWS = 1000  # of chance, and of the sources


@click.command()
@click.argument("stores", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--recipes", default="linear-probe")
@click.option("--seeds", default=10)
@click.option("--min-steps", type=int, help="The floor of the steps of a training.  [that of the recipe]")
@click.option("--steps", help="The kind of the steps: adamw, whitened or either.  [that of the recipe]")
@click.option("--turned", is_flag=True, help="Turn the rows by a random rotation first.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(
    stores: tuple[Path, ...],
    recipes: str,
    seeds: int,
    min_steps: int | None,
    steps: str | None,
    turned: bool,
    json_path: Path | None,
) -> None:
    """Train, measure and print one line for each run, and the means over the seeds."""
    rows = []
    for store in stores:
        for recipe in recipes.split(","):
            begin = len(rows)
            for seed in range(seeds):
                with _turned(store) if turned else _as_it_is(store) as place:
                    measured = _measure(place, recipe, seed, min_steps=min_steps, steps=steps)
                row = {"store": store.name, "turned": turned, "recipe": recipe, "seed": seed, **measured}
                rows.append(row)
                before, after, best = row["before"], row["after"], row["best"]
                click.echo(
                    f"{store.name}, {recipe}, seed {seed}: steps {row['steps']}, "
                    f"{row['val_videos']} validation videos, of which "
                    f"{100 * row['val_top1']:.1f} % are right, and {100 * row['test_top1']:.1f} % of the test videos; "
                    f"temperature {row['temperature']:.3f}, ECE {_told(before)} -> {_told(after)} %, which is "
                    f"{row['ratio']:.2f} ({row['ratio_low']:.2f}-{row['ratio_high']:.2f}) of before, with the best "
                    f"temperature {best['temperature']:.3f} {_told(best)} %; "
                    f"NLL {before['nll']:.3f} -> {after['nll']:.3f}; sets cover "
                    f"{100 * row['coverage']:.2f} % (from {100 * row['lowest']:.1f} to {100 * row['highest']:.1f}), "
                    f"{row['size']:.2f} labels each, by class {100 * row['coverage_by_class']:.2f} %"
                )
            click.echo(f"{store.name}, {recipe}: {_means(rows[begin:])}")
    if json_path:
        json_path.write_text(json.dumps({"rows": rows}, indent=1))


def _told(found: dict[str, Any]) -> str:
    chance, low, high = (100 * value for value in found["by_chance"])
    return f"{100 * found['ece']:.1f} (by chance {chance:.1f}, {low:.1f}-{high:.1f})"


def _means(rows: list[dict[str, Any]]) -> str:
    """Tell the means over the seeds, and how many errors are above 97.5 % of those that chance makes."""
    told = []
    for when in ("before", "after", "best"):
        errors = [row[when] for row in rows]
        mean = {
            "ece": float(np.mean([each["ece"] for each in errors])),
            "by_chance": np.mean([each["by_chance"] for each in errors], axis=0),
        }
        above = sum(each["ece"] > each["by_chance"][2] for each in errors)
        told.append(f"{when} {_told(mean)} %, above that in {above}")
    ratio = np.mean([row["ratio"] for row in rows])
    return f"{'; '.join(told)} of {len(rows)}; after is {ratio:.2f} of before"


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


def _measure(store: Path, recipe: str, seed: int, *, min_steps: int | None, steps: str | None) -> dict[str, Any]:
    import torch

    from framebank.heads.bank import load_bank
    from framebank.heads.confidence.scaling import fit_scaling
    from framebank.heads.confidence.shared_sources import shared_sources_note
    from framebank.heads.predictions import predict_logits
    from framebank.heads.training.job import TrainingJob
    from framebank.heads.training.recipe import read_recipe
    from framebank.store import FeatureStore
    from framebank.store.videos.groups import groups_of

    device = torch.device("cpu")
    bank = FeatureStore(store)
    chosen = replace(read_recipe(recipe), seed=seed)
    chosen = chosen if min_steps is None else replace(chosen, min_steps=min_steps)
    chosen = chosen if steps is None else replace(chosen, steps=steps)
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
    ideal = fit_scaling(logits, test.target)
    raw, scores, best = (each.softmax(1).numpy() for each in (logits, scaling.apply(logits), ideal.apply(logits)))
    groups = groups_of(bank.manifest.of_ids(test.video_ids))
    return {
        "steps": job.steps.chosen if job.steps else job.recipe.steps,
        "val_videos": len(job.val),
        "val_top1": float((known.argmax(1) == job.val.target).float().mean()),
        "test_videos": len(target),
        "test_top1": float((logits.argmax(1) == test.target).float().mean()),
        "temperature": scaling.temperature,
        "before": _errors(raw, target),
        "after": _errors(scores, target),
        **_ratio(raw, scores, target, groups),
        "best": {"temperature": ideal.temperature, **_errors(best, target)},
        **_sets(scores, target),
    }


def _errors(scores: np.ndarray, target: np.ndarray) -> dict[str, Any]:
    from framebank.heads.confidence.worth import confidence_of, errors_by_chance

    found, drawn = confidence_of(scores, target), errors_by_chance(scores.max(1), draws=DRAWS)
    chance = [float(drawn.mean()), *(float(value) for value in np.quantile(drawn, (0.025, 0.975)))]
    return {**{name: found[name] for name in ("ece", "brier", "nll")}, "by_chance": chance}


def _ratio(before: np.ndarray, after: np.ndarray, target: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Return the error after the temperature by that before, and its 95 % interval over draws of the sources."""
    from framebank.heads.confidence.worth import calibration_error, reliability

    def ratio(rows: np.ndarray) -> float:
        one, two = (
            calibration_error(reliability(scores[rows].max(1), scores[rows].argmax(1) == target[rows]))
            for scores in (before, after)
        )
        return two / one

    rng, of_source = np.random.default_rng(0), [np.flatnonzero(groups == group) for group in np.unique(groups)]
    drawn = rng.integers(len(of_source), size=(DRAWS, len(of_source)))
    low, high = np.quantile([ratio(np.concatenate([of_source[n] for n in own])) for own in drawn], (0.025, 0.975))
    return {"ratio": ratio(np.arange(len(target))), "ratio_low": float(low), "ratio_high": float(high)}


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
