"""LogitScale: the factor of a cosine, learned as its logarithm."""

import math

import torch
from torch import Tensor, nn

MAX_LOGIT_SCALE = 100.0  # the bound of CLIP


class LogitScale(nn.Module):
    """CLIP's learned scale (Radford et al. 2021, arXiv 2103.00020). It begins at `start`, fixed unless `learned`."""

    def __init__(self, start: float, *, learned: bool = True) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(start)), requires_grad=learned)

    @torch.no_grad()
    def bound(self) -> None:
        """Bring the scale back to CLIP's bound of 100 if a training step took it above."""
        self.log_scale.clamp_(max=math.log(MAX_LOGIT_SCALE))

    def forward(self, cosines: Tensor) -> Tensor:
        """Scale cosines of any shape."""
        return self.log_scale.exp() * cosines
