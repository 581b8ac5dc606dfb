"""What `auto` found goes through the state of a training unchanged, and values of another kind are refused."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch

from framebank.heads.training.auto import FoundRecipe
from framebank.heads.training.checkpoint import save
from framebank.heads.training.kept_choice import NAME, KeptChoice, read_choice
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.resume import STATE
from framebank.store import DataError
from framebank.tests.worlds.found import FOUND, RECIPE


def written(folder: Any, values: Any, *, member: int = 1) -> None:
    (folder / STATE).write_bytes(save({NAME: {**values, "member": member}}, {"log": torch.zeros(1)}))


def read(folder: Any, base: Recipe = RECIPE) -> KeptChoice | None:
    return read_choice(folder, base, keys=("shots", "seed"), num_classes=3)


@pytest.mark.parametrize("found", [FOUND, replace(FOUND, members=(), scaling=None)], ids=["average", "one"])
def test_what_was_found_comes_back(tmp_path: Any, found: FoundRecipe) -> None:
    assert read(tmp_path) is None
    member = 1 if found.members else 0
    written(tmp_path, KeptChoice.of(found).values, member=member)
    kept = read(tmp_path)
    assert kept is not None
    assert (kept.found, kept.member) == (found, member)
    own, later = (kept.keeping(tmp_path, number, seconds=0.0, resumes=True) for number in (member, member + 1))
    assert kept.keeping(tmp_path, member - 1, seconds=0.0, resumes=True) is None
    assert own is not None and own.resumes and own.found() is not None  # its own facts are those of the file
    assert later is not None and not later.resumes


def test_another_seed_is_refused(tmp_path: Any) -> None:
    written(tmp_path, KeptChoice.of(FOUND).values)
    with pytest.raises(DataError, match="is the state of a training with seed 4; expected 5, or no resume"):
        read(tmp_path, replace(RECIPE, seed=5))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chosen": 3}, "chosen is 3; expected a text"),
        ({"recipe": []}, "recipe is .*; expected an object"),
        ({"recipe": {"heads": "mean"}}, "a recipe has no key 'heads'"),
        ({"tried": [{"name": "lda"}]}, "is missing"),
        ({"tried": [{"name": "a", "score": 1.0, "interval": [], "seconds": 1, "videos": 2}]}, "expected two numbers"),
        ({"members": [3]}, "is 3; expected an object"),
        ({"scaling": {"version": 9}}, "version is 9"),
        ({"member": -1}, "member is -1; expected a whole number from 0"),
        ({"member": 2}, "choice of auto.* is 2; expected a whole number below 2"),
        (
            {"members": [{"name": "a", "recipe": {}, "weight": 0.5, "temperature": 1}]},
            "weights above 0 that sum to one",
        ),
        ({"members": [{"name": "a", "recipe": {}, "weight": 1, "temperature": 0}]}, "temperatures above 0"),
    ],
)
def test_values_of_another_kind_are_refused(tmp_path: Any, change: dict[str, Any], said: str) -> None:
    values = copy.deepcopy(dict(KeptChoice.of(FOUND).values))
    member = change.get("member", 1)
    written(tmp_path, {**values, **change}, member=member)
    with pytest.raises(DataError, match=said):
        read(tmp_path)
