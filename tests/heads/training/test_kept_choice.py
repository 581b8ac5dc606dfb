"""What `auto` found goes through the state of a training unchanged, and values of another kind are refused."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch

from framebank.heads.confidence.scaling import fit_scaling
from framebank.heads.training.auto import FoundRecipe, TriedCandidate
from framebank.heads.training.checkpoint import save
from framebank.heads.training.kept_choice import NAME, KeptChoice, read_choice
from framebank.heads.training.members import Member
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.resume import STATE
from framebank.store import DataError

RECIPE = Recipe(head="mean", classifier="linear", loss="ce", epochs=3, seed=4, val_fraction=0.0)
RIDGE = replace(RECIPE, classifier="ridge", classifier_options={"penalty": 0.1}, epochs=0)
FOUND = FoundRecipe(
    recipe=RECIPE,
    chosen="average",
    why="it is better",
    texts="",
    judged_by="5-fold cross-validation over 40 videos",
    tried=(
        TriedCandidate("linear", 0.75, (0.6, 0.85), 1.25, 40),
        TriedCandidate("knn", None, None, 0.1, reason="no time was left"),
    ),
    members=(Member("linear", RECIPE, 0.5, 1.5), Member("ridge", RIDGE, 0.5, 0.1)),
    scaling=fit_scaling(torch.randn(40, 3, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 3),
)


def written(folder: Any, values: Any, *, member: int = 1) -> None:
    (folder / STATE).write_bytes(save({NAME: {**values, "member": member}}, {"log": torch.zeros(1)}))


def read(folder: Any, base: Recipe = RECIPE) -> KeptChoice | None:
    return read_choice(folder, base, keys=("shots", "seed"), num_classes=3)


@pytest.mark.parametrize("found", [FOUND, replace(FOUND, members=(), scaling=None)], ids=["average", "one"])
def test_what_was_found_comes_back(tmp_path: Any, found: FoundRecipe) -> None:
    assert read(tmp_path) is None
    written(tmp_path, KeptChoice.of(found).values)
    kept = read(tmp_path)
    assert kept is not None
    assert (kept.found, kept.member) == (found, 1)
    behind, own, later = (kept.keeping(tmp_path, member, seconds=0.0, resumes=True) for member in range(3))
    assert behind is None
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
    ],
)
def test_values_of_another_kind_are_refused(tmp_path: Any, change: dict[str, Any], said: str) -> None:
    values = copy.deepcopy(dict(KeptChoice.of(FOUND).values))
    member = change.get("member", 1)
    written(tmp_path, {**values, **change}, member=member)
    with pytest.raises(DataError, match=said):
        read(tmp_path)
