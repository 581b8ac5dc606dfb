"""Classifiers, (B, D) -> (B, C): a new one is one file and one row."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from framebank.heads.classifiers.knn import KnnClassifier
from framebank.heads.classifiers.lda import LdaClassifier
from framebank.heads.classifiers.linear import LinearClassifier
from framebank.heads.classifiers.ridge import RidgeClassifier
from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.classifiers.text_linear import TextLinearClassifier
from framebank.heads.classifiers.tip_adapter import TipAdapter
from framebank.heads.classifiers.tip_adapter_f import TipAdapterF


@runtime_checkable
class Fitted(Protocol):
    """A classifier that learns from all training videos at once, before the first epoch; there may be none."""

    def fit(
        self, pooled: Tensor, target: Tensor, *, val: tuple[Tensor, Tensor] | None, groups: Tensor | None = None
    ) -> None:
        """Take pooled (V, G, D), one row for each view and clip, target (V,), and the same of the validation videos.

        One that holds out videos of its own divides no group of `groups` (V,), which number the videos' sources.
        """
        ...


# name -> (dim, num_classes, texts, **options) -> classifier; one that learns without steps has a `fit`, and `chooses`
# where it searches something on the validation videos
CLASSIFIERS: dict[str, Callable[..., nn.Module]] = {
    "text": TextClassifier,
    "linear": LinearClassifier,
    "text-linear": TextLinearClassifier,
    "lda": LdaClassifier,
    "ridge": RidgeClassifier,
    "knn": KnnClassifier,
    "tip-adapter": TipAdapter,
    "tip-adapter-f": TipAdapterF,
}
