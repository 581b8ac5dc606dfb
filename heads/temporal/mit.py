"""Mit: one attention block over the frames, added to the frames themselves."""

from typing import final

import torch
from torch import Tensor, nn

from framebank.heads.masking import masked_mean, pack
from framebank.heads.temporal.attention import AttentionBlock, heads_for, mean_after, positions_for, silence
from framebank.heads.temporal.head import HeadTraits, MixesFrames


@final
class Mit(nn.Module, MixesFrames):
    """X-CLIP's multi-frame integration transformer (Ni et al. 2022, arXiv 2208.02816).

    Positions, block, residual, mean. As published: one block, a head for every 64 channels, weights and positions from
    a truncated normal of 0.02. Not as published: the block starts as the identity, so that training starts close to the
    mean of the frames; the table of positions has `max_frames` rows rather than T, and stretches for a longer video.
    What frozen embeddings cannot give: cross-frame attention inside the image tower, and the prompt that reads its
    patches.
    """

    traits = HeadTraits()

    def __init__(self, dim: int, *, num_layers: int = 1, num_heads: int | None = None, max_frames: int = 77) -> None:
        super().__init__()
        num_heads = num_heads or heads_for(dim)
        self.positions = nn.Parameter(torch.empty(max_frames, dim))
        blocks = [AttentionBlock(dim, num_heads=num_heads) for _ in range(num_layers)]
        self.blocks = nn.ModuleList(blocks)
        nn.init.trunc_normal_(self.positions, std=0.02)
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.trunc_normal_(part.weight, std=0.02)
                nn.init.zeros_(part.bias)
        for block in blocks:
            silence(block)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        frames, mask = pack(x, mask)
        mixed = frames + positions_for(self.positions, mask)
        return masked_mean(frames, mask) + mean_after(self.blocks, mixed, mask)

    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, packed, and their mask: (B, T, D), (B, T)."""
        frames, mask = pack(x, mask)
        mixed = frames + positions_for(self.positions, mask)
        for block in self.blocks:
            mixed = block(mixed, mask)
        return frames + mixed, mask
