"""Chance: a training that learned nothing says so, and no other does."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from framebank.heads.training.chance import judge, warn_of_matcher
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.store import PromptBank
from framebank.store.errors import DataWarning

CPU = torch.device("cpu")
RECIPE = Recipe(head="mean", classifier="linear", loss="ce", epochs=5, batch_size=16, lr=0.05)
TEXTS = replace(RECIPE, head="conv1d", classifier="text", lr=0.01, val_fraction=0)

pytestmark = pytest.mark.usefixtures("one_thread")


def test_guessing_by_hand() -> None:
    target = torch.tensor([0, 0, 1, 2])
    guess = judge(torch.zeros(4, 3), target)
    assert guess.loss == pytest.approx(math.log(3))
    assert (guess.guessed_loss, guess.guessed_top1) == (pytest.approx(math.log(3)), 0.5)
    assert guess.is_all
    assert not judge(torch.eye(3)[target] * 5, target).is_all
    # sure and wrong is no better than guessing; right, though of flat scores, is
    assert judge(torch.eye(3)[(target + 1) % 3] * 5, target).is_all
    many = torch.arange(3).repeat(100)
    assert judge(torch.eye(3)[many] * 0.01, many).loss > 0.98 * math.log(3)
    assert not judge(torch.eye(3)[many] * 0.01, many).is_all


def train(world, recipe: Recipe, prompts: PromptBank | None = None) -> list[str]:
    job = TrainingJob(world.store, world.manifest.split("train"), recipe, prompts=prompts, device=CPU)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(job.epochs())
    return [str(one.message) for one in caught if issubclass(one.category, DataWarning)]


def test_a_training_that_learns_says_nothing(world) -> None:
    assert train(world, RECIPE) == []
    assert train(world, TEXTS, world.prompts) == []


@pytest.mark.parametrize("loss", ["ce", "kl"])
def test_a_training_on_texts_that_are_one_says_so(world, loss: str) -> None:
    alike = replace(world.prompts, embeddings=np.ones_like(world.prompts.embeddings))
    (told,) = train(world, replace(TEXTS, loss=loss), alike)
    assert told.startswith("conv1d + text learned nothing: the loss of its scores stays at 1.386, guessing among 4 ")
    assert "classes costs 1.386 (ln 4), and 25.0 % of the training videos are right; look at the texts of the" in told
    assert told.endswith("the learning rate (lr 0.01)")


def test_matchers() -> None:
    with pytest.warns(DataWarning, match=r"trx learned nothing: its loss stays at 1.609, .*costs 1.609 \(ln 5\); look"):
        warn_of_matcher("trx", loss=math.log(5), way=5, accuracy=math.nan)
    with pytest.warns(DataWarning, match=r", and 20.0 % of the validation queries are right; look"):
        warn_of_matcher("trx", loss=math.log(5), way=5, accuracy=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_matcher("trx", loss=1.7, way=5, accuracy=0.8)
        warn_of_matcher("trx", loss=1.5, way=5, accuracy=0.2)
