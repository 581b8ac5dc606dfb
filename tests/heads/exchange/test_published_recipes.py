import dataclasses

import pytest
import torch

from framebank.heads.evaluation.evaluate import evaluate_run
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import RECIPES, read_recipe, recipe_names

CPU = torch.device("cpu")
OVER_FRAMES = ("text4vis", "tip-adapter", "tip-adapter-f", "linear-probe", "ridge", "knn", "su", "bike")


@pytest.mark.parametrize("name", recipe_names())
def test_a_published_recipe_is_read_and_names_its_paper(name):
    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    comment = text[: text.index("\nhead")]
    assert all(line.startswith("# ") for line in comment.splitlines())
    assert "arXiv" in comment or "JMLR" in comment
    read_recipe(name)


@pytest.mark.parametrize("name", OVER_FRAMES)
@pytest.mark.usefixtures("one_thread")
def test_a_published_recipe_trains_and_scores(world, tmp_path, name):
    recipe = read_recipe(name)
    recipe = dataclasses.replace(recipe, epochs=min(recipe.epochs, 1), min_steps=min(recipe.min_steps, 8))
    prompts = world.prompts if recipe.reads_texts else None
    job = TrainingJob(world.store, world.manifest.split("train"), recipe, prompts=prompts, device=CPU)
    run = job.save(tmp_path / "run", log=list(job.epochs()))
    test = world.manifest.split("test")
    report = evaluate_run(run, world.store, test, split="test", device=CPU, folder=tmp_path / "run")
    assert report["videos_evaluated"] == 22
    if not recipe.epochs:
        assert report["top1"] >= 0.6
