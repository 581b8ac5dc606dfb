"""Mean: the cosine between averages; the baseline of every table."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.matchers.frames import unit_mean_frame
from framebank.heads.matchers.matcher import MatcherTraits


class Mean(nn.Module):
    """The cosine of a query's mean frame to the prototype of a class: the mean of its videos' unit mean frames.

    Prototypes are those of Snell et al. 2017 (arXiv 1703.05175) with the cosine for the distance. No parameters, and
    blind to the order of the frames.
    """

    traits = MatcherTraits()

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N)."""
        queries = unit_mean_frame(query, query_mask)  # (E, Q, D)
        videos = unit_mean_frame(support, support_mask)  # (E, N, K, D)
        return torch.einsum("eqd,end->eqn", queries, F.normalize(videos.mean(2), dim=-1))
