"""Head mix: the share of the frames' plain mean in what a head gives, chosen on validation videos."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from framebank.heads.bank import Bank
from framebank.heads.metrics import score_targets
from framebank.heads.model import Model
from framebank.heads.predictions import predict_logits

SHARES = tuple(tenth / 10 for tenth in range(11))


@dataclass(frozen=True)
class HeadMix:
    """A share of the plain mean, and the top-1, or mAP, of the validation videos with it."""

    share: float
    score: float


def choose_head_mix(
    model: Model, val: Bank, *, device: torch.device, refit: Callable[[], None] | None = None
) -> HeadMix:
    """Set the model's `head_mix` to the best of SHARES on validation videos, and return it.

    `refit` is called at each share, and at the one that is kept, where something is fitted to what the head gives. Of
    shares with equal scores the one of the lower cross-entropy is taken, and of those the smallest. Open-VCLIP (Weng et
    al. 2023, arXiv 2302.00624) takes a half; here the videos say, which are of the training classes: classes never seen
    in training, for which the mean was meant, may want more of it.
    """
    model.to(device).eval()
    target = val.target.cpu()
    loss_of = F.binary_cross_entropy_with_logits if target.ndim == 2 else F.cross_entropy
    found = []
    for share in SHARES:
        _set(model, share, refit)
        logits = predict_logits(model, val, device=device)  # (V, C)
        loss = float(loss_of(logits, target.float() if target.ndim == 2 else target))
        found.append((score_targets(logits, target), -loss, -share))
    score, _, negative = max(found)
    _set(model, -negative, refit)
    return HeadMix(model.head_mix, score)


def _set(model: Model, share: float, refit: Callable[[], None] | None) -> None:
    model.head_mix = share
    if refit:
        refit()
