"""Conv1d: a convolution over time, separate for each channel."""

from typing import final

import torch
from torch import Tensor, nn

from framebank.heads.masking import masked_mean, pack
from framebank.heads.temporal.head import HeadTraits, MixesFrames


@final
class Conv1d(nn.Module, MixesFrames):
    """ActionCLIP's Conv_1D (Wang et al. 2021, arXiv 2109.08472): depthwise convolution, residual, mean.

    Starts as a temporal shift (TSM): a quarter of the channels comes from the frame before, a quarter from the frame
    after. The published code scrambles time and channels at the input; here the axes are right, unless `legacy_axes`
    asks for what a published checkpoint was trained with. Then every video must have the same number of frames.
    """

    traits = HeadTraits()

    def __init__(self, dim: int, *, legacy_axes: bool = False) -> None:
        super().__init__()
        self.legacy_axes = legacy_axes
        self.conv = nn.Conv1d(dim, dim, 3, padding=1, groups=dim, bias=False)
        quarter = dim // 4
        with torch.no_grad():
            self.conv.weight.zero_()  # (D, 1, 3)
            self.conv.weight[:quarter, 0, 0] = 1
            self.conv.weight[quarter : dim - quarter, 0, 1] = 1
            self.conv.weight[dim - quarter :, 0, 2] = 1

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        return masked_mean(*self.mix(x, mask))

    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, packed, and their mask: (B, T, D), (B, T)."""
        x, mask = pack(x, mask)
        channels = x.reshape(x.shape[0], x.shape[2], x.shape[1]) if self.legacy_axes else x.transpose(1, 2)  # (B, D, T)
        mixed = self.conv(channels).transpose(1, 2)  # (B, T, D)
        return x + mixed, mask
