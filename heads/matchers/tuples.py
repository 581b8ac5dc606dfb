"""Tuples of frames: how far each tuple of a query is from its prototype, by sums over the frames of tuples."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# The largest tensor of scores. On a CPU, what is made of them stays in the caches.
MAX_CPU = 1 << 20
MAX_CUDA = 1 << 26
LOG2E = math.log2(math.e)  # powers of 2 take two thirds of the time of powers of e
LARGEST = 80.0  # the exponent of a power of 2 up to which float32 can sum many of them, above or below 0


def tuple_places(num_frames: int, size: int, *, device: torch.device) -> Tensor:
    """Return the columns of each ordered tuple of frames in a table of `size` parts of S columns: (M, size).

    The frame j at the place n of a tuple has the column n*S + j.
    """
    frames = torch.tensor(list(combinations(range(num_frames), size)), device=device)  # (M, size)
    return frames + num_frames * torch.arange(size, device=device)


def incidence(places: Tensor, columns: int, *, dtype: torch.dtype) -> Tensor:
    """Return the matrix of tuples that sums their columns: places (M, n) -> (M, columns), zeros and n ones a row."""
    return torch.zeros(len(places), columns, dtype=dtype, device=places.device).scatter_(1, places, 1)


@dataclass(frozen=True)
class FrameProducts:
    """What is known of Q queries and of a class with K videos, by their frames at each place of a tuple.

    There are B pairs of an episode and a class, and C = K*n*S columns of the class, G = n*T of a query.

    asking    (B, C, Q, G)  the products of their keys
    even      (B, C)        what a column of the class adds for every query
    narrow    (B, Q, M)     what the products of each tuple of a query are multiplied by
    scale     (B, L)        what the logit of each of the class's L tuples is multiplied by, and whether it is `real`
    likeness  (B, C, Q, G)  the products of their values
    gram      (B, C, C)     those of the class's values with each other
    """

    asking: Tensor
    even: Tensor
    narrow: Tensor
    scale: Tensor
    real: Tensor
    likeness: Tensor
    gram: Tensor

    def distances(self, *, mine: Tensor, theirs: Tensor, videos: int) -> Tensor:
        """Return the squared distance of each query tuple to its prototype, less its own square: (B, Q, M).

        The tuples of a query are `mine` (M, n), those of each of the class's `videos` are `theirs`. The logit of two
        tuples is a sum over their columns, and the prototype is known by the share that each column has in it. Neither
        logits nor shares are kept for the gradient: they are made again, some queries at a time.
        """
        parts = (self.asking, self.even, self.narrow, self.scale, self.real, self.likeness, self.gram)
        found = _Distances.apply(*parts, mine, theirs, videos)
        assert isinstance(found, Tensor)
        return found


class _Distances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        *parts, mine, theirs, videos = given
        products = FrameProducts(*parts)
        square = torch.empty_like(products.narrow)
        for block in _blocks(products, mine, theirs, videos):
            share, _ = block.shares(block.weights(block.logits()))
            square[block.place] = (
                ((products.gram[block.pair] @ share - 2 * block.likeness()) * share).sum(0).view_as(square[block.place])
            )
        ctx.save_for_backward(*parts, mine, theirs)
        ctx.videos = videos
        return square

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        *parts, mine, theirs = ctx.saved_tensors
        products = FrameProducts(*parts)
        of = FrameProducts(*(torch.zeros_like(part) for part in parts))
        for block in _blocks(products, mine, theirs, ctx.videos):
            given = grads[0][block.place].flatten()  # (r,)
            logits = block.logits()
            weights = block.weights(logits)
            share, total = block.shares(weights)
            toward = (products.gram[block.pair] @ share).sub_(block.likeness()).mul_(2 * given)
            given_share = share * given
            of.gram[block.pair] += given_share @ share.T
            of.likeness[block.columns] = block.to_frames(given_share.mul_(-2))
            mean = (toward * share).sum(0)  # over the class's tuples, by their shares
            toward.sub_(mean / theirs.shape[1]).div_(total)  # a tuple sums so many of them
            given_logits = block.theirs.of_tuples(toward).mul_(weights)  # (L, r)
            scale = products.scale[block.pair]
            of.scale[block.pair] += logits.mul_(given_logits).sum(1) / (LOG2E * scale)
            table = block.theirs.of_columns(given_logits, scale)  # (C, r)
            of.even[block.pair] += table.sum(1)
            of.narrow[block.place] = (table * block.asked).sum(0).view_as(of.narrow[block.place])
            of.asking[block.columns] = block.to_frames(table.mul_(block.narrow))
        return of.asking, of.even, of.narrow, of.scale, None, of.likeness, of.gram, None, None, None


class _Block:
    """Some queries beside one class: r = q*M tuples of theirs."""

    def __init__(self, products: FrameProducts, pair: int, queries: slice, mine: "_Sums", theirs: "_Sums") -> None:
        self.products, self.pair = products, pair
        self.place, self.columns = (pair, queries), (pair, slice(None), queries)
        self.mine, self.theirs = mine, theirs
        self.narrow = products.narrow[self.place].flatten()  # (r,)
        self.asked = self._to_tuples(products.asking)  # (C, r)
        self.table = torch.addcmul(products.even[pair].unsqueeze(1), self.asked, self.narrow)  # (C, r)

    def logits(self) -> Tensor:
        """Return the logit of each of the class's tuples for each of the queries', as a power of 2, (L, r)."""
        return self.theirs.of_tuples(self.table, LOG2E * self.products.scale[self.pair])

    def weights(self, logits: Tensor) -> Tensor:
        """Return the softmax of the logits (L, r) over the class's tuples, not divided by its sum."""
        real = self.products.real[self.pair]
        all_real = bool(real.all())
        if self._largest_logit() < LARGEST:
            weights = logits.exp2()
        else:
            counted = logits if all_real else logits.masked_fill(~real.unsqueeze(1), -math.inf)
            weights = (logits - counted.amax(0)).exp2_()
        return weights if all_real else weights.masked_fill_(~real.unsqueeze(1), 0)

    def shares(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the share of each column in the prototypes, (C, r), and the sum of the weights (L, r), (r,)."""
        share = self.theirs.of_columns(weights)
        total = self.theirs.of_first_places(share)
        return share.div_(total), total

    def likeness(self) -> Tensor:
        """Return the product of each column's value with the tuples', (C, r)."""
        return self._to_tuples(self.products.likeness)

    def _largest_logit(self) -> float:
        """Return a bound that no logit exceeds, above or below 0. A tuple sums `size` columns of the table."""
        low, high = self.table.aminmax()
        largest = torch.maximum(-low, high) * self.products.scale[self.pair].amax()
        return LOG2E * self.theirs.size * float(largest)

    def _to_tuples(self, table: Tensor) -> Tensor:
        """Sum the frames of the queries over their tuples: (B, C, Q, G) -> (C, r)."""
        frames = table[self.columns]  # (C, q, G)
        return self.mine.of_tuples(frames.flatten(0, 1).T.contiguous()).T.reshape(len(frames), -1)

    def to_frames(self, x: Tensor) -> Tensor:
        """Sum the tuples of the queries that each of their frames is in: (C, r) -> (C, q, G)."""
        tuples = x.view(-1, self.mine.tuples).T.contiguous()  # (M, C*q)
        frames: Tensor = self.mine.of_columns(tuples).T.unflatten(0, (len(x), -1))
        return frames


def _blocks(products: FrameProducts, mine: Tensor, theirs: Tensor, videos: int) -> Iterator[_Block]:
    pairs, columns, queries, frames = products.asking.shape
    my_sums = _Sums(mine, videos=1, columns=frames)
    their_sums = _Sums(theirs, videos=videos, columns=columns // videos)
    most = MAX_CUDA if products.asking.is_cuda else MAX_CPU
    step = max(1, most // (my_sums.tuples * max(columns, their_sums.tuples)))
    for pair in range(pairs):
        for start in range(0, queries, step):
            yield _Block(products, pair, slice(start, min(start + step, queries)), my_sums, their_sums)


class _Sums:
    """Sums of the columns of each tuple, and of the tuples of each column, for several videos."""

    def __init__(self, places: Tensor, *, videos: int, columns: int) -> None:
        self.tuples, self.size, self._videos = videos * len(places), places.shape[1], videos
        offsets = columns * torch.arange(videos, device=places.device)
        every = (places + offsets[:, None, None]).flatten(0, 1)  # (K*M, n)
        self._columns = every.flatten()
        self._column_starts = self.size * torch.arange(len(every), device=places.device)
        order = self._columns.argsort(stable=True)
        counts = self._columns.bincount(minlength=videos * columns)
        self._tuples, self._tuple_starts = order // self.size, counts.cumsum(0) - counts

    def of_tuples(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """Return the sum of the columns of each tuple, times its scale (K*M,): (K*F, r) -> (K*M, r)."""
        weights = None if scale is None else scale.repeat_interleave(self.size)
        return F.embedding_bag(self._columns, x, self._column_starts, mode="sum", per_sample_weights=weights)

    def of_columns(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """Return the sum of the tuples that each column is in, each times its scale: (K*M, r) -> (K*F, r)."""
        weights = None if scale is None else scale[self._tuples]
        return F.embedding_bag(self._tuples, x, self._tuple_starts, mode="sum", per_sample_weights=weights)

    def of_first_places(self, x: Tensor) -> Tensor:
        """Return the sum of the columns of the first place of a tuple: (K*F, r) -> (r,). Each tuple has one of them."""
        first: Tensor = x.unflatten(0, (self._videos, self.size, -1))[:, 0]  # (K, S, r)
        return first.sum((0, 1))
