"""Recipes compared on a small world, as `framebank compare` does it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from framebank.heads.evaluation.compare import Comparison, Trial, run_trials
from framebank.heads.progress import Tell, tell_nobody
from framebank.heads.training.recipe import Recipe
from framebank.store import LabelSet, PromptBank
from framebank.tests.worlds.heads import World


def compare(
    world: World,
    recipes: Mapping[str, Recipe],
    folder: Path,
    *,
    seeds: Sequence[int] = (0, 1),
    prompts: PromptBank | None = None,
    workers: int = 1,
    tell: Tell = tell_nobody,
) -> list[Trial]:
    """Train recipes with each seed on the split train, and score them on the split test."""
    comparison = Comparison(
        world.store,
        world.manifest.split("train"),
        world.manifest.split("test"),
        "test",
        LabelSet(world.prompts.labels.names),
        torch.device("cpu"),
        folder,
        prompts=prompts,
    )
    return list(run_trials(comparison, recipes, seeds=seeds, workers=workers, tell=tell))
