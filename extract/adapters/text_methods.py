"""Methods of texts: what is trained in the last blocks of a text tower, beside the same method of the image tower."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from framebank.extract.adapters.low_rank import add_low_rank, merge_low_rank
from framebank.extract.adapters.methods import Live, drawn_from
from framebank.extract.adapters.text_adapters import TextAdapters
from framebank.extract.adapters.text_tail import TextTail
from framebank.extract.encoders.text_trunk import TextTrunk


@dataclass(frozen=True)
class TextCut:
    """A text tower whose last `blocks` blocks are adapted. `rank` is for LoRA."""

    trunk: TextTrunk
    blocks: int
    rank: int

    @property
    def learned(self) -> tuple[nn.Module, ...]:
        """The blocks that are adapted."""
        return self.trunk.blocks[-self.blocks :]


def train_text_blocks(cut: TextCut) -> Live:
    """Let the blocks learn, and the norm and the projection behind them."""
    for parameter in (*cut.trunk.ends, *(p for block in cut.learned for p in block.parameters())):
        parameter.requires_grad_(True)

    def merge() -> None:
        return None

    return Live(TextTail(cut.trunk, blocks=cut.blocks), merge)


def train_text_low_rank(cut: TextCut) -> Live:
    """Let a LowRank learn for each matrix of the blocks."""
    add_low_rank(cut.learned, rank=cut.rank)

    def merge() -> None:
        merge_low_rank(cut.learned)

    return Live(TextTail(cut.trunk, blocks=cut.blocks), merge)


def train_text_adapters(cut: TextCut) -> Live:
    """Let M2-CLIP's adapters of texts learn, which stay beside the weights."""
    adapters = TextAdapters(cut.trunk.width, blocks=cut.blocks)
    adapters.to(next(cut.learned[0].parameters()).device)
    adapters.put_into(cut.trunk.blocks)

    def merge() -> Mapping[str, Tensor]:
        adapters.take_out()
        return adapters.state_dict()

    return Live(TextTail(cut.trunk, blocks=cut.blocks, beside=adapters), merge)


TEXT_METHODS: dict[str, Callable[[TextCut], Live]] = {
    "full": train_text_blocks,
    "lora": train_text_low_rank,
    "ted": train_text_adapters,
}


def make_live_texts(method: str, cut: TextCut, *, seed: int) -> Live:
    """Return the tail of a cut text tower as a method trains it; its first weights are drawn from the seed."""
    return drawn_from(seed, TEXT_METHODS[method], cut)
