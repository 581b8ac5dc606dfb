"""The type of temporal heads: how to call their class, what it states about itself, and what it may be able to do."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


@dataclass(frozen=True)
class HeadTraits:
    """What a head states about itself before it is built.

    reads_layers  it reads x (B, T, L, W), the stream "layers", and is built with `in_shape=(L, W)`
    reads_places  it tells the places of a frame from its time, if it is built with `places`, their number
    takes_blocks  it is a `TakesBlocks`: its blocks may start as those of a text tower
    sees_order    its answer depends on the order of the frames
    learns        it has parameters
    """

    reads_layers: bool = False
    reads_places: bool = False
    takes_blocks: bool = False
    sees_order: bool = True
    learns: bool = True


class HeadClass(Protocol):
    """A class of HEADS, called with the width and its own options. Its module maps x (B, T, D), mask (B, T) to (B, D).

    Its options are the keyword-only arguments of its constructor.
    """

    @property
    def traits(self) -> HeadTraits:
        """What the head states about itself."""
        ...

    def __call__(self, dim: int, *args: Any, **options: Any) -> nn.Module:
        """Build the head for embeddings (D,)."""
        ...


@runtime_checkable
class MixesFrames(Protocol):
    """A head whose answer is the mean of frames that it makes."""

    @abstractmethod
    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, and their mask: (B, T, D), (B, T)."""
        ...


@runtime_checkable
class TakesBlocks(Protocol):
    """A head whose attention blocks may start as those of a CLIP text tower."""

    @property
    @abstractmethod
    def num_blocks(self) -> int:
        """How many blocks the head has."""
        ...

    @abstractmethod
    def load_blocks(self, blocks: Sequence[Mapping[str, Tensor]]) -> None:
        """Copy the states of CLIP's residual attention blocks, as many as the head has, first to last."""
        ...
