"""Average: several trained models as one, whose probabilities are the weighted mean of theirs."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.model import Model
from framebank.heads.scorers.scorer import Scorer, ScorerReads
from framebank.store.errors import DataError

MOST_FROM_ONE = 1e-3  # the sum of the weights


@final
class Average(nn.Module, Scorer):
    """The mean of the calibrated probabilities of M models: log sum_m weight_m softmax(logits_m / temperature_m).

    The opinion pool of ensemble selection (Caruana et al. 2004, doi 10.1145/1015330.1015432). It stands in a
    classifier's place and hands every model the stored frames. It scores the classes of its models and no others.
    """

    temperatures: Tensor
    weights: Tensor

    def __init__(self, models: Sequence[Model], *, temperatures: Tensor, weights: Tensor) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        self.register_buffer("temperatures", temperatures.float().clone())  # (M,), above 0
        self.register_buffer("weights", weights.float().clone())  # (M,), above 0; they sum to one

    @property
    def reads(self) -> ScorerReads:
        """The frames; each model pools them in its own way."""
        return ScorerReads(pooled=False)

    def set_texts(self, texts: ClassTexts) -> None:
        """Refuse: some models know only the classes that they were trained on."""
        raise ValueError("an average of several heads is bound to its own classes")

    def bound_scale(self) -> None:
        """Do nothing: an average is not trained."""

    def forward(self, frames: Tensor, mask: Tensor, pooled: Tensor | None) -> Tensor:
        """Score stored frames (B, T, D), mask (B, T) true for real frames -> log-probabilities (B, C)."""
        parts = [
            (model(frames, mask) / temperature).log_softmax(-1) + weight.log()
            for model, temperature, weight in zip(self.models, self.temperatures, self.weights, strict=True)
        ]
        return torch.stack(parts).logsumexp(0)


@final
class NoEmbedding(nn.Module):
    """The head of an average: its models pool a video to several embeddings, so there is no single one."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Raise DataError."""
        raise DataError("an average of several heads has no single embedding; expected a run of one head")


def average_model(models: Sequence[Model], *, temperatures: Tensor, weights: Tensor) -> Model:
    """Return the average of trained models (M) as a model, with temperatures (M,) and weights (M,).

    ValueError if the numbers differ, if one is not above 0, or if the weights do not sum to one.
    """
    for name, values in (("temperatures", temperatures), ("weights", weights)):
        if values.shape != (len(models),) or not (values.isfinite() & (values > 0)).all():
            raise ValueError(
                f"the {name} of {len(models)} models are {values.tolist()}; expected a number above 0 each"
            )
    if abs(float(weights.sum()) - 1) > MOST_FROM_ONE:
        raise ValueError(f"the weights of {len(models)} models sum to {float(weights.sum()):g}; expected 1")
    return Model(NoEmbedding(), Average(models, temperatures=temperatures, weights=weights), frame_norm=False).eval()
