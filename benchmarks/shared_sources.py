"""Shared sources: what a temperature does where the sources of videos are not known, and whether the rows tell it.

python benchmarks/shared_sources.py STORE [STORE ...] [--draws 3] [--classes 0] [--json FILE]

Each draw takes whole sources (or, where names tell none, single videos) for a test: 30 % of them. The others are
trained on as `framebank train --recipe linear-probe --set steps=adamw` does it, and "short", without its floor of 600
steps. "Hidden" is the same with names that tell no source, so that clips of one recording are on both sides of the
validation draw. `share` is that of the validation videos with a near training video of their class. The calibration
error is that of the test videos: as the model gives them, with the temperature that fits the validation videos, and
with the one that `train` keeps. "Worse" counts errors that rose and are above 95 % of those that chance makes of right
probabilities.
"""

import json
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

if TYPE_CHECKING:
    from framebank.store import FeatureStore

DRAWS = 200  # of chance


@click.command()
@click.argument("stores", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--draws", default=3)
@click.option("--classes", default=0, help="Draw so many classes each time.  [all]")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(stores: tuple[Path, ...], draws: int, classes: int, json_path: Path | None) -> None:
    """Draw, train and measure; print one line for each store and way."""
    from framebank.store import FeatureStore
    from framebank.store.videos.groups import are_grouped, groups_of

    rows = []
    for place in stores:
        store = FeatureStore(place)
        sources = groups_of(store.manifest.videos)
        with tempfile.TemporaryDirectory() as folder:
            ways = {"known": store, **({"hidden": _hidden(store, Path(folder))} if are_grouped(sources) else {})}
            for way, bank in ways.items():
                for steps in (None, 0):
                    own = [_measure(bank, sources, seed, classes=classes, min_steps=steps) for seed in range(draws)]
                    rows.append({"store": place.name, "sources": way, "short": steps == 0, "draws": own})
                    _tell(rows[-1])
    if json_path:
        json_path.write_text(json.dumps({"rows": rows}, indent=1))


def _tell(row: dict[str, Any]) -> None:
    own = row["draws"]
    shares, before, fitted, kept = (
        " ".join(f"{100 * one[name]:.1f}" for one in own) for name in ("share", "before", "fitted", "kept")
    )
    temperatures = " ".join(f"{one['temperature']:.2f}" for one in own)
    click.echo(
        f"{row['store']}, sources {row['sources']}, {'short' if row['short'] else 'all steps'}: share {shares} %; "
        f"error {before} %, fitted {fitted} % (temperatures {temperatures}, "
        f"worse {sum(one['worse'] for one in own)} of {len(own)}), "
        f"kept {kept} % (worse {sum(one['kept_worse'] for one in own)})"
    )


def _hidden(store: "FeatureStore", folder: Path) -> "FeatureStore":
    """A copy of a store whose names tell no source."""
    from framebank.store import FeatureStore, Manifest, ShardWriter

    videos = [replace(video, video_id=f"v{n:06d}", group="") for n, video in enumerate(store.manifest.videos)]
    with ShardWriter(folder, store.spec) as writer:
        for video, before in zip(videos, store.manifest.ids, strict=True):
            writer.add(video.video_id, store[before])
    Manifest([replace(video, path=Path(video.video_id)) for video in videos]).write(folder / "manifest.csv")
    return FeatureStore(folder)


def _measure(
    bank: "FeatureStore", sources: np.ndarray, seed: int, *, classes: int, min_steps: int | None
) -> dict[str, float]:
    import torch

    from framebank.heads.bank import load_bank
    from framebank.heads.confidence.scaling import fit_scaling
    from framebank.heads.confidence.shared_sources import mean_rows, near_share, shared_sources_note
    from framebank.heads.confidence.worth import confidence_of
    from framebank.heads.predictions import predict_logits
    from framebank.heads.training.job import TrainingJob
    from framebank.heads.training.recipe import read_recipe

    rng, device = np.random.default_rng(seed), torch.device("cpu")
    label = np.array([video.label for video in bank.manifest.videos])
    chosen = np.isin(label, rng.permutation(np.unique(label))[: classes or None])
    tested = np.zeros(len(label), dtype=bool)
    for name in np.unique(label[chosen]):
        own = rng.permutation(np.unique(sources[label == name]))
        tested |= np.isin(sources, own[: round(0.3 * len(own))]) & (label == name)
    recipe = replace(read_recipe("linear-probe"), seed=seed, steps="adamw")
    recipe = recipe if min_steps is None else replace(recipe, min_steps=min_steps)
    job = TrainingJob(bank, bank.manifest.select(np.flatnonzero(chosen & ~tested)), recipe, device=device)
    for _ in job.epochs():
        pass
    assert job.val, "the recipe holds out no validation videos"
    model, target = job.model.eval(), job.val.target
    known = predict_logits(model, job.val, device=device)
    fitted = fit_scaling(known, target)
    sources = partial(shared_sources_note, job.val, job.train, bank.manifest)
    kept = fit_scaling(known, target, sources=sources)
    test = load_bank(bank, bank.manifest.select(np.flatnonzero(chosen & tested)), job.labels, device=device)
    logits = predict_logits(model, test, device=device).double()
    scores = [each.softmax(1).numpy() for each in (logits, fitted.apply(logits), kept.apply(logits))]
    errors = [confidence_of(each, test.target.numpy())["ece"] for each in scores]
    return {
        "share": near_share(mean_rows(job.val), target, mean_rows(job.train), job.train.target),
        "temperature": fitted.temperature,
        "before": errors[0],
        "fitted": errors[1],
        "kept": errors[2],
        "worse": errors[1] > max(errors[0] + 1e-9, _by_chance(scores[1])),
        "kept_worse": errors[2] > max(errors[0] + 1e-9, _by_chance(scores[2])),
    }


def _by_chance(scores: np.ndarray) -> float:
    """The error above which 5 % of the draws lie in which chance decides which answers are right."""
    from framebank.heads.confidence.worth import errors_by_chance

    return float(np.quantile(errors_by_chance(scores.max(1), draws=DRAWS), 0.95))


if __name__ == "__main__":
    main()
