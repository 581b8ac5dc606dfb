"""SloshNet: attention and motion over time, side by side, before TRX of single frames."""

from typing import final

import torch
from torch import Tensor, nn

from framebank.heads.matchers.attention import fitting_heads
from framebank.heads.matchers.matcher import MatcherTraits
from framebank.heads.matchers.prepared import Prepared, PreparesVideos
from framebank.heads.matchers.sequences import packed
from framebank.heads.matchers.trx import TupleTransformer
from framebank.heads.temporal.attention import AttentionBlock


@final
class SloshNet(nn.Module, PreparesVideos):
    """The long-term and short-term modules of SloshNet (Xing et al. 2023, arXiv 2301.07944) and its matcher.

    Long-term: one attention block over the frames. Short-term: minus each frame's values, gated by how the keys of the
    next frame differ from the queries of this one (without the minus if not `negated`). Their mixture is learned, and
    TRX of single frames matches. Frozen frame embeddings do not allow the search over feature maps of several depths.
    The depthwise convolution of queries and keys becomes a factor for each channel, because a frame is one token here,
    not 7 by 7.
    """

    traits = MatcherTraits(has_weights=True)

    def __init__(
        self, dim: int, *, num_heads: int = 8, width: int = 1152, dropout: float = 0.1, negated: bool = True
    ) -> None:
        super().__init__()
        self.long_term = AttentionBlock(dim, num_heads=fitting_heads(dim, num_heads), norm_eps=1e-12)
        self.short_term = Motion(dim, negated=negated)
        self.mixture = nn.Parameter(torch.zeros(2))  # equal parts; doubled, so that each starts unchanged
        self.matcher = TupleTransformer(dim, cardinality=1, width=width, dropout=dropout)

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N); the texts are not read."""
        return self.match(self.prepare(query, query_mask), self.prepare(support, support_mask), text)

    def prepare(self, x: Tensor, mask: Tensor) -> Prepared:
        """Return what `match` reads of videos x (..., T, D), mask (..., T), with the frames of each video related."""
        x, mask = packed(x.to(self.mixture.dtype), mask)
        frames, real = x.flatten(0, -3), mask.flatten(0, -2)  # (B, T, D), (B, T)
        share = 2 * self.mixture.softmax(0)
        mixed = share[0] * self.long_term(frames, real) + share[1] * self.short_term(frames, real)
        return self.matcher.prepare(mixed.view_as(x), mask)

    def match(self, query: Prepared, support: Prepared, text: Tensor | None) -> Tensor:
        """Score prepared queries (E, Q, ...) against prepared supports (E, N, K, ...) -> (E, Q, N)."""
        scores: Tensor = self.matcher(query, support)
        return scores


class Motion(nn.Module):
    """Minus the values, gated by the step from each frame's query to the key of the next. The last has no step."""

    def __init__(self, dim: int, *, negated: bool = True) -> None:
        super().__init__()
        self.sign = -1.0 if negated else 1.0
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.query_scale = nn.Parameter(torch.ones(dim))
        self.key_scale = nn.Parameter(torch.ones(dim))
        self.gate = nn.Sequential(
            nn.Linear(dim, dim, bias=False), nn.GELU(), nn.Linear(dim, dim, bias=False), nn.Sigmoid()
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Gate packed frames x (B, T, D), mask (B, T) true where real -> (B, T, D)."""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        step = key[:, 1:] * self.key_scale - query[:, :-1] * self.query_scale  # (B, T-1, D)
        step = step * mask[:, 1:].unsqueeze(-1)
        gated: Tensor = self.sign * value * self.gate(torch.cat([step, torch.zeros_like(x[:, :1])], dim=1))
        return gated
