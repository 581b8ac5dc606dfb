"""What may be learned of the class embeddings, ((..., D), classes (...)) -> (..., D): one file and one row each.

Each is a `LearnedText`. Its `require_classes` says whether it serves other classes than those it was trained with. A
text that learned something about each class is a `KeepsClasses`. A `ReadsTower` must `meet` the encoder's text tower
before it is trained.
"""

from framebank.heads.texts.adapter import Adapter
from framebank.heads.texts.context import Context
from framebank.heads.texts.fixed import Fixed
from framebank.heads.texts.residual import Residual
from framebank.heads.texts.text import TextClass

TEXTS: dict[str, TextClass] = {
    "fixed": Fixed,
    "residual": Residual,
    "adapter": Adapter,
    "context": Context,
}
