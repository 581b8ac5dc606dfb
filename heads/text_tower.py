"""ClipTextTower: what a training can ask of the encoder's frozen text tower; the caller passes the tower in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from framebank.heads.temporal.head import TakesBlocks
from framebank.store.errors import DataError


class ClipTextTower(Protocol):
    """A causal CLIP text tower of width W. Its weights are frozen, and gradients flow through it.

    `num_positions` is the length of the longest sentence that it reads, start and end included. `num_heads` and
    `quick_gelu` say how its blocks compute. A copy of a model does not copy the tower.
    """

    width: int
    num_positions: int
    num_heads: int
    quick_gelu: bool

    def measure(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, start and end included, even if the tower reads fewer."""
        ...

    def embed(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return the token embeddings of sentences (N, L, W), and how many of them belong to each sentence (N,) int64.

        The first token is the start and the last is the end. Padding follows the end.
        """
        ...

    def encode(self, embeddings: Tensor, ends: Tensor) -> Tensor:
        """Encode sentences given as token embeddings (N, L, W), with the places of their ends (N,) -> (N, D)."""
        ...

    def encode_tokens(self, embeddings: Tensor) -> Tensor:
        """Encode each token of sentences given as token embeddings (N, L, W) -> (N, L, D).

        A token reads itself and the tokens before it. The result of `encode` for a sentence stands at its end.
        """
        ...

    def blocks(self) -> list[Mapping[str, Tensor]]:
        """Return the states of its residual attention blocks, from first to last."""
        ...


TowerLoader = Callable[[], ClipTextTower]  # the tower is read when a training first asks for it


def options_of_blocks(options: Mapping[str, Any], tower: ClipTextTower, *, dim: int) -> dict[str, Any]:
    """Return a head's options, with the attention heads and the activation of the tower's blocks if they are not given.

    DataError if the blocks of the head have another width than the tower, or compute in another way.
    """
    width = options.get("width") or dim
    if width != tower.width:
        raise DataError(
            f"init = 'text-tower': the blocks of the text tower are {tower.width} wide and those of the head {width}; "
            f"expected head.width={tower.width}"
        )
    own = {"num_heads": tower.num_heads, "quick_gelu": tower.quick_gelu}
    for name, value in own.items():
        if options.get(name, value) != value:
            raise DataError(f"init = 'text-tower': {name} is {options[name]}, but {value} in the text tower; leave it")
    return {**options, **own}


# CLIP models whose text tower is narrower than the embeddings -> the width of the tower
NARROW_TEXT = {"RN50": 512}


def options_of_model(head: str, options: Mapping[str, Any], *, model: str) -> dict[str, Any]:
    """Return a head's options with the number of attention heads that ActionCLIP gives its transformer on an encoder.

    There is one for every 64 channels of the text tower. The tower is as wide as the embeddings, except in RN50.
    """
    width = NARROW_TEXT.get(model.removesuffix("-quickgelu"), 0)
    if head == "transformer" and width and not options.get("num_heads"):
        return {**options, "num_heads": width // 64}
    return dict(options)


def fill_blocks(head: nn.Module, tower: ClipTextTower) -> None:
    """Start the blocks of a head as the tower's first blocks, as CLIP4Clip does (Luo et al. 2021, arXiv 2104.08860).

    DataError if the tower has fewer blocks. ValueError if the head takes none; a recipe refuses this earlier.
    """
    if not isinstance(head, TakesBlocks):
        raise ValueError(f"{type(head).__name__} takes no blocks")
    head.load_blocks(tower.blocks()[: head.num_blocks])
