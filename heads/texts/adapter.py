"""Adapter: a small network after the text tower, the same for every class."""

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.texts.text import TextTraits


class Adapter(nn.Module):
    """CLIP-Adapter's text side (Gao et al. 2021, arXiv 2110.04544): ratio * MLP(text) + (1 - ratio) * text.

    A bottleneck of a quarter of the width, without biases, each layer followed by a ReLU, as published; ratio 0.2. The
    MLP's output and the text are mixed as they are, and made unit after. It serves any classes. M2-CLIP
    (Wang et al. 2024, arXiv 2401.11649) puts its text adapters inside the text tower, where stored texts do not reach.
    """

    traits = TextTraits()

    def __init__(self, dim: int, num_classes: int, *, ratio: float = 0.2, reduction: int = 4) -> None:
        super().__init__()
        self.ratio = ratio
        hidden = max(1, dim // reduction)
        self.down = nn.Linear(dim, hidden, bias=False)
        self.up = nn.Linear(hidden, dim, bias=False)

    def require_classes(self, num_classes: int) -> None:
        """Accept any number of classes."""

    def forward(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """Return text embeddings (..., D) of classes (...), adapted."""
        adapted = F.relu(self.up(F.relu(self.down(embeddings))))
        return self.ratio * adapted + (1 - self.ratio) * embeddings
