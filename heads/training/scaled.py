"""Scaled: a model whose scaling is fitted on the videos that judge its training."""

from collections.abc import Callable
from typing import Any

import torch

from framebank.heads.bank import Bank
from framebank.heads.confidence.scaling import FEWEST, fit_scaling
from framebank.heads.model import Model
from framebank.heads.predictions import predict_logits


def scaling_facts(
    model: Model, val: Bank | None, *, sources: Callable[[], str], device: torch.device
) -> dict[str, Any]:
    """Give a model the scaling that fits the validation videos, and return it as facts of its run.

    With fewer than FEWEST videos there is none, and no fact. `sources` is as in `fit_scaling`.
    """
    if not val or len(val) < FEWEST:
        return {}
    logits = predict_logits(model.to(device).eval(), val, device=device)
    model.scaling = fit_scaling(logits, val.target, sources=sources)
    return {"confidence": model.scaling.to_dict()}
