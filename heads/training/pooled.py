"""Pooled once: a training whose head learns nothing reads each video's embedding in place of its frames."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from framebank.heads.bank import Bank
from framebank.heads.losses.diversity import Diversity
from framebank.heads.model import Model
from framebank.heads.predictions import pool_bank
from framebank.heads.temporal.mean import Mean
from framebank.heads.training.objective import Objective
from framebank.heads.training.recipe import Recipe


@dataclass(frozen=True)
class PooledModel:
    """A model that scores embeddings, and the banks of one embedding for each view and clip, (V*G, 1, D) float32.

    Its classifier is that of the model which it was made of, so that both learn the same.
    """

    model: Model
    train: Bank
    val: Bank | None


class OneFrame(nn.Module):
    """A video of one frame is that frame: what a pooled bank is read by. No parameters."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the only frame of each video: x (B, 1, D) -> (B, D)."""
        return x.squeeze(1)


def pools_once(model: Model, recipe: Recipe, objective: Objective) -> bool:
    """Whether a training gives the same when each video is pooled once, before the first step.

    It does where the mean of the frames is what the classifier and every loss read of a video, and no step draws among
    the frames or mixes them.
    """
    draws = recipe.jitter or recipe.frame_dropout or recipe.mixup
    reads_frames = model.reads_frames or model.reads_head_frames or not model.reads_pooled
    return (
        isinstance(model.head, Mean)
        and not (draws or reads_frames)
        and not any(isinstance(loss, Diversity) for loss in objective.losses.values())
    )


def pool_once(model: Model, train: Bank, *, val: Bank | None, device: torch.device) -> PooledModel:
    """Pool the videos of a training, x (V*G, T, D), and return what trains on the embeddings (V*G, 1, D)."""
    pooled = Model(OneFrame(), model.classifier, frame_norm=False).to(device)
    return PooledModel(
        pooled.train(model.training),
        pooled_bank(model, train, device=device),
        pooled_bank(model, val, device=device) if val else None,
    )


def pooled_bank(model: Model, bank: Bank, *, device: torch.device) -> Bank:
    """Return a bank of what the head makes of each view and clip, a frame each: (V*G, 1, D) float32."""
    rows = pool_bank(model, bank, device=device).flatten(0, 1).unsqueeze(1)  # (V*G, 1, D)
    x = rows.to(bank.device)
    return replace(bank, x=x, mask=torch.ones(x.shape[:2], dtype=torch.bool, device=x.device))
