"""Diagonal: compare frames of the same time."""

from torch import Tensor, nn

from framebank.heads.matchers.frames import frame_similarities, overlaps, pack_similarities
from framebank.heads.matchers.matcher import MatcherTraits


class Diagonal(nn.Module):
    """The mean cosine of the frames that are shown at the same time of their videos; the mean over the shots.

    A baseline of Bertrand et al. 2023 (arXiv 2303.16084). Videos of different lengths are stretched over each other:
    a pair of frames counts as long as it is shown together. No parameters.
    """

    traits = MatcherTraits()

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N)."""
        similarities, query_mask, support_mask = pack_similarities(
            frame_similarities(query, support), query_mask, support_mask
        )
        lengths = query_mask.sum(-1)[:, :, None, None], support_mask.sum(-1)[:, None]  # (E, Q, 1, 1), (E, 1, N, K)
        together = overlaps(*lengths, *similarities.shape[4:])  # (E, Q, N, K, T, S)
        return (similarities * together.to(similarities.dtype)).sum((4, 5)).mean(3)
