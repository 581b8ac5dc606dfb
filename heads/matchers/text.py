"""Text: the cosine to the text of a class. The support is not used."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.matchers.frames import at_least_float, unit_mean_frame
from framebank.heads.matchers.matcher import MatcherTraits


class Text(nn.Module):
    """CLIP's zero-shot classifier (Radford et al. 2021, arXiv 2103.00020) among the classes of an episode.

    The score is the cosine of the query's mean frame to the class's text. No parameters.
    """

    traits = MatcherTraits(reads_text=True)

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against text (E, N, D) -> (E, Q, N); ValueError without text."""
        if text is None:
            raise ValueError("the matcher 'text' scores by the texts of the classes; got none")
        queries = unit_mean_frame(query, query_mask)  # (E, Q, D)
        return torch.einsum("eqd,end->eqn", queries, F.normalize(at_least_float(text), dim=-1))
