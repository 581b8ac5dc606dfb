"""Gru: a gated recurrent network over the frames."""

from typing import final

import torch
from torch import Tensor, nn

from framebank.heads.masking import masked_mean, pack
from framebank.heads.temporal.head import HeadTraits, MixesFrames


@final
class Gru(nn.Module, MixesFrames):
    """A gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), used as ActionCLIP uses its LSTM: residual, mean.

    One layer, one direction. Its candidate state starts at zero, and so do all states: untrained, it is the mean of
    the frames. Frozen embeddings are all that it reads.
    """

    traits = HeadTraits()

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gru = nn.GRU(dim, dim, batch_first=True)
        with torch.no_grad():
            for parameter in self.gru.parameters():  # (3 D, ...): reset gate, update gate, candidate
                parameter[2 * dim :] = 0

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        return masked_mean(*self.mix(x, mask))

    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, packed, and their mask: (B, T, D), (B, T)."""
        x, mask = pack(x, mask)  # padding after the last real frame cannot influence it
        states, _ = self.gru(x)  # (B, T, D)
        return x + states, mask
