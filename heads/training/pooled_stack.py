"""Pooled stack: copies of a classifier of pooled videos that learn in the same steps, and which recipes have them."""

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor

from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.model import Model
from framebank.heads.training.linear_stack import LinearStack, read_rows
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.residual_stack import ResidualStack
from framebank.heads.training.steps_choice import ADAMW

PooledStack = LinearStack | ResidualStack


def shared_steps(recipe: Recipe) -> Recipe | None:
    """Return what recipes have in common that may train together, or None if a recipe trains alone."""
    steps = recipe.head == "mean" and recipe.loss == "ce" and recipe.epochs > 0
    draws = recipe.jitter or recipe.frame_dropout or recipe.mixup
    odd = draws or recipe.logit_adjustment or recipe.average or recipe.probes
    stacked = recipe.classifier == "linear" or _moves_texts(recipe)
    return replace(recipe, lr=1.0, weight_decay=0.0, seed=0) if steps and stacked and not odd else None


def pooled_stack(model: Model, *, weight_decays: Tensor, sets: int = 1, whitener: Tensor | None = None) -> PooledStack:
    """Return sets of copies of a model whose recipe has `shared_steps`. Only linear ones have whitened steps."""
    if isinstance(model.classifier, TextClassifier):
        return ResidualStack(model, weight_decays=weight_decays, sets=sets)
    return LinearStack(model, weight_decays=weight_decays, sets=sets, whitener=whitener)


def stacked_rows(model: Model, x: Tensor) -> Tensor:
    """Return the rows that such a stack reads of what the head of a model pooled: x (B, 1, D) -> (B, W)."""
    if isinstance(model.classifier, TextClassifier):
        return F.normalize(x.squeeze(1), dim=-1)
    return read_rows(F.rms_norm(x, x.shape[-1:]))


def _moves_texts(recipe: Recipe) -> bool:
    """Return whether a recipe learns a vector for the only embedding of each class, and the scale."""
    moves = recipe.classifier == "text" and recipe.text == "residual" and recipe.scoring == "embeddings"
    return moves and not recipe.classifier_options and recipe.steps == ADAMW
