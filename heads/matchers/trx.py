"""TRX: compare every ordered tuple of query frames with those of all the videos of a class."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.matchers.frames import packed_places
from framebank.heads.matchers.matcher import MatcherTraits
from framebank.heads.matchers.prepared import Prepared, PreparesVideos
from framebank.heads.matchers.sequences import sinusoid_like

# A prepared video has for each cardinality: keys and values of M tuples (..., M, W), and which are real (..., M).
PARTS = 3

# The largest tensor of query tuples. The prototypes of all of them at once do not fit the caches of a CPU.
MAX_CPU = 1 << 21
MAX_CUDA = 1 << 27


@final
class Trx(nn.Module, PreparesVideos):
    """The temporal cross-transformer (Perrett et al. 2021, arXiv 2101.06184).

    For each tuple of query frames, attention over all tuples of a class's videos makes a separate prototype. The score
    is minus the squared distance of the two, averaged over the tuples, then over the `cardinalities`. Frames enter with
    their stored norm, and with positions of a tenth of the transformer's. The backbone is frozen, so only the keys and
    values are trained. The number of tuples grows fast: 56 triples of 8 frames, 560 of 16. A video with fewer frames
    than a tuple repeats them evenly and makes one tuple.
    """

    traits = MatcherTraits(has_weights=True)

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
        return self.match(self.prepare(query, query_mask), self.prepare(support, support_mask), text)

    def prepare(self, x: Tensor, mask: Tensor) -> Prepared:
        """Return what `match` reads of videos x (..., T, D), mask (..., T): their tuples, of each cardinality."""
        return tuple(part for transformer in self._each() for part in transformer.prepare(x, mask))

    def match(self, query: Prepared, support: Prepared, text: Tensor | None) -> Tensor:
        """Score prepared queries (E, Q, ...) against prepared supports (E, N, K, ...) -> (E, Q, N)."""
        each = zip(self._each(), _by_cardinality(query), _by_cardinality(support), strict=True)
        return torch.stack([transformer(*parts) for transformer, *parts in each]).mean(0)

    def _each(self) -> "list[TupleTransformer]":
        return [transformer for transformer in self.transformers if isinstance(transformer, TupleTransformer)]


def _by_cardinality(prepared: Prepared) -> list[Prepared]:
    return [prepared[start : start + PARTS] for start in range(0, len(prepared), PARTS)]


class TupleTransformer(nn.Module):
    """TRX of one cardinality, on prepared videos."""

    def __init__(self, dim: int, *, cardinality: int, width: int = 1152, dropout: float = 0.1) -> None:
        super().__init__()
        if cardinality < 1 or width < 1:
            raise ValueError(f"cardinality is {cardinality} and width {width}; expected both to be 1 or more")
        self.cardinality = cardinality
        self.key = nn.Linear(cardinality * dim, width)
        self.value = nn.Linear(cardinality * dim, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Prepared, support: Prepared) -> Tensor:
        """Score prepared queries (E, Q, ...) against prepared supports (E, N, K, ...) -> (E, Q, N)."""
        query_key, query_value, query_real = query  # (E, Q, M, W) twice, (E, Q, M)
        key, value, real = (part.flatten(2, 3) for part in support)  # (E, N, K*M, W) twice, (E, N, K*M)
        asking = query_key.flatten(1, 2) * query_key.shape[-1] ** -0.5  # (E, Q*M, W)
        keys = key.flatten(1, 2).transpose(1, 2)  # (E, W, N*K*M)
        of_tuple = real.numel() // real.shape[-1] * max(real.shape[-1], value.shape[-1])
        step = max(1, (MAX_CUDA if key.is_cuda else MAX_CPU) // of_tuple)
        distances = []
        for some, values in zip(asking.split(step, 1), query_value.flatten(1, 2).split(step, 1), strict=True):
            likeness = (some @ keys).unflatten(-1, real.shape[1:]).transpose(1, 2)  # (E, N, R, K*M)
            prototype = likeness.masked_fill(~real.unsqueeze(2), -math.inf).softmax(-1) @ value  # (E, N, R, W)
            distances.append((values.unsqueeze(1) - prototype).square().sum(-1))  # (E, N, R)
        distance = torch.cat(distances, dim=2).unflatten(2, query_real.shape[1:])  # (E, N, Q, M)
        query_real = query_real.unsqueeze(1)  # (E, 1, Q, M)
        mean: Tensor = (distance * query_real).sum(-1) / query_real.sum(-1)  # (E, N, Q)
        return -mean.transpose(1, 2)

    def prepare(self, x: Tensor, mask: Tensor) -> Prepared:
        """Return keys and values of the tuples of x (..., T, D), (..., M, W), and which of them are real (..., M)."""
        # A video with fewer frames than a tuple repeats them up to that number.
        places, mask = packed_places(mask, at_least=self.cardinality)  # (..., S)
        x = x.to(self.key.weight.dtype).gather(-2, places.unsqueeze(-1).expand(*places.shape, x.shape[-1]))
        x = x.masked_fill(~mask.unsqueeze(-1), 0)
        x = self.dropout(x + 0.1 * sinusoid_like(x))
        chosen = torch.tensor(list(combinations(range(x.shape[-2]), self.cardinality)), device=x.device)  # (M, n)
        real = mask[..., chosen[:, -1]]  # (..., M)
        return self.norm(self._mapped(x, self.key, chosen)), self._mapped(x, self.value, chosen), real

    def _mapped(self, x: Tensor, linear: nn.Linear, chosen: Tensor) -> Tensor:
        """Map tuples of x (..., S, D), chosen (M, n) -> (..., M, W).

        A linear map of concatenated frames is a sum of maps of each frame, so each frame is mapped once, not in each
        tuple.
        """
        parts = linear.weight.unflatten(1, (self.cardinality, -1)).unbind(1)  # n of (W, D)
        mapped = F.linear(x, parts[0], linear.bias).index_select(-2, chosen[:, 0])
        for place in range(1, self.cardinality):
            mapped = mapped + F.linear(x, parts[place]).index_select(-2, chosen[:, place])
        return mapped
