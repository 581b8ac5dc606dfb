"""TipAdapter: zero-shot together with the support as a cache."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.matchers.frames import at_least_float, unit_mean_frame
from framebank.heads.matchers.matcher import MatcherTraits


class TipAdapter(nn.Module):
    """Tip-Adapter (Zhang et al. 2021, arXiv 2111.03930): `text_scale` f W + alpha * sum exp(-beta (1 - f k)).

    f is the query's unit mean frame, W the unit texts of the episode, and the sum goes over the unit mean frames k of a
    class's support videos. `alpha` 3 and `beta` 1 are where the published code starts for UCF101; it then searches
    them, and an episode has no videos to search on, so that they stay. With alpha 0 it is the matcher "text". The scale
    is the paper's 100, CLIP's own after its training, whatever the scale of the encoder at hand. The paper's keys are
    means over ten crops; here each video is one key. No parameters, blind to the order of the frames.
    """

    traits = MatcherTraits(fits_support=True, reads_text=True)

    def __init__(self, dim: int, *, alpha: float = 3.0, beta: float = 1.0, text_scale: float = 100.0) -> None:
        super().__init__()
        self.alpha, self.beta, self.text_scale = alpha, beta, text_scale

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) and text (E, N, D) -> (E, Q, N).

        ValueError without text.
        """
        if text is None:
            raise ValueError("the matcher 'tip-adapter' scores by the texts of the classes; got none")
        queries, keys = unit_mean_frame(query, query_mask), unit_mean_frame(support, support_mask)
        zero_shot = torch.einsum("eqd,end->eqn", queries, F.normalize(at_least_float(text), dim=-1))
        near = (-self.beta * (1 - torch.einsum("eqd,enkd->eqnk", queries, keys))).exp()
        return self.text_scale * zero_shot + self.alpha * near.sum(-1)
