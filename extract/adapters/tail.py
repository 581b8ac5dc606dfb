"""Tail: the last blocks of an image tower, live, on the tokens that a store keeps of the frames."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from framebank.extract.encoders.trunk import Trunk

AT_ONCE = 256  # frames that are computed together where no gradient is wanted


class Tail(nn.Module):
    """Turn what enters the last blocks, (B, T, L, W) or maps (B, T, C, H, W), into embeddings (B, T, D) float32.

    The modules are those of the tower itself, so that what is trained here is trained there. They stay in test mode:
    the statistics of a batch norm do not move, and nothing is dropped. `after` turns the embeddings of all frames of a
    video, (B, T, D), into better ones of the same shape.
    """

    def __init__(self, trunk: Trunk, blocks: Sequence[nn.Module], *, after: nn.Module | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.ends = nn.ParameterList(trunk.ends)
        self.after = after
        self._finish, self._beside = trunk.finish, trunk.beside
        self.train(False)

    def train(self, mode: bool = True) -> "Tail":
        """Stay in test mode, whatever a training asks for."""
        super().train(False)
        return self

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the embedding of each frame, un-normalised."""
        if torch.is_grad_enabled():
            return self._embed(tokens)
        return torch.cat([self._embed(part) for part in tokens.split(max(1, AT_ONCE // tokens.shape[1]))])

    def _embed(self, tokens: Tensor) -> Tensor:
        x = tokens.flatten(0, 1).float()  # (B * T, L, W)
        for block in self.blocks:
            x = block(x, **self._beside)
        embeddings: Tensor = self._finish(x).unflatten(0, tokens.shape[:2])  # (B, T, D)
        if self.after is not None:
            embeddings = self.after(embeddings)
        return embeddings
