"""Combine: score by the texts and the videos of a class together."""

from collections.abc import Callable

from torch import Tensor, nn

from framebank.heads.matchers.matcher import MatcherTraits
from framebank.heads.matchers.otam import Otam
from framebank.heads.matchers.text import Text

SMOOTHING = 0.5  # OTAM's in the second version of CLIP-FSAR's code


class Combine(nn.Module):
    """CLIP-FSAR's COMBINE (Wang et al. 2023, arXiv 2303.02982): p(text) ** 0.9 * p(videos) ** 0.1; its logarithm.

    Each p is a softmax over the classes of the episode: of `text_scale` times the cosine to the text, and of
    `metric_scale` times the score of a `metric`, the constructor of any other matcher, or OTAM of this `smoothing`. The
    defaults are the published ones: the scale of the texts is where its learning starts, that of OTAM is one over 8
    frames, and its smoothing 0.5, where the matcher otam has 0.1. No parameters.
    """

    traits = MatcherTraits(reads_text=True)

    def __init__(
        self,
        dim: int,
        *,
        metric: Callable[[int], nn.Module] | None = None,
        text_share: float = 0.9,
        text_scale: float = 1.0,
        metric_scale: float = 0.125,
        smoothing: float = SMOOTHING,
    ) -> None:
        super().__init__()
        if metric and smoothing != SMOOTHING:
            raise ValueError("smoothing is of otam where combine brings it; expected it in no combine:NAME")
        self.text = Text(dim)
        self.metric = metric(dim) if metric else Otam(dim, smoothing=smoothing)
        self.text_share = text_share
        self.text_scale = text_scale
        self.metric_scale = metric_scale

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) and text (E, N, D) -> (E, Q, N).

        ValueError without text.
        """
        by_text = self.text_scale * self.text(query, support, text, query_mask, support_mask)
        by_videos = self.metric_scale * self.metric(query, support, text, query_mask, support_mask)
        combined: Tensor = self.text_share * by_text.log_softmax(-1) + (1 - self.text_share) * by_videos.log_softmax(-1)
        return combined
