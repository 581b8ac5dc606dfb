"""Linear: a learned weight for each pair of times."""

import torch
from torch import Tensor, nn

from framebank.heads.matchers.frames import frame_similarities, overlaps, pack_similarities
from framebank.heads.matchers.matcher import MatcherTraits


class Linear(nn.Module):
    """A weighted sum of the cosines of all pairs of frames; the mean over the shots.

    A baseline of Bertrand et al. 2023 (arXiv 2303.16084). The table of weights (B, B) is for B = `num_frames` equal
    parts of the time; the cosines of a video of another length are averaged into those. It starts as the diagonal of
    those parts. The published one starts at random.
    """

    traits = MatcherTraits(has_weights=True)

    def __init__(self, dim: int, *, num_frames: int = 8) -> None:
        super().__init__()
        if num_frames < 1:
            raise ValueError(f"num_frames is {num_frames}; expected 1 or more")
        self.dim = dim
        self.weight = nn.Parameter(torch.eye(num_frames) / num_frames)

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N)."""
        similarities, query_mask, support_mask = pack_similarities(
            frame_similarities(query, support), query_mask, support_mask
        )
        rows = self._parts(query_mask, similarities)  # (E, Q, B, T)
        columns = self._parts(support_mask, similarities)  # (E, N, K, B, S)
        weight = self.weight.to(similarities.dtype)
        weighted = torch.einsum("eqat,ab,eqnkts->eqnkbs", rows, weight, similarities)
        return torch.einsum("eqnkbs,enkbs->eqnk", weighted, columns).mean(3)

    def _parts(self, mask: Tensor, like: Tensor) -> Tensor:
        """Return which share of each part of the time a frame takes: (..., T) -> (..., B, T); each row sums to 1."""
        parts = len(self.weight)
        lengths = mask.sum(-1)
        shares: Tensor = overlaps(torch.full_like(lengths, parts), lengths, parts, mask.shape[-1])
        return parts * shares.to(like.dtype)
