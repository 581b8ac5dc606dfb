"""Made: the network of one model as an encoder reads it, and what makes it: a maker, one for each library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor
from torch.nn import Module

from framebank.extract.encoders.streams import Tower
from framebank.extract.encoders.text_tower import TextTower
from framebank.extract.encoders.text_trunk import TextTrunk
from framebank.extract.encoders.tokens import Tokenizer
from framebank.extract.encoders.trunk import Trunk
from framebank.store.errors import DataError


@dataclass(frozen=True)
class TextSide:
    """The text tower of a model. `encode` turns tokens (N, L) into embeddings (N, D), un-normalised.

    A logit is `logit_scale` times the cosine, plus `logit_bias`. Only towers that were trained with a sigmoid, such as
    SigLIP's, have that bias. `table` holds the token embeddings (W, D), if they are known. `open` gives the tower open
    at its token embeddings, or raises DataError. `open_trunk` gives its blocks, or raises DataError; it is None if no
    text tower of the maker can be cut between them.
    """

    encode: Callable[[Tensor], Tensor]
    read_tokenizer: Callable[[], Tokenizer]
    open: Callable[[Tokenizer], TextTower]
    logit_scale: float
    logit_bias: float | None = None
    table: Tensor | None = None
    open_trunk: Callable[[], TextTrunk] | None = None


@dataclass(frozen=True)
class RowSide:
    """What a model of clips makes of frames that its own picture tower has embedded already.

    `embed` turns their embeddings (N, T, W) into those of clips (N, D). `tower` gives the weights of the picture tower
    by their names in timm.
    """

    embed: Callable[[Tensor], Tensor]
    tower: Callable[[], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Made:
    """A network with its weights, on the CPU, in float32.

    `embed` turns normalised pictures into embeddings (N, D): pictures are (N, 3, H, W), or (N, T, 3, H, W) if the model
    reads clips of T = `clip_frames`. `visual` are the modules that it calls. `preprocessing` has the fields of
    `read_preprocessing`. `open_tower` gives the parts of a vision transformer for some streams, or raises DataError.
    `texts` is None if the model has no text tower. `open_trunk` gives the blocks, or raises DataError; it is None if no
    model of the maker can be cut between them. `rows` is None if the model does not embed frames one by one before it
    looks at a clip.
    """

    network: Module
    visual: tuple[Module, ...]
    preprocessing: Mapping[str, Any]
    dim: int
    embed: Callable[[Tensor], Tensor]
    open_tower: Callable[[str], Tower]
    texts: TextSide | None = None
    clip_frames: int = 1
    open_trunk: Callable[[], Trunk] | None = None
    rows: RowSide | None = None


class Maker(Protocol):
    """A library of models. A name is what follows the maker in `maker:name`."""

    def settle(self, name: str, pretrained: str | None) -> tuple[str, str | None]:
        """Return the name that a spec gives the model, and the weights for `make`. DataError if either is unknown."""
        ...

    def make(self, name: str, pretrained: str | None) -> Made:
        """Make what `settle` returned. DataError if the weights cannot be had or do not fit."""
        ...

    def clip_frames(self, name: str, pretrained: str | None) -> int:
        """Return how many frames the model reads at once, without its weights: 1 for a model of pictures."""
        ...

    def weights_name(self, name: str, pretrained: str | None) -> str:
        """Return what a spec calls the weights."""
        ...

    def weights_of(self, name: str, recorded: str) -> str | None:
        """Return the weights that a spec calls so: the inverse of `weights_name`."""
        ...


def no_streams(model: str, *, why: str) -> Callable[[str], Tower]:
    """Return the `open_tower` of a model that has only the frame stream."""

    def refuse(streams: str) -> Tower:
        raise DataError(
            f"{model} has no stream {streams}: {why}; use only the frame stream, or a model such as ViT-B-32"
        )

    return refuse
