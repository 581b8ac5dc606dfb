"""Scaled: a model whose scaling is fitted on the videos that judge its training."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from framebank.heads.bank import Bank
from framebank.heads.confidence.scaling import FEWEST, Scaling, fit_scaling
from framebank.heads.model import Model
from framebank.heads.predictions import predict_logits
from framebank.store.errors import warn


def scaling_of(logits: Tensor, target: Tensor, *, sources: Callable[[], str]) -> Scaling:
    """Return the scaling that fits videos which judge a model: logits (V, C), target (V,) or (V, C).

    If it makes the model surer, `sources` is asked for a sentence on sources that these videos share with those of the
    training: then it does not, and a DataWarning says so. DataError if there are fewer than FEWEST videos.
    """
    found = fit_scaling(logits, target)
    if found.temperature < 1 and (note := sources()):
        warn(note)
        return fit_scaling(logits, target, apart=False)
    return found


def scaling_facts(
    model: Model, val: Bank | None, *, sources: Callable[[], str], device: torch.device
) -> dict[str, Any]:
    """Give a model the scaling that fits the validation videos, and return it as facts of its run.

    With fewer than FEWEST videos there is none, and no fact. `sources` is as in `scaling_of`.
    """
    if not val or len(val) < FEWEST:
        return {}
    logits = predict_logits(model.to(device).eval(), val, device=device)
    model.scaling = scaling_of(logits, val.target, sources=sources)
    return {"confidence": model.scaling.to_dict()}
