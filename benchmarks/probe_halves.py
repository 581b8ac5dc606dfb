"""Which linear classifier suits few videos? Recipes on halves of the training videos: no test video is read.

python benchmarks/probe_halves.py STORE [--shots 2,4,8] [--draws 3] [--recipes linear-probe,ridge,clip-probe]

Half of the split "train", by source, trains; the other half is tested. The table has the top-1, mean over the draws,
for each number of training videos a class. "lda" and "linear", which is that of `framebank train`, may be named
too. Frames are pooled as they are stored, and no video is held out.
"""

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("--shots", default="2,4,8", help="Training videos a class; at most those of a half.")
@click.option("--draws", default=3, help="Draws of the halves for each number of shots.")
@click.option("--recipes", default="linear-probe,linear,ridge,lda,clip-probe")
def main(store: Path, shots: str, draws: int, recipes: str) -> None:
    """Print a row of Markdown for each number of shots."""
    names = recipes.split(",")
    click.echo(f"| videos a class | draws | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}")
    for count in map(int, shots.split(",")):
        means = [statistics.fmean(_top1(store, name, count, seed) for seed in range(draws)) for name in names]
        click.echo(f"| {count} | {draws} | {' | '.join(f'{100 * mean:.1f} %' for mean in means)} |")


def _top1(folder: Path, name: str, shots: int, seed: int) -> float:
    import torch

    import framebank as fb
    from framebank.heads.bank import load_bank
    from framebank.heads.metrics import score_targets
    from framebank.heads.predictions import predict_logits
    from framebank.heads.training.job import TrainingJob

    store, device = fb.open(folder), torch.device("cpu")
    first, second = store.split("train").held_out(0.5, seed=seed)
    recipe = replace(_recipe(name, shots * len(set(first.labels))), shots=shots, seed=seed, val_fraction=0.0)
    job = TrainingJob(store, first, replace(recipe, frame_norm=False), device=device)
    list(job.epochs())
    bank = load_bank(store, second, job.labels, device=device)
    return score_targets(predict_logits(job.model.eval(), bank, device=device), bank.target)


def _recipe(name: str, num_videos: int) -> Any:
    from framebank.heads.training.candidates import linear_recipe
    from framebank.heads.training.recipe import Recipe, read_recipe

    plain = Recipe(head="mean", classifier="lda", loss="ce", epochs=0)
    if name == "linear":
        return linear_recipe(plain, num_videos=num_videos)
    return plain if name == "lda" else read_recipe(name)


if __name__ == "__main__":
    main()
