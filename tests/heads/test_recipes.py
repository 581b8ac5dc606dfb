"""The published recipes: each is read, says what differs from its paper, builds its model and takes a step."""

import re
import tomllib

import pytest
import torch

from framebank.heads.predictions import predict_logits
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.loss_sum import read_losses
from framebank.heads.training.recipe import RECIPES, Recipe, read_recipe, recipe_names
from framebank.store import DataError

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


def test_each_file_is_found_by_its_name():
    expected = {"a5", "actionclip", "attentive-probe", "froster", "m2clip", "mitx", "sloshnet", "vivit-frozen"}
    assert set(recipe_names()) >= expected
    assert len(recipe_names()) == len(list(RECIPES.iterdir()))
    with pytest.raises(DataError, match="no recipe is named 'b5'; expected one of a5, actionclip"):
        read_recipe("b5")


@pytest.mark.parametrize("name", recipe_names())
def test_each_names_its_paper_and_what_it_sets(name):
    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    head, *_ = text.split("\nhead = ")
    assert all(line.startswith("# ") for line in head.splitlines())
    assert re.search(r"arXiv \d{4}\.\d{4,5}|JMLR", head)
    assert len(head.splitlines()) >= 2
    found = tomllib.loads(text)
    assert {"head", "classifier", "loss", "epochs"} <= set(found)
    assert ("lr" in found) == (found["epochs"] > 0)  # in closed form there is none
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("name", recipe_names())
def test_each_learns_what_it_is_asked_to(world, name):
    recipe = read_recipe(name)
    recipe = recipe.with_settings({"epochs": "2", "batch_size": "16"}) if recipe.epochs else recipe
    recipe = recipe.with_settings({"stream": "frame"}) if recipe.stream == "tokens" else recipe  # the world has none
    prompts = world.prompts if recipe.reads_texts else None
    labels = world.prompts.labels
    job = TrainingJob(world.store, world.manifest.split("train"), recipe, labels=labels, prompts=prompts, device=CPU)
    before = {name: p.detach().clone() for name, p in job.model.named_parameters() if p.requires_grad}
    log = list(job.epochs())
    assert len(log) == recipe.epochs
    assert all(torch.tensor(epoch.loss).isfinite() for epoch in log)
    after = dict(job.model.named_parameters())
    if log:
        assert any(not torch.equal(value, after[name]) for name, value in before.items())
    right = predict_logits(job.model, job.train, device=CPU).argmax(1) == job.train.target
    assert recipe.epochs or right.float().mean() > 0.4  # of four classes; two epochs are too few to ask for that


@pytest.mark.parametrize("name", recipe_names())
def test_each_survives_being_written(tmp_path, name):
    recipe = read_recipe(name)
    recipe.write(tmp_path / "recipe.toml")
    assert Recipe.read(tmp_path / "recipe.toml") == recipe


def test_m2clip_has_four_losses_whose_weights_can_be_set():
    weights = {"kl": 0.5, "softmax-ce": 0.5, "video-ce": 1.0, "masked-text": 0.1}
    assert read_losses(read_recipe("m2clip").loss) == weights
    changed = read_recipe("m2clip").with_settings({"loss": "contrastive + 0.5 video-ce + ce + 0.1 masked-text"})
    assert read_losses(changed.loss)["masked-text"] == 0.1


def test_a5_divides_cosines_by_7_hundredths():
    recipe = read_recipe("a5")
    assert recipe.classifier_options["scale"] == pytest.approx(1 / 0.07)
    assert recipe.frames == 16
