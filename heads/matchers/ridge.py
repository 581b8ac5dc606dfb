"""Ridge: regularised least squares on the support, in closed form."""

import math

import torch
from torch import Tensor, nn

from framebank.heads.matchers.frames import unit_mean_frame
from framebank.heads.matchers.matcher import MatcherTraits


class Ridge(nn.Module):
    """Ridge regression on the support in closed form (Bertinetto et al. 2019, arXiv 1805.08136, R2-D2).

    The unit mean frames of the support, centred, are regressed on 1 for a video of the class and -1 for another, with a
    bias that is not penalised. `penalty` of the squared weights is for each video, with all channels scaled to a mean
    variance of one. This is the classifier "ridge" without `standardise`, fitted in each episode in the dual form,
    because an episode has fewer videos than channels. The penalty is given, not searched. R2-D2 trains the embedding
    through the regression; here the embedding is frozen, and a gradient flows to the input. No parameters, blind to the
    order of the frames.
    """

    traits = MatcherTraits(fits_support=True)

    def __init__(self, dim: int, *, penalty: float = 1.0) -> None:
        super().__init__()
        if not 0 < penalty < math.inf:
            raise ValueError(f"penalty is {penalty}; expected more than 0")
        self.penalty = penalty

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N)."""
        num_ways, num_shots = support.shape[1:3]
        videos = unit_mean_frame(support, support_mask).flatten(1, 2)  # (E, R, D), R = N * K
        centre = videos.mean(1, keepdim=True)
        queries, videos = unit_mean_frame(query, query_mask) - centre, videos - centre
        gram = (videos @ videos.transpose(1, 2)).double()  # (E, R, R); a small penalty needs the digits
        variance = gram.diagonal(dim1=1, dim2=2).sum(1) / videos.shape[1:].numel()  # (E,), a channel's mean
        penalty = self.penalty * videos.shape[1] * variance.clamp(min=1e-12)
        target = 2 * torch.eye(num_ways, dtype=gram.dtype, device=gram.device).repeat_interleave(num_shots, 0) - 1
        offset = target.mean(0)  # (N,)
        eye = torch.eye(len(target), dtype=gram.dtype, device=gram.device)
        dual = torch.linalg.solve(gram + penalty[:, None, None] * eye, target - offset)  # (E, R, N)
        scores: Tensor = (queries @ videos.transpose(1, 2)).double() @ dual + offset  # (E, Q, N)
        return scores.to(videos.dtype)
