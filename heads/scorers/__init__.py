"""Cross-modal scorers, (frames (B, T, D), mask (B, T), pooled (B, D)) -> (B, C): a new one is one file and one row.

A scorer is chosen in the place of a classifier: it sees the frames beside what the head made of them, and the texts of
the classes. A head followed by a classifier is the scorer that needs no row here.
"""

from collections.abc import Callable

from torch import nn

# name -> (dim, num_classes, texts, **options) -> scorer
SCORERS: dict[str, Callable[..., nn.Module]] = {}
