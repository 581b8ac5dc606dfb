"""Classifiers, (B, D) -> (B, C): a new one is one file and one row.

Each class states in its `traits` what it reads (`ClassifierTraits`). Its base types state what else it can do: a
classifier that learns without steps is a `Fitted`.
"""

from framebank.heads.classifiers.classifier import ClassifierClass, Fitted
from framebank.heads.classifiers.knn import KnnClassifier
from framebank.heads.classifiers.lda import LdaClassifier
from framebank.heads.classifiers.linear import LinearClassifier
from framebank.heads.classifiers.logistic import LogisticClassifier
from framebank.heads.classifiers.ridge import RidgeClassifier
from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.classifiers.text_linear import TextLinearClassifier
from framebank.heads.classifiers.tip_adapter import TipAdapter
from framebank.heads.classifiers.tip_adapter_f import TipAdapterF

__all__ = ["CLASSIFIERS", "ClassifierClass", "Fitted"]

CLASSIFIERS: dict[str, ClassifierClass] = {
    "text": TextClassifier,
    "linear": LinearClassifier,
    "text-linear": TextLinearClassifier,
    "lda": LdaClassifier,
    "ridge": RidgeClassifier,
    "logistic": LogisticClassifier,
    "knn": KnnClassifier,
    "tip-adapter": TipAdapter,
    "tip-adapter-f": TipAdapterF,
}
