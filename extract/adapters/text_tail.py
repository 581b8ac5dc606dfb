"""TextTail: the last blocks of a text tower, live, on what a first pass gave for the sentences."""

import torch
from torch import Tensor, nn

from framebank.extract.encoders.text_trunk import TextTrunk

AT_ONCE = 512  # sentences that are computed together where no gradient is wanted


class TextTail(nn.Module):
    """Turn what enters the last `blocks` blocks of a text tower, (N, L, W), into embeddings (N, D), un-normalised.

    The modules are those of the tower itself, so that what is trained here is trained there. `beside` holds parameters
    of the blocks that are not a part of the tower.
    """

    def __init__(self, trunk: TextTrunk, *, blocks: int, beside: nn.Module | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(trunk.blocks[-blocks:])
        self.ends = nn.ParameterList(trunk.ends)
        self.beside = beside
        self._trunk = trunk
        self.train(False)

    def train(self, mode: bool = True) -> "TextTail":
        """Stay in test mode, whatever a training asks for."""
        super().train(False)
        return self

    def forward(self, states: Tensor, ends: Tensor) -> Tensor:
        """Return the embedding of each sentence, which is read at the place `ends` (N,)."""
        if torch.is_grad_enabled():
            return self._embed(states, ends)
        parts = zip(states.split(AT_ONCE), ends.split(AT_ONCE), strict=True)
        return torch.cat([self._embed(*part) for part in parts])

    def _embed(self, states: Tensor, ends: Tensor) -> Tensor:
        x = self._trunk.run(tuple(self.blocks), states)
        return self._trunk.finish(x[torch.arange(len(x), device=x.device), ends])
