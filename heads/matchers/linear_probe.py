"""LinearProbe: logistic regression on the support, by a fixed number of steps."""

import math

import torch
from torch import Tensor, nn

from framebank.heads.matchers.frames import unit_mean_frame
from framebank.heads.matchers.matcher import MatcherTraits


class LinearProbe(nn.Module):
    """CLIP's few-shot linear probe (Radford et al. 2021, arXiv 2103.00020): logistic regression on the support.

    It takes `steps` full-batch steps of gradient descent on the mean cross-entropy, from zero weights and biases,
    without weight decay. CLIP fits L-BFGS to the end with a searched penalty; here the number of steps keeps the
    weights small. The unit mean frames of the support are centred and brought to a mean squared norm of one, so that
    one `lr` serves any encoder: below 4, every step lowers the loss. All weights stay sums of the support videos, so
    the steps change only the factor of each video, for all episodes at once. No parameters, blind to the order of the
    frames.
    """

    traits = MatcherTraits(fits_support=True)

    def __init__(self, dim: int, *, steps: int = 100, lr: float = 1.0) -> None:
        super().__init__()
        if steps < 1 or not 0 < lr < math.inf:
            raise ValueError(f"steps is {steps} and lr {lr}; expected one step or more and a rate above 0")
        self.steps, self.lr = steps, lr

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N)."""
        num_ways, num_shots = support.shape[1:3]
        videos = unit_mean_frame(support, support_mask).flatten(1, 2)  # (E, R, D), R = N * K
        centre = videos.mean(1, keepdim=True)
        queries, videos = unit_mean_frame(query, query_mask) - centre, videos - centre
        gram = videos @ videos.transpose(1, 2)  # (E, R, R)
        squared = gram.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]  # (E, 1, 1)
        squared = torch.where(squared < 1e-12, torch.inf, squared)  # a difference by rounding only says nothing
        gram, asked = gram / squared, queries @ videos.transpose(1, 2) / squared  # (E, R, R), (E, Q, R)
        target = torch.eye(num_ways, dtype=gram.dtype, device=gram.device).repeat_interleave(num_shots, 0)  # (R, N)
        counts = torch.zeros_like(target).expand(len(gram), -1, -1)  # weights = counts.T @ videos
        bias = torch.zeros_like(counts[:, :1])  # (E, 1, N)
        for _ in range(self.steps):
            error = target - (gram @ counts + bias).softmax(-1)  # (E, R, N), the gradient downhill, times R
            counts = counts + self.lr / len(target) * error
            bias = bias + self.lr * error.mean(1, keepdim=True)
        return asked @ counts + bias
