"""TRX: compare every ordered tuple of query frames with those of all the videos of a class."""

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.matchers.frames import packed_places
from framebank.heads.matchers.matcher import MatcherTraits
from framebank.heads.matchers.prepared import Prepared, PreparesVideos
from framebank.heads.matchers.sequences import sinusoid_like
from framebank.heads.matchers.tuples import FrameProducts, incidence, tuple_places

# A prepared video has for each cardinality what `TupleTransformer.prepare` returns.
PARTS = 4


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
        """Score prepared queries (E, Q, ...) against prepared supports (E, N, K, ...) -> (E, Q, N).

        No tuple's key or value is made. A tuple's is the sum of what its frames give, so that the product of two tuples
        is a sum of products of frames, and a prototype is known by the weight of each frame in it.
        """
        query_keys, query_values, query_spread, query_real = query
        keys, values, spread, real = support  # (E, N, K, F, W) twice, (E, N, K, M) twice
        query_values, values = self._centred(query_values, values)
        gain, shift = self.norm.weight, self.norm.bias
        columns = values.flatten(2, 3)  # (E, N, K*F, W)
        products = FrameProducts(
            asking=_products(keys, query_keys * gain.square()).flatten(0, 1),
            even=(keys @ (gain * shift)).flatten(2).flatten(0, 1),
            narrow=(1 / query_spread).repeat_interleave(keys.shape[1], dim=0),
            scale=(keys.shape[-1] ** -0.5 / spread).flatten(2).flatten(0, 1),
            real=real.flatten(2).flatten(0, 1),
            likeness=_products(values, query_values).flatten(0, 1),
            gram=(columns @ columns.transpose(2, 3)).flatten(0, 1),
        )
        mine, theirs = self._places(query_keys), self._places(keys)
        square = products.distances(mine=mine, theirs=theirs, videos=keys.shape[2])  # (E*N, Q, M)
        own = _squares(query_values, self._incidence(query_keys)).unsqueeze(1)  # (E, 1, Q, M)
        distance = square.unflatten(0, keys.shape[:2]) + own  # (E, N, Q, M)
        query_real = query_real.unsqueeze(1)  # (E, 1, Q, M)
        mean: Tensor = (distance * query_real).sum(-1) / query_real.sum(-1)  # (E, N, Q)
        return -mean.transpose(1, 2)

    def prepare(self, x: Tensor, mask: Tensor) -> Prepared:
        """Return what `forward` reads of videos x (..., T, D), mask (..., T).

        Keys and values of each frame at each place of a tuple (..., F, W), F = n*S; of each tuple (..., M): the spread
        of its key, and whether it is real.
        """
        # A video with fewer frames than a tuple repeats them up to that number.
        places, mask = packed_places(mask, at_least=self.cardinality)  # (..., S)
        x = x.to(self.key.weight.dtype).gather(-2, places.unsqueeze(-1).expand(*places.shape, x.shape[-1]))
        x = x.masked_fill(~mask.unsqueeze(-1), 0)
        x = self.dropout(x + 0.1 * sinusoid_like(x))
        keys, values = self._mapped(x, self.key), self._mapped(x, self.value)  # (..., F, W)
        keys = keys - keys.mean(-1, keepdim=True)  # the mean that the norm takes from a tuple is a sum too
        sums = self._incidence(keys)  # (M, F)
        spread = (_squares(keys, sums) / keys.shape[-1] + self.norm.eps).sqrt()  # (..., M)
        last = self._places(keys)[:, -1] % x.shape[-2]
        return keys, values, spread, mask[..., last]

    def _centred(self, query: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
        """Take the mean of the support from each place of a tuple: (E, Q, F, W), (E, N, K, F, W) -> the same.

        The distance of two tuples stays. It is a difference of squares, which lose less of it if they are small.
        """
        places = support.unflatten(-2, (self.cardinality, -1))  # (E, N, K, n, S, W)
        mean = places.mean((1, 2, 4))  # (E, n, W)
        mine = query.unflatten(-2, (self.cardinality, -1)) - mean[:, None, :, None]
        return mine.flatten(2, 3), (places - mean[:, None, None, :, None]).flatten(3, 4)

    def _mapped(self, x: Tensor, linear: nn.Linear) -> Tensor:
        """Map each frame of x (..., S, D) as it counts at each place of a tuple -> (..., n*S, W)."""
        parts = linear.weight.unflatten(1, (self.cardinality, -1)).unbind(1)  # n of (W, D)
        first = F.linear(x, parts[0], linear.bias)
        return torch.cat([first, *(F.linear(x, part) for part in parts[1:])], dim=-2)

    def _places(self, frames: Tensor) -> Tensor:
        """Return the columns of each tuple of frames (..., F, W): (M, n)."""
        return tuple_places(frames.shape[-2] // self.cardinality, self.cardinality, device=frames.device)

    def _incidence(self, frames: Tensor) -> Tensor:
        return incidence(self._places(frames), frames.shape[-2], dtype=frames.dtype)


def _products(support: Tensor, query: Tensor) -> Tensor:
    """Return the product of each frame with each other: (E, N, K, F, W), (E, Q, G, W) -> (E, N, K*F, Q, G)."""
    products: Tensor = support.flatten(1, 3) @ query.flatten(1, 2).transpose(1, 2)  # (E, N*K*F, Q*G)
    apart: Tensor = products.unflatten(2, query.shape[1:3]).unflatten(1, (support.shape[1], -1))
    return apart


def _squares(frames: Tensor, sums: Tensor) -> Tensor:
    """Return the square of the sum of the frames of each tuple: frames (..., F, W), sums (M, F) -> (..., M)."""
    products = frames @ frames.transpose(-1, -2)  # (..., F, F)
    squares: Tensor = ((sums @ products) * sums).sum(-1)
    return squares.clamp(min=0)  # (..., M)
