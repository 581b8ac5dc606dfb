"""Embeddings become scores. Each joint is a plain dict of classes; a new one is one file and one row there."""

from framebank.heads.classifiers import CLASSIFIERS
from framebank.heads.losses import LOSSES
from framebank.heads.matchers import MATCHERS
from framebank.heads.scorers import SCORERS
from framebank.heads.temporal import HEADS
from framebank.heads.texts import TEXTS

__all__ = ["CLASSIFIERS", "HEADS", "LOSSES", "MATCHERS", "SCORERS", "TEXTS"]
