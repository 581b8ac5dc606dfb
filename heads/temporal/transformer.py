"""Transformer: pre-norm attention blocks over the frames, added to the frames themselves."""

from typing import final

from torch import Tensor, nn

from framebank.heads.masking import masked_mean, pack
from framebank.heads.temporal.attention import AttentionBlock, heads_for, initialise, mean_after, positions_for
from framebank.heads.temporal.head import HeadTraits, MixesFrames


@final
class Transformer(nn.Module, MixesFrames):
    """ActionCLIP's Transf (Wang et al. 2021, arXiv 2109.08472), its best head: positions, six blocks, residual, mean.

    A position starts as long as a unit frame; in the published code, std 0.02 beside frames of norm ten, it starts
    shorter and order is learned later. A video of more than `max_frames` frames stretches the table of positions.
    """

    traits = HeadTraits()

    def __init__(self, dim: int, *, num_layers: int = 6, num_heads: int | None = None, max_frames: int = 77) -> None:
        super().__init__()
        num_heads = num_heads or heads_for(dim)
        self.positions = nn.Embedding(max_frames, dim)
        self.blocks = nn.ModuleList(AttentionBlock(dim, num_heads=num_heads, norm_eps=1e-12) for _ in range(num_layers))
        initialise(self)
        nn.init.normal_(self.positions.weight, std=dim**-0.5)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        frames, mask = pack(x, mask)
        mixed = frames + positions_for(self.positions.weight, mask)
        return masked_mean(frames, mask) + mean_after(self.blocks, mixed, mask)

    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, packed, and their mask: (B, T, D), (B, T)."""
        frames, mask = pack(x, mask)
        mixed = frames + positions_for(self.positions.weight, mask)
        for block in self.blocks:
            mixed = block(mixed, mask)
        return frames + mixed, mask
