"""Objective: the weighted sum of losses that a training minimises, as the recipe writes it."""

import functools

import torch
from torch import Tensor, nn

from framebank.heads.losses import LOSSES
from framebank.heads.losses.step import Step
from framebank.heads.training.loss_sum import read_losses
from framebank.store.errors import DataError


def require_read(text: str, *, label_smoothing: float, logit_adjustment: float) -> None:
    """Raise DataError if a setting is given that none of the losses reads."""
    for name, value, able in (
        ("label_smoothing", label_smoothing, [loss for loss, made in LOSSES.items() if made.traits.smooths_labels]),
        ("logit_adjustment", logit_adjustment, [loss for loss, made in LOSSES.items() if made.traits.reads_logits]),
    ):
        if value and not set(able) & set(read_losses(text)):
            raise DataError(
                f"{name} is {value}, which the loss {text!r} does not read; expected 0, or {', '.join(able)}"
            )


def require_shares(text: str, *, mixup: float) -> None:
    """Raise DataError if videos are to be mixed for a loss that needs a single class for each video."""
    able = [loss for loss, made in LOSSES.items() if made.traits.reads_shares]
    unable = [loss for loss in read_losses(text) if LOSSES[loss].traits.reads_labels and loss not in able]
    if mixup and unable:
        raise DataError(
            f"mixup is {mixup}, and the loss {unable[0]!r} takes a mixed video for one of the class it has most of; "
            f"expected 0, or losses that read the shares of both: {', '.join(able)}"
        )


class Objective(nn.Module):
    """Several losses. Each may have parameters that are trained together with the model."""

    def __init__(self, text: str, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.weights = read_losses(text)
        losses = {name: LOSSES[name](dim, num_classes, label_smoothing=label_smoothing) for name in self.weights}
        self.losses = nn.ModuleDict(losses)

    def forward(self, step: Step) -> Tensor:
        """Return the weighted sum for a batch."""
        # A loss of weight 1 is added as it is: with small heads, two more operations take measurable time.
        parts: list[Tensor] = [self.losses[name](step) for name in self.weights]
        weighted = [
            part if weight == 1 else weight * part for part, weight in zip(parts, self.weights.values(), strict=True)
        ]
        return functools.reduce(torch.add, weighted)
