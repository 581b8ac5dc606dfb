"""ClipTextTower: what a training may ask of the encoder's frozen text tower, which is handed in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from framebank.heads.temporal.head import TakesBlocks
from framebank.store.errors import DataError


class ClipTextTower(Protocol):
    """A causal CLIP text tower of width W, whose weights are frozen, and through which gradients flow.

    `num_positions` is the length of its longest sentence, start and end included; `num_heads` and `quick_gelu` say how
    its blocks compute. A copy of a model does not copy it.
    """

    width: int
    num_positions: int
    num_heads: int
    quick_gelu: bool

    def measure(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, start and end included, however few of them the tower reads."""
        ...

    def embed(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return the token embeddings of sentences (N, L, W), and how many of each are its own (N,) int64.

        The first is the start and the last the end; what follows the end is padding.
        """
        ...

    def encode(self, embeddings: Tensor, ends: Tensor) -> Tensor:
        """Encode sentences given as token embeddings (N, L, W), ends (N,) the places of their ends -> (N, D)."""
        ...

    def encode_tokens(self, embeddings: Tensor) -> Tensor:
        """Encode each token of sentences given as token embeddings (N, L, W) -> (N, L, D).

        A token reads those before it and itself; what `encode` gives of a sentence stands at its end.
        """
        ...

    def blocks(self) -> list[Mapping[str, Tensor]]:
        """Return the states of its residual attention blocks, first to last."""
        ...


TowerLoader = Callable[[], ClipTextTower]  # a tower is read when a training first asks for it


def options_of_blocks(options: Mapping[str, Any], tower: ClipTextTower, *, dim: int) -> dict[str, Any]:
    """Return a head's options with the heads and activation of the tower's blocks, where the options do not say.

    DataError if the head's blocks are of another width than the tower, or compute otherwise.
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


# CLIP models whose text tower is narrower than the embeddings: how wide it is
NARROW_TEXT = {"RN50": 512}


def options_of_model(head: str, options: Mapping[str, Any], *, model: str) -> dict[str, Any]:
    """Return a head's options with the attention heads that ActionCLIP gives its transformer on an encoder.

    They are one for every 64 channels of the text tower, which is as wide as the embeddings in all but RN50.
    """
    width = NARROW_TEXT.get(model.removesuffix("-quickgelu"), 0)
    if head == "transformer" and width and not options.get("num_heads"):
        return {**options, "num_heads": width // 64}
    return dict(options)


def fill_blocks(head: nn.Module, tower: ClipTextTower) -> None:
    """Start a head's blocks as the tower's first, as CLIP4Clip does (Luo et al. 2021, arXiv 2104.08860).

    DataError if the tower has fewer; ValueError if the head takes none, which a recipe refuses.
    """
    if not isinstance(head, TakesBlocks):
        raise ValueError(f"{type(head).__name__} takes no blocks")
    head.load_blocks(tower.blocks()[: head.num_blocks])
