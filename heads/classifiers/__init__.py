"""Classifiers, (B, D) -> (B, C): a new one is one file and one row."""

from collections.abc import Callable

from torch import nn

from framebank.heads.classifiers.linear import LinearClassifier
from framebank.heads.classifiers.text import TextClassifier

CLASSIFIERS: dict[str, Callable[..., nn.Module]] = {
    "text": TextClassifier,
    "linear": LinearClassifier,
}
