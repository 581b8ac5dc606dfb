"""Tuples of frames: sums over each ordered tuple of what is known of its frames, and attention over such sums."""

import math
from itertools import combinations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# The largest tensor of scores. On a CPU, what is made of them stays in the caches.
MAX_CPU = 1 << 20
MAX_CUDA = 1 << 26


def tuple_places(num_frames: int, size: int, *, device: torch.device) -> Tensor:
    """Return the columns of each ordered tuple of frames in a table of `size` parts of S columns: (M, size).

    The frame j at the place n of a tuple has the column n*S + j.
    """
    frames = torch.tensor(list(combinations(range(num_frames), size)), device=device)  # (M, size)
    return frames + num_frames * torch.arange(size, device=device)


def incidence(places: Tensor, columns: int, *, dtype: torch.dtype) -> Tensor:
    """Return the matrix of tuples that sums their columns: places (M, n) -> (M, columns), zeros and n ones a row."""
    return torch.zeros(len(places), columns, dtype=dtype, device=places.device).scatter_(1, places, 1)


def attend(table: Tensor, scale: Tensor, real: Tensor, places: Tensor) -> Tensor:
    """Return how much attention each column of a table gets, as part of the tuples that it is in.

    table (B, K, F, R) has K videos of F columns for R rows that ask. The logit of a tuple, for one row, is the sum of
    its columns at `places` (M, n), times its scale (B, K, M). The softmax is over all K*M tuples that are real
    (B, K, M). The result (B, K, F, R) sums the shares of the tuples that a column is in. Neither logits nor shares are
    kept for the gradient: they are made again, some rows at a time.
    """
    found = _Attend.apply(table.contiguous(), scale.contiguous(), real, places)
    assert isinstance(found, Tensor)
    return found


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, scale: Tensor, real: Tensor, places: Tensor) -> Tensor:
        sums = _Sums(places, videos=table.shape[1], columns=table.shape[2])
        shares = torch.empty_like(table)
        for video, rows in _parts(table, sums.tuples):
            weights = _weights(sums, table, scale, real, video, rows)
            total = weights.sum(0)
            shares[video, :, :, rows] = (sums.of_columns(weights) / total).unflatten(0, table.shape[1:3])
        ctx.save_for_backward(table, scale, real, places, shares)
        return shares

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        table, scale, real, places, shares = ctx.saved_tensors
        sums = _Sums(places, videos=table.shape[1], columns=table.shape[2])
        of_table, of_scale = torch.empty_like(table), torch.zeros_like(scale)
        for video, rows in _parts(table, sums.tuples):
            given = grad[video, :, :, rows].flatten(0, 1)  # (K*F, r)
            mean = (given * shares[video, :, :, rows].flatten(0, 1)).sum(0)  # (r,), over the tuples by their shares
            weights = _weights(sums, table, scale, real, video, rows)
            of_logits = sums.of_tuples(given).sub_(mean).mul_(weights.div_(weights.sum(0)))  # (K*M, r)
            raw = sums.of_tuples(table[video, :, :, rows].flatten(0, 1))
            of_scale[video] += raw.mul_(of_logits).sum(1).unflatten(0, scale.shape[1:])
            columns = sums.of_columns(of_logits.mul_(scale[video].flatten().unsqueeze(1)))
            of_table[video, :, :, rows] = columns.unflatten(0, table.shape[1:3])
        return of_table, of_scale, None, None


def _weights(sums: "_Sums", table: Tensor, scale: Tensor, real: Tensor, video: int, rows: slice) -> Tensor:
    """Return the softmax of the tuples for some rows, (K*M, r), without the division by its sum."""
    logits = sums.of_tuples(table[video, :, :, rows].flatten(0, 1)).mul_(scale[video].flatten().unsqueeze(1))
    if not bool(real[video].all()):
        logits.masked_fill_(~real[video].flatten().unsqueeze(1), -math.inf)
    return logits.sub_(logits.amax(0)).exp_()


def _parts(table: Tensor, tuples: int) -> list[tuple[int, slice]]:
    step = max(1, (MAX_CUDA if table.is_cuda else MAX_CPU) // tuples)
    return [(video, slice(row, row + step)) for video in range(len(table)) for row in range(0, table.shape[3], step)]


class _Sums:
    """Sums of the columns of each tuple, and of the tuples of each column, for several videos."""

    def __init__(self, places: Tensor, *, videos: int, columns: int) -> None:
        self.tuples = videos * len(places)
        offsets = columns * torch.arange(videos, device=places.device)
        every = (places + offsets[:, None, None]).flatten(0, 1)  # (K*M, n)
        self._columns = every.flatten()
        self._column_starts = every.shape[1] * torch.arange(len(every), device=places.device)
        order = self._columns.argsort(stable=True)
        counts = self._columns.bincount(minlength=videos * columns)
        self._tuples, self._tuple_starts = order // every.shape[1], counts.cumsum(0) - counts

    def of_tuples(self, x: Tensor) -> Tensor:
        """Return the sum of the columns of each tuple: (K*F, r) -> (K*M, r)."""
        return F.embedding_bag(self._columns, x, self._column_starts, mode="sum")

    def of_columns(self, x: Tensor) -> Tensor:
        """Return the sum of the tuples that each column is in: (K*M, r) -> (K*F, r)."""
        return F.embedding_bag(self._tuples, x, self._tuple_starts, mode="sum")
