"""Head mix: the share of the plain mean of the frames in a head's output, chosen on validation videos."""

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
    """A share of the plain mean, and the top-1 (or mAP) on the validation videos with it."""

    share: float
    score: float


def choose_head_mix(
    model: Model, val: Bank, *, device: torch.device, refit: Callable[[], None] | None = None
) -> HeadMix:
    """Set the model's `head_mix` to the best of SHARES on validation videos, and return it.

    If the classifier is fitted to the output of the head, `refit` is called for each share and for the chosen one. If
    scores are equal, the share with the lower cross-entropy wins, and then the smaller share. Open-VCLIP (Weng et al.
    2023, arXiv 2302.00624) takes a half. Here the validation videos decide. They show the classes of the training;
    classes never seen in training, which the mean is meant for, may need a larger share.
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
