"""Shift: part of each frame comes from the frame before, part from the frame after; nothing is learned."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.masking import masked_mean, pack
from framebank.heads.temporal.head import HeadTraits, MixesFrames


@final
class Shift(nn.Module, MixesFrames):
    """The temporal shift of TSM (Lin et al. 2019, arXiv 1811.08383) on embeddings, residual, mean. No parameters.

    One channel in `fold` comes from the frame before, as many from the frame after, zeros beyond the ends, as in TSM.
    TSM shifts inside a network, whose convolutions then mix the channels; frozen embeddings have no such layer left. A
    mean straight after the shift would only lose the first or last frame in some channels and be blind to all order
    between them. So each shifted frame is brought back to the length of the frame it replaces: that depends on all of
    its channels, and so on which frames are neighbours. Still a weak sense of order: try it as a baseline.
    """

    traits = HeadTraits(learns=False)

    def __init__(self, dim: int, *, fold: int = 8) -> None:
        super().__init__()
        self.width = dim // fold

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        return masked_mean(*self.mix(x, mask))

    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, packed, and their mask: (B, T, D), (B, T)."""
        x, mask = pack(x, mask)  # zeros follow the last real frame
        from_before, from_after, stay = x.split([self.width, self.width, x.shape[-1] - 2 * self.width], dim=-1)
        before = F.pad(from_before, (0, 0, 1, 0))[:, :-1]  # (B, T, D / fold)
        after = F.pad(from_after, (0, 0, 0, 1))[:, 1:]
        shifted = F.normalize(torch.cat([before, after, stay], dim=-1), dim=-1)  # (B, T, D)
        return x + shifted * x.norm(dim=-1, keepdim=True), mask
