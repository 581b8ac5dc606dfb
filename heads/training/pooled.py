"""Pooled once: if a head learns nothing, a training reads each video's embedding in place of its frames."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.bank import Bank
from framebank.heads.classifiers.linear import LinearClassifier
from framebank.heads.losses.diversity import Diversity
from framebank.heads.model import Model
from framebank.heads.predictions import pool_bank
from framebank.heads.temporal.mean import Mean
from framebank.heads.training.objective import Objective
from framebank.heads.training.recipe import Recipe


@dataclass(frozen=True)
class PooledModel:
    """A model that scores embeddings, and banks of one embedding for each view and clip, (V*G, 1, D) float32.

    It shares its classifier with the model that it was made from, so both learn the same.
    """

    model: Model
    train: Bank
    val: Bank | None


class OneFrame(nn.Module):
    """The head for a pooled bank: a video of one frame is that frame. No parameters."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the only frame of each video: x (B, 1, D) -> (B, D)."""
        return x.squeeze(1)


class ScaledLinear(nn.Module):
    """A linear classifier of embeddings whose root mean square is one already. It shares its weights with another."""

    def __init__(self, classifier: LinearClassifier) -> None:
        super().__init__()
        self.linear = classifier.linear

    def forward(self, embeddings: Tensor) -> Tensor:
        """Score embeddings (B, D) -> logits (B, C)."""
        logits: Tensor = self.linear(embeddings)
        return logits


def pools_once(model: Model, recipe: Recipe, objective: Objective) -> bool:
    """Return whether a training gives the same result if each video is pooled once, before the first step.

    It does if the classifier and every loss read only the mean of the frames, if no step draws or mixes frames, and if
    nothing that makes the frames learns.
    """
    draws = recipe.jitter or recipe.frame_dropout or recipe.mixup
    reads_frames = model.reads_frames or model.reads_head_frames or not model.reads_pooled
    return (
        isinstance(model.head, Mean | OneFrame)
        and not (draws or reads_frames or model.live)
        and not any(isinstance(loss, Diversity) for loss in objective.losses.values())
    )


def pool_once(model: Model, train: Bank, *, val: Bank | None, device: torch.device) -> PooledModel:
    """Pool the videos of a training, x (V*G, T, D), and return the model and banks of their embeddings (V*G, 1, D).

    A linear classifier scales what it reads. Here the embeddings are scaled, once.
    """
    classifier, read = model.classifier, pooled_bank
    if isinstance(classifier, LinearClassifier):
        classifier, read = ScaledLinear(classifier), scaled_bank
    pooled = Model(OneFrame(), classifier, frame_norm=False).to(device)
    held = read(model, val, device=device) if val else None
    return PooledModel(pooled.train(model.training), read(model, train, device=device), held)


def pooled_bank(model: Model, bank: Bank, *, device: torch.device) -> Bank:
    """Return a bank of the head's output for each view and clip, as one frame each: (V*G, 1, D) float32."""
    rows = pool_bank(model, bank, device=device).flatten(0, 1).unsqueeze(1)  # (V*G, 1, D)
    x = rows.to(bank.device)
    return replace(bank, x=x, mask=torch.ones(x.shape[:2], dtype=torch.bool, device=x.device))


def scaled_bank(model: Model, bank: Bank, *, device: torch.device) -> Bank:
    """Return what `pooled_bank` does, each row with a root mean square of one, as a linear classifier reads it."""
    found = pooled_bank(model, bank, device=device)
    return replace(found, x=F.rms_norm(found.x, found.x.shape[-1:]))
