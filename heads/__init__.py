"""Heads turn embeddings into scores. Each kind of part is a plain dict of classes; a new part is one file and one row.

A name is loaded when it is first used, so reading an option needs no torch.
"""

from typing import TYPE_CHECKING

from framebank.store.lazy import lazy_names
from framebank.store.moved import serve_moved

if TYPE_CHECKING:
    from framebank.heads.classifiers import CLASSIFIERS
    from framebank.heads.losses import LOSSES
    from framebank.heads.matchers import MATCHERS
    from framebank.heads.scorers import CLASSIFIERS_AND_SCORERS, SCORERS
    from framebank.heads.temporal import HEADS
    from framebank.heads.texts import TEXTS

__all__ = ["CLASSIFIERS", "CLASSIFIERS_AND_SCORERS", "HEADS", "LOSSES", "MATCHERS", "SCORERS", "TEXTS"]

__getattr__ = lazy_names(
    __name__,
    {
        "CLASSIFIERS": "classifiers",
        "CLASSIFIERS_AND_SCORERS": "scorers",
        "HEADS": "temporal",
        "LOSSES": "losses",
        "MATCHERS": "matchers",
        "SCORERS": "scorers",
        "TEXTS": "texts",
    },
)

serve_moved("heads")
