"""Max: the two frames that are most similar."""

from torch import Tensor, nn

from framebank.heads.matchers.frames import frame_similarities
from framebank.heads.matchers.matcher import MatcherTraits


class Max(nn.Module):
    """The largest cosine of a frame of the query to a frame of the video; the mean over the shots.

    A baseline of Bertrand et al. 2023 (arXiv 2303.16084). No parameters, and blind to the order of the frames.
    """

    traits = MatcherTraits()

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N)."""
        similarities = frame_similarities(query, support)  # (E, Q, N, K, T, S)
        real = query_mask[:, :, None, None, :, None] & support_mask[:, None, :, :, None, :]
        return similarities.masked_fill(~real, -2).amax((4, 5)).mean(3)
