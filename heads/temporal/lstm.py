"""Lstm: a recurrent network over the frames."""

from typing import final

from torch import Tensor, nn

from framebank.heads.masking import masked_mean, pack
from framebank.heads.temporal.head import HeadTraits, MixesFrames


@final
class Lstm(nn.Module, MixesFrames):
    """ActionCLIP's LSTM (Wang et al. 2021, arXiv 2109.08472): one layer, one direction, residual, mean."""

    traits = HeadTraits()

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, dim, batch_first=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        return masked_mean(*self.mix(x, mask))

    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, packed, and their mask: (B, T, D), (B, T)."""
        x, mask = pack(x, mask)  # padding after the last real frame cannot influence it
        states, _ = self.lstm(x)  # (B, T, D)
        return x + states, mask
