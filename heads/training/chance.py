"""Chance: whether a training did better than guessing, which its log does not show."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.bank import Bank
from framebank.heads.model import Model
from framebank.store.counts import counted
from framebank.store.errors import warn

MARGIN = 0.98  # of the loss of guessing; a model that has learned anything is below it
SIGMAS = 3.0  # of luck that guessing may have
NUM_VIDEOS = 2048  # of the training videos that are scored


@dataclass(frozen=True)
class Chance:
    """The cross-entropy and the top-1 of the scores of `num_videos` training videos, and those of guessing.

    Guessing gives every class the same probability. Its cross-entropy is ln C, and it is right as often as the largest
    class occurs.
    """

    loss: float
    top1: float
    guessed_loss: float
    guessed_top1: float
    num_videos: int

    @property
    def is_all(self) -> bool:
        """Whether the scores are no better than guessing, by both measures."""
        luck = SIGMAS * math.sqrt(self.guessed_top1 * (1 - self.guessed_top1) / self.num_videos)
        return self.loss >= MARGIN * self.guessed_loss and self.top1 <= self.guessed_top1 + luck


def judge(logits: Tensor, target: Tensor) -> Chance:
    """Return the cross-entropy and top-1 of logits (V, C) for target (V,), beside those of guessing."""
    num_videos, num_classes = logits.shape
    return Chance(
        loss=float(F.cross_entropy(logits, target)),
        top1=float((logits.argmax(1) == target).float().mean()),
        guessed_loss=math.log(num_classes),
        guessed_top1=float(target.bincount().max()) / num_videos,
        num_videos=num_videos,
    )


def warn_of_chance(model: Model, bank: Bank, *, what: str, lr: float, device: torch.device) -> None:
    """Warn if a model is no better than guessing on its own training videos.

    Videos with several labels are left out, because guessing has no single loss there.
    """
    if bank.target.ndim == 2 or bank.num_classes < 2:
        return
    step = max(1, len(bank) // NUM_VIDEOS)
    chance = judge(_score(model, bank, step=step, device=device), bank.target[::step].cpu())
    if chance.is_all:
        warn(
            f"{what} learned nothing: the loss of its scores stays at {chance.loss:.3f}, guessing among "
            f"{counted(bank.num_classes, 'class', 'classes')} costs {chance.guessed_loss:.3f} (ln {bank.num_classes}), "
            f"and {100 * chance.top1:.1f} % of the training videos are right; look at the texts of the classes (are "
            f"they nearly one?), the labels, the encoder (has it trained weights?) and the learning rate (lr {lr:g})"
        )


def warn_of_matcher(name: str, *, loss: float, way: int, accuracy: float) -> None:
    """Warn if a matcher's loss and its accuracy on validation episodes, or NaN, are no better than guessing."""
    guessed = math.log(way)
    if loss >= MARGIN * guessed and not accuracy > 1.1 / way:
        told = "" if math.isnan(accuracy) else f", and {100 * accuracy:.1f} % of the validation queries are right"
        warn(
            f"{name} learned nothing: its loss stays at {loss:.3f}, guessing among {way} classes costs {guessed:.3f} "
            f"(ln {way}){told}; look at the labels, the encoder (has it trained weights?) and the learning rate"
        )


@torch.inference_mode()
def _score(model: Model, bank: Bank, *, step: int, device: torch.device) -> Tensor:
    """Return the logits (V, C) of every `step`-th video, from its first view and clip."""
    rows = torch.arange(0, len(bank), step, device=bank.device) * bank.num_groups
    parts = [model(bank.x[part].to(device), bank.mask[part].to(device)).cpu() for part in rows.split(1024)]
    return torch.cat(parts)
