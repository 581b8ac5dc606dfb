"""Losses, Step -> one number: a new one is one file and one row. A training may add several up, each with its weight.

`reads_texts` says that a loss needs the texts of the classes and a classifier that scores with them; `multi_label` that
videos may have several labels, or must not, or, with None, that it is all the same.
"""

from typing import Any

from framebank.heads.losses.cross_entropy import CrossEntropy
from framebank.heads.losses.kl import SymmetricKl

# name -> a class of (dim, num_classes, label_smoothing=), with `reads_texts` and `multi_label`
LOSSES: dict[str, Any] = {
    "kl": SymmetricKl,
    "ce": CrossEntropy,
}
