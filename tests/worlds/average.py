"""A run that averages two heads on the classes of `heads.py`, for the tests of what reads runs."""

import torch

from framebank.heads.training.averaged_run import averaged_run
from framebank.heads.training.build import build_model
from framebank.heads.training.members import Member
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.tests.worlds.heads import CLASSES, SPEC, prompts_of, texts_of

RECIPES = (Recipe(head="conv1d", classifier="linear", loss="ce"), Recipe(head="mean", classifier="text", loss="ce"))
MEMBERS = (Member("conv1d + linear", RECIPES[0], 0.75, 2.0), Member("zero-shot", RECIPES[1], 0.25, 0.5))


def runs_of_members(store: object = "/some/store") -> list[Run]:
    """The runs before they are averaged, of random weights."""
    found = []
    for seed, recipe in enumerate(RECIPES):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = build_model(recipe, dim=SPEC.dim, num_classes=len(CLASSES), texts=texts_of(prompts_of())).eval()
        texts = {"texts": "names", "templates": ["{}"]} if recipe.reads_texts else {"texts": None, "templates": None}
        facts = {**texts, "train_videos": 48, "val_videos": 0, "val_score": None, "epochs": seed, "classes": 4}
        found.append(Run(recipe, SPEC, CLASSES, model, str(store), facts))
    return found


def average_of_runs(store: object = "/some/store") -> Run:
    """One run that averages them."""
    return averaged_run(runs_of_members(store), MEMBERS, val=None, device=torch.device("cpu"), about={"split": "train"})
