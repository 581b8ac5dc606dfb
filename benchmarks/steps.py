"""The choice of the steps: the CPU seconds of a linear probe that tries whitened steps too, beside AdamW's alone.

python benchmarks/steps.py [--rounds 3]

Made-up banks of one row a video. "Ended" is the training where the whitened steps end after their first part, as they
do where they are not clearly better; "to the end" is the training where they go on. Both are ratios to the training by
AdamW alone, on pooled rows, in turn; the median of the rounds is told. A set of many videos makes fewer epochs here.
"""

import statistics
import time
from dataclasses import replace
from unittest.mock import patch

import click
import numpy as np

BANKS = ((600, 512, 7), (1_400, 512, 101))
STEPS = 160


@click.command()
@click.option("--rounds", default=3)
def main(rounds: int) -> None:
    """Measure and print a row of Markdown for each bank."""
    click.echo(
        "| videos | numbers a row | classes | AdamW alone, ms a step | ended | to the end |\n|---|---|---|---|---|---|"
    )
    for videos, dim, classes in BANKS:
        alone, *ratios = measure(videos, dim, classes, rounds=rounds)
        click.echo(f"| {videos:,} | {dim:,} | {classes} | {alone:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


def measure(videos: int, dim: int, classes: int, *, rounds: int) -> tuple[float, float, float]:
    """Return the milliseconds of a step of AdamW alone, and the ratios of the two others to it."""
    import torch

    from framebank.heads.bank import Bank
    from framebank.heads.training import steps_contest
    from framebank.heads.training.build import build_model
    from framebank.heads.training.loop import fit
    from framebank.heads.training.recipe import read_recipe

    def bank(count: int, seed: int) -> Bank:
        draw = torch.Generator().manual_seed(seed)
        x, target = torch.randn(count, 1, dim, generator=draw), torch.randint(classes, (count,), generator=draw)
        ids = tuple(f"{seed}-{number}" for number in range(count))
        return Bank(ids, x, torch.ones(count, 1, dtype=torch.bool), target, count, num_classes=classes)

    train, val, device = bank(videos, 0), bank(max(60, min(videos // 9, 5_000)), 1), torch.device("cpu")
    one_source = np.zeros(len(val))  # which never tells the two apart
    recipe = replace(read_recipe("linear-probe"), min_steps=0)
    each = -(-videos // recipe.batch_size)
    recipe = replace(recipe, epochs=max(8, STEPS // each))

    def seconds(steps: str, *, goes_on: bool = False) -> float:
        model = build_model(recipe, dim=dim, num_classes=classes, texts=None)
        own = replace(recipe, steps=steps)
        started = time.process_time()
        with patch.object(
            steps_contest, "first_part", (lambda epochs: epochs) if goes_on else steps_contest.first_part
        ):
            list(fit(model, own, train, val=val, texts=None, device=device, val_groups=one_source))
        return time.process_time() - started

    seconds("adamw")  # what the first one loads is no part of it
    found = [(seconds("adamw"), seconds("either"), seconds("either", goes_on=True)) for _ in range(rounds)]
    alone, ended, whole = (
        statistics.median(one[place] / (one[0] if place else 1) for one in found) for place in range(3)
    )
    return 1000 * alone / (recipe.epochs * each), ended, whole


if __name__ == "__main__":
    main()
