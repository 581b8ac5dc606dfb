"""Embeddings become scores. Each joint is a plain dict of classes; a new one is one file and one row here."""

from collections.abc import Callable

from torch import nn

from framebank.heads.conv1d import Conv1d
from framebank.heads.linear import LinearClassifier
from framebank.heads.losses import LOSSES
from framebank.heads.lstm import Lstm
from framebank.heads.mean import Mean
from framebank.heads.text import TextClassifier
from framebank.heads.transformer import Transformer
from framebank.heads.transformer_cls import TransformerCls

# (x (B, T, D), mask (B, T)) -> (B, D)
HEADS: dict[str, Callable[..., nn.Module]] = {
    "mean": Mean,
    "conv1d": Conv1d,
    "lstm": Lstm,
    "transformer": Transformer,
    "transformer-cls": TransformerCls,
}

# (B, D) -> (B, C)
CLASSIFIERS: dict[str, Callable[..., nn.Module]] = {
    "text": TextClassifier,
    "linear": LinearClassifier,
}

__all__ = ["CLASSIFIERS", "HEADS", "LOSSES"]
