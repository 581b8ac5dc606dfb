"""A5: attention blocks over the frames, and the mean of their output."""

import math
from typing import final

import torch
from torch import Tensor, nn

from framebank.heads.masking import pack
from framebank.heads.temporal.attention import AttentionBlock, mean_after, positions_for
from framebank.heads.temporal.head import HeadTraits, MixesFrames


@final
class A5(nn.Module, MixesFrames):
    """The temporal transformer of Efficient-Prompt (Ju et al. 2022, arXiv 2112.04478), whose model A5 trains on a bank.

    As published: positions from N(0, 0.01), two pre-norm blocks of 8 heads (one block in its recipe for HMDB51), no
    residual around them, mean; a width that 8 does not divide gets fewer heads. Linear layers start as torch draws
    them, so the untrained head is not the mean. The table of positions has `max_frames` rows, published 16, and
    stretches for a longer video. Nothing of it needs more than frozen embeddings; its learned prompts belong to the
    texts, not to the head.
    """

    traits = HeadTraits()

    def __init__(self, dim: int, *, num_layers: int = 2, num_heads: int | None = None, max_frames: int = 77) -> None:
        super().__init__()
        num_heads = num_heads or math.gcd(dim, 8)
        self.positions = nn.Parameter(torch.empty(max_frames, dim))
        self.blocks = nn.ModuleList(AttentionBlock(dim, num_heads=num_heads) for _ in range(num_layers))
        nn.init.normal_(self.positions, std=0.01)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        x, mask = pack(x, mask)
        return mean_after(self.blocks, x + positions_for(self.positions, mask), mask)

    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, packed, and their mask: (B, T, D), (B, T)."""
        x, mask = pack(x, mask)
        mixed = x + positions_for(self.positions, mask)
        for block in self.blocks:
            mixed = block(mixed, mask)
        return mixed, mask
