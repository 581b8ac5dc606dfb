"""TRX: every ordered tuple of query frames against those of all the videos of a class."""

from collections.abc import Sequence
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.matchers.frames import packed_places
from framebank.heads.matchers.sequences import sinusoid_like


class Trx(nn.Module):
    """The temporal cross-transformer (Perrett et al. 2021, arXiv 2101.06184).

    For each tuple of query frames, attention over all tuples of a class's videos makes a prototype of its own; the
    score is minus the squared distance of the two, averaged over the tuples, then over the `cardinalities`. Frames
    enter with the norm they are stored with, and positions of a tenth of the transformer's. The backbone is frozen,
    so nothing but the keys and values is trained. The number of tuples grows fast: 56 triples of 8 frames, 560 of 16.
    A video of fewer frames than a tuple has repeats them evenly and makes one tuple.
    """

    def __init__(
        self, dim: int, *, cardinalities: Sequence[int] = (2, 3), width: int = 1152, dropout: float = 0.1
    ) -> None:
        super().__init__()
        if not cardinalities:
            raise ValueError("cardinalities is empty; expected one or more numbers of frames")
        self.transformers = nn.ModuleList(
            TupleTransformer(dim, cardinality=cardinality, width=width, dropout=dropout)
            for cardinality in cardinalities
        )

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N); the texts are not read."""
        scores = [transformer(query, support, query_mask, support_mask) for transformer in self.transformers]
        return torch.stack(scores).mean(0)


class TupleTransformer(nn.Module):
    """TRX of one cardinality."""

    def __init__(self, dim: int, *, cardinality: int, width: int = 1152, dropout: float = 0.1) -> None:
        super().__init__()
        if cardinality < 1 or width < 1:
            raise ValueError(f"cardinality is {cardinality} and width {width}; expected 1 or more of both")
        self.cardinality = cardinality
        self.key = nn.Linear(cardinality * dim, width)
        self.value = nn.Linear(cardinality * dim, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, support: Tensor, query_mask: Tensor, support_mask: Tensor) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N)."""
        num_classes, num_queries = support.shape[1], query.shape[1]
        query_key, query_value, query_real = self._tuples(query, query_mask)  # (E, Q, M, W) twice, (E, Q, M)
        key, value, real = (part.flatten(2, 3) for part in self._tuples(support, support_mask))  # (E, N, K*M, W)
        asking = query_key.flatten(1, 2).unsqueeze(1).expand(-1, num_classes, -1, -1)  # (E, N, Q*M, W)
        prototype = F.scaled_dot_product_attention(asking, key, value, attn_mask=real.unsqueeze(2))  # (E, N, Q*M, W)
        prototype = prototype.unflatten(2, (num_queries, -1))  # (E, N, Q, M, W)
        distance = (query_value.unsqueeze(1) - prototype).square().sum(-1)  # (E, N, Q, M)
        query_real = query_real.unsqueeze(1)  # (E, 1, Q, M)
        mean = (distance * query_real).sum(-1) / query_real.sum(-1)  # (E, N, Q)
        scores: Tensor = -mean.transpose(1, 2)
        return scores

    def _tuples(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return keys and values of the tuples of x (..., T, D), (..., M, W), and which of them are real (..., M)."""
        # A video of fewer frames than a tuple has repeats them up to that many.
        places, mask = packed_places(mask, at_least=self.cardinality)  # (..., S)
        x = x.to(self.key.weight.dtype).gather(-2, places.unsqueeze(-1).expand(*places.shape, x.shape[-1]))
        x = x.masked_fill(~mask.unsqueeze(-1), 0)
        x = self.dropout(x + 0.1 * sinusoid_like(x))
        chosen = torch.tensor(list(combinations(range(x.shape[-2]), self.cardinality)), device=x.device)  # (M, n)
        real = mask[..., chosen[:, -1]]  # (..., M)
        return self.norm(self._mapped(x, self.key, chosen)), self._mapped(x, self.value, chosen), real

    def _mapped(self, x: Tensor, linear: nn.Linear, chosen: Tensor) -> Tensor:
        """Map tuples of x (..., S, D), chosen (M, n) -> (..., M, W).

        A linear map of frames side by side is a sum of maps of each: frames are mapped once, not in every tuple.
        """
        parts = linear.weight.unflatten(1, (self.cardinality, -1))  # (W, n, D)
        each = [F.linear(x, parts[:, place])[..., chosen[:, place], :] for place in range(self.cardinality)]
        return torch.stack(each).sum(0) + linear.bias
