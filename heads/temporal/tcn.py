"""Tcn: convolutions over time. Each reaches twice as far as the one before."""

from collections.abc import Sequence
from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.masking import masked_mean, pack
from framebank.heads.temporal.head import HeadTraits, MixesFrames


@final
class Tcn(nn.Module, MixesFrames):
    """The dilated residual layers of MS-TCN (Abu Farha and Gall 2019, arXiv 1903.01945), and the mean of the last.

    Each layer adds linear(relu(conv(x))), a convolution over three frames that lie `dilation` apart, to its input; with
    dilations of 1, 2 and 4 a frame sees 7 to each side. Beyond the ends of a video there are zeros. The linear maps
    start at zero: untrained, it is the mean of the frames. Left out: the stages that refine a label of every frame.
    """

    traits = HeadTraits()

    def __init__(self, dim: int, *, dilations: Sequence[int] = (1, 2, 4)) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(dim, dim, 3, padding=step, dilation=step) for step in dilations)
        self.maps = nn.ModuleList(nn.Linear(dim, dim) for _ in dilations)
        for linear in self.maps:
            for parameter in linear.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        return masked_mean(*self.mix(x, mask))

    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, packed, and their mask: (B, T, D), (B, T)."""
        x, mask = pack(x, mask)
        real = mask.unsqueeze(-1).to(x.dtype)  # (B, T, 1)
        for conv, linear in zip(self.convs, self.maps, strict=True):
            near = conv(x.transpose(1, 2)).transpose(1, 2)  # (B, T, D)
            x = x + linear(F.relu(near)) * real  # a bias must not change padding
        return x, mask
