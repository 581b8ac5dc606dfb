"""Cross-modal scorers, (frames (B, T, D), mask (B, T), pooled (B, D)) -> (B, C): a new one is one file and one row.

A scorer is chosen in the place of a classifier: it sees the frames beside what the head made of them, and the texts of
the classes. A head followed by a classifier is the scorer that needs no row here.
"""

from collections.abc import Callable

from torch import nn

from framebank.heads.scorers.attributes import Attributes
from framebank.heads.scorers.descriptions import Descriptions
from framebank.heads.scorers.semantic_units import SemanticUnits
from framebank.heads.scorers.vcs import Vcs
from framebank.heads.scorers.x_clip import XClip

# name -> (dim, num_classes, texts, **options) -> scorer
SCORERS: dict[str, Callable[..., nn.Module]] = {
    "vcs": Vcs,
    "x-clip": XClip,
    "semantic-units": SemanticUnits,
    "descriptions": Descriptions,
    "attributes": Attributes,
}
