"""Methods: what is trained in the last blocks of a tower, and how it becomes weights. A new one is one row."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from framebank.extract.adapters.low_rank import add_low_rank, merge_low_rank
from framebank.extract.adapters.tail import Tail
from framebank.extract.adapters.ted import TedAdapters
from framebank.extract.encoders.trunk import Trunk

Cut = TypeVar("Cut")


@dataclass(frozen=True)
class TowerCut:
    """Where a tower is cut and what is adapted: tokens enter the last `stored` blocks, and the last `blocks` learn.

    A clip has `num_frames` frames, and an embedding is `dim` wide. `rank` is for LoRA.
    """

    trunk: Trunk
    stored: int
    blocks: int
    num_frames: int
    dim: int
    rank: int

    @property
    def own(self) -> tuple[nn.Module, ...]:
        """The blocks that run on the tokens."""
        return self.trunk.blocks[-self.stored :]

    @property
    def learned(self) -> tuple[nn.Module, ...]:
        """The blocks that are adapted."""
        return self.trunk.blocks[-self.blocks :]


@dataclass(frozen=True)
class Live:
    """A tail that learns. `merge` ends that: it gives the tower its own form, and what is not a part of it or None."""

    tail: nn.Module
    merge: Callable[[], Mapping[str, Tensor] | None]

    @property
    def num_trained(self) -> int:
        """How many numbers learn."""
        return sum(parameter.numel() for parameter in self.tail.parameters() if parameter.requires_grad)


def train_blocks(cut: TowerCut) -> Live:
    """Let the blocks learn, and the norm, the pooling and the projection behind them: ActionCLIP's fine-tuning."""
    _learn([*cut.trunk.ends, *(p for block in cut.learned for p in block.parameters())])

    def merge() -> None:
        return None

    return Live(Tail(cut.trunk, cut.own), merge)


def train_low_rank(cut: TowerCut) -> Live:
    """Let a LowRank learn for each matrix of the blocks."""
    add_low_rank(cut.learned, rank=cut.rank)

    def merge() -> None:
        merge_low_rank(cut.learned)

    return Live(Tail(cut.trunk, cut.own), merge)


def train_ted(cut: TowerCut) -> Live:
    """Let M2-CLIP's adapters learn, which read neighbouring frames and so stay beside the weights."""
    adapters = TedAdapters(cut.trunk, blocks=cut.blocks, num_frames=cut.num_frames, dim=cut.dim)
    adapters.to(next(cut.own[0].parameters()).device)
    blocks = [*cut.own[: -cut.blocks], *adapters.put_into(cut.trunk)]
    tail = Tail(cut.trunk, blocks, after=adapters.after)

    def merge() -> Mapping[str, Tensor]:
        adapters.take_out(cut.trunk)
        return adapters.state_dict()

    return Live(tail, merge)


METHODS: dict[str, Callable[[TowerCut], Live]] = {"full": train_blocks, "lora": train_low_rank, "ted": train_ted}


def make_live(method: str, cut: TowerCut, *, seed: int) -> Live:
    """Return the tail of a cut tower as a method trains it; its first weights are drawn from the seed."""
    return drawn_from(seed, METHODS[method], cut)


def drawn_from(seed: int, make: Callable[[Cut], Live], cut: Cut) -> Live:
    """Return what `make` makes of a cut tower, with its first weights drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return make(cut)


def _learn(parameters: Iterable[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.requires_grad_(True)
