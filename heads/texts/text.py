"""The type of learned texts: how to call their class, what it states about itself, and what it can do."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from framebank.heads.text_tower import ClipTextTower


@dataclass(frozen=True)
class TextTraits:
    """What a class of TEXTS states about itself before it is built.

    reads_tower  it learns through the encoder's text tower, and is a `ReadsTower`
    """

    reads_tower: bool = False


class LearnedText(Protocol):
    """A module that changes text embeddings (..., D) of classes (...)."""

    def __call__(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """Return the embeddings (..., D) of classes (...) to score with."""
        ...

    def require_classes(self, num_classes: int) -> None:
        """Raise ValueError if what was learned is bound to another number of classes."""
        ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Return the learned parameters, as every torch module does."""
        ...


class TextClass(Protocol):
    """A class of TEXTS, called with the width, the number of classes and its own options.

    Its options are the keyword-only arguments of its constructor.
    """

    @property
    def traits(self) -> TextTraits:
        """What it states about itself."""
        ...

    def __call__(self, dim: int, num_classes: int, *args: Any, **options: Any) -> LearnedText:
        """Build it for the embeddings (C, D) of the classes."""
        ...


@runtime_checkable
class ReadsTower(Protocol):
    """A text that is learned through the encoder's text tower."""

    @abstractmethod
    def meet(self, tower: ClipTextTower, names: Sequence[str]) -> None:
        """Prepare to learn about classes with these names. DataError if a name does not fit into the tower."""
        ...

    @abstractmethod
    def serve(self, tower: ClipTextTower, names: Sequence[str]) -> None:
        """Serve other classes. DataError if what was learned is bound to its own."""
        ...


@runtime_checkable
class EmbedsSentences(Protocol):
    """A text that makes the embeddings of the sentences of the classes itself."""

    @abstractmethod
    def sentences(self, target: Tensor, places: Tensor) -> Tensor:
        """Return the unit embeddings (B, D) of sentences: number `places` (B,) of the classes `target` (B,)."""
        ...


@runtime_checkable
class KeepsClasses(Protocol):
    """A part of a model that may have learned something about each of its classes, which other classes lack."""

    @property
    @abstractmethod
    def keeps_classes(self) -> bool:
        """Whether it has."""
        ...
