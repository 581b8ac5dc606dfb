"""What a search of `auto` may find: an average of two heads, scaled by folds."""

from dataclasses import replace

import torch

from framebank.heads.confidence.scaling import fit_scaling
from framebank.heads.training.auto import FoundRecipe, TriedCandidate
from framebank.heads.training.members import Member
from framebank.heads.training.recipe import Recipe

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

SHORT = replace(RECIPE, epochs=2, seed=0)
LEARNED = replace(
    FOUND,
    recipe=SHORT,
    members=(Member("linear", SHORT, 0.5, 1.5), Member("other", replace(SHORT, lr=0.01), 0.5, 1.0)),
    scaling=None,
)
