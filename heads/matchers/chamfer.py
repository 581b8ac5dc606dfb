"""Chamfer: compare each frame with the most similar frame of the other video, both ways."""

from torch import Tensor, nn

from framebank.heads.matchers.frames import frame_similarities
from framebank.heads.matchers.matcher import MatcherTraits


class Chamfer(nn.Module):
    """Chamfer similarity of Bertrand et al. 2023 (arXiv 2303.16084), symmetric; the mean over the shots.

    The mean over the query's frames of the largest cosine to a frame of the video, and the mean over the video's
    frames, halved. With videos of T frames it is 1 + score / 2T of "bi-mhm", and ranks alike. No parameters.
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
        rows, columns = query_mask[:, :, None, None], support_mask[:, None]  # (E, Q, 1, 1, T), (E, 1, N, K, S)
        forth = similarities.masked_fill(~columns.unsqueeze(4), -2).amax(5).masked_fill(~rows, 0).sum(4) / rows.sum(4)
        back = similarities.masked_fill(~rows.unsqueeze(5), -2).amax(4).masked_fill(~columns, 0).sum(4)
        return (forth + back / columns.sum(4)).mean(3) / 2
