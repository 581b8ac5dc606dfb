"""BiMhm: compare each frame with the nearest frame of the other video, both ways."""

import math

from torch import Tensor, nn

from framebank.heads.matchers.frames import frame_similarities
from framebank.heads.matchers.matcher import MatcherTraits


class BiMhm(nn.Module):
    """Bidirectional mean Hausdorff metric (HyRSM, Wang et al. 2022, arXiv 2204.13423); the mean over the shots.

    The distance is the sum over the query's frames of 1 - cosine to the nearest frame of the video, plus the same sum
    over the video's frames. The second sum is scaled to the query's number of frames; otherwise a video would be nearer
    just because it has fewer frames. If the lengths are equal, as published, this changes nothing. Frames are made
    unit, as published; with an `eps`, it is added to the product of their norms instead. No parameters, blind to the
    order of frames.
    """

    traits = MatcherTraits()

    def __init__(self, dim: int, *, eps: float = 0.0) -> None:
        super().__init__()
        if not 0 <= eps < math.inf:
            raise ValueError(f"eps is {eps}; expected 0 or more")
        self.dim = dim
        self.eps = eps

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N)."""
        distances = 1 - frame_similarities(query, support, eps=self.eps)  # (E, Q, N, K, T, S)
        rows, columns = query_mask[:, :, None, None], support_mask[:, None]  # (E, Q, 1, 1, T), (E, 1, N, K, S)
        forth = distances.masked_fill(~columns.unsqueeze(4), math.inf).amin(5).masked_fill(~rows, 0).sum(4)
        back = distances.masked_fill(~rows.unsqueeze(5), math.inf).amin(4).masked_fill(~columns, 0).sum(4)
        return -(forth + back * (rows.sum(4) / columns.sum(4))).mean(3)
