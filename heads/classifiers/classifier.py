"""The types of classifiers and scorers: how to call their class, what it reads, and what it may be able to do."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts


@dataclass(frozen=True)
class ClassifierTraits:
    """What a classifier or a scorer states about itself before it is built.

    reads_texts    it scores with the texts of the classes, and is a `ServesTexts`
    reads_lexicon  it takes a `lexicon` (M, D) beside them
    chooses        its `fit` searches something on the validation videos
    needs_no_val   the option with which none are held out: folds of the training videos judge, or nothing is searched
    """

    reads_texts: bool = False
    reads_lexicon: bool = False
    chooses: bool = False
    needs_no_val: str = ""


class ClassifierClass(Protocol):
    """A class of CLASSIFIERS or SCORERS, called with the width, the number of classes, their texts and its own options.

    The module of a classifier maps (B, D) to logits (B, C). For the module of a scorer see `Scorer`. The options are
    the keyword-only arguments of the constructor.
    """

    @property
    def traits(self) -> ClassifierTraits:
        """What the classifier states about itself."""
        ...

    def __call__(self, dim: int, num_classes: int, *args: Any, **options: Any) -> nn.Module:
        """Build the classifier of C classes for embeddings (D,)."""
        ...


@runtime_checkable
class Fitted(Protocol):
    """A classifier that learns from all training videos at once, before the first epoch. There may be no epochs."""

    @abstractmethod
    def fit(
        self, pooled: Tensor, target: Tensor, *, val: tuple[Tensor, Tensor] | None, groups: Tensor | None = None
    ) -> None:
        """Take pooled (V, G, D), one row for each view and clip, target (V,), and the same for the validation videos.

        A classifier that holds out training videos never divides one of the `groups` (V,), the numbers of their
        sources.
        """
        ...


@runtime_checkable
class ChoosesOptions(Protocol):
    """A `Fitted` classifier whose `fit` chooses some of its options."""

    @property
    @abstractmethod
    def chosen_options(self) -> Mapping[str, Any]:
        """The options that `fit` chose. Given them, it chooses nothing, and learns the same from the same videos."""
        ...


def fitted_with(classifier: nn.Module) -> dict[str, Any]:
    """Return what a run keeps of the options that the `fit` of a classifier chose; nothing of another classifier."""
    return {"fitted_with": dict(classifier.chosen_options)} if isinstance(classifier, ChoosesOptions) else {}


@runtime_checkable
class ServesTexts(Protocol):
    """A classifier or a scorer that scores with the texts of the classes."""

    @abstractmethod
    def set_texts(self, texts: ClassTexts) -> None:
        """Score other classes, or the same classes by other texts. ValueError if it is bound to its own."""
        ...


@runtime_checkable
class BoundsScale(Protocol):
    """A classifier or a scorer that multiplies cosines with a learned scale."""

    @abstractmethod
    def bound_scale(self) -> None:
        """Bring the scale back to CLIP's bound of 100 if a training step took it above."""
        ...
