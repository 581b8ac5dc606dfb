"""Cross-modal scorers, (frames (B, T, D), mask (B, T), pooled (B, D)) -> (B, C): a new one is one file and one row.

A scorer takes the place of a classifier. It sees the frames, the output of the head, and the texts of the classes. A
head with a classifier is also a scorer, and needs no row here. Each class is a `Scorer` and states in its `traits` what
it reads of the texts.
"""

from framebank.heads.classifiers import CLASSIFIERS
from framebank.heads.classifiers.classifier import ClassifierClass
from framebank.heads.scorers.attributes import Attributes
from framebank.heads.scorers.descriptions import Descriptions
from framebank.heads.scorers.semantic_units import SemanticUnits
from framebank.heads.scorers.vcs import Vcs
from framebank.heads.scorers.x_clip import XClip

SCORERS: dict[str, ClassifierClass] = {
    "vcs": Vcs,
    "x-clip": XClip,
    "semantic-units": SemanticUnits,
    "descriptions": Descriptions,
    "attributes": Attributes,
}

# The possible values of a recipe's `classifier`.
CLASSIFIERS_AND_SCORERS: dict[str, ClassifierClass] = {**CLASSIFIERS, **SCORERS}
