"""Least squares: the penalised ones of rows and their answers, for all rows and for all but some."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_SPREAD = 1e-6  # a channel that varies by rounding only says nothing
Solved = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class RowSums:
    """The sums over R rows x (D,), less a `centre` (D,), with answers y (C,), that give their least squares; float64.

    `xx` (D, D) and `xy` (D, C) are the sums of the products. The sums of all rows but some are a difference, so that
    several parts of the same rows cost little more than the rows themselves.
    """

    count: int
    centre: Tensor
    x: Tensor
    y: Tensor
    xx: Tensor
    xy: Tensor

    def __repr__(self) -> str:
        return f"RowSums({self.count} rows, xy {tuple(self.xy.shape)})"

    @classmethod
    def of(cls, rows: Tensor, answers: Tensor, *, centre: Tensor) -> "RowSums":
        """Sum up rows (R, D) with answers (R, C)."""
        rows = rows - centre
        return cls(len(rows), centre, rows.sum(0), answers.sum(0), rows.T @ rows, rows.T @ answers)

    def without(self, some: "RowSums") -> "RowSums":
        """Return the sums of all rows but some of them."""
        names = ("x", "y", "xx", "xy")
        left = {name: getattr(self, name) - getattr(some, name) for name in names}
        return RowSums(self.count - some.count, self.centre, **left)

    def solve(self, penalties: Sequence[float], *, standardise: bool) -> Iterator[Solved]:
        """Yield the weights (C, D) and the bias (C,) of each penalty for each row; the bias has none."""
        mean, offset = self.x / self.count, self.y / self.count
        gram = self.xx - self.count * mean.outer(mean)
        spread = _spread_of(gram.diagonal() / self.count, standardise=standardise)
        gram, right = gram / spread / spread[:, None], (self.xy - self.count * mean.outer(offset)) / spread[:, None]
        for solved in _solutions(gram, right, [penalty * self.count for penalty in penalties]):
            weight = (solved / spread[:, None]).T
            yield weight, offset - weight @ (mean + self.centre)


@dataclass(frozen=True, eq=False)
class FewRows:
    """Rows (R, D) with answers (R, C), both float64, that are fewer than D: their products (R, R) are the smaller."""

    rows: Tensor
    answers: Tensor

    def __repr__(self) -> str:
        return f"FewRows({tuple(self.rows.shape)}, answers {tuple(self.answers.shape)})"

    def solve(self, penalties: Sequence[float], *, standardise: bool) -> Iterator[Solved]:
        """Yield the weights (C, D) and the bias (C,) of each penalty for each row; the bias has none."""
        mean, offset = self.rows.mean(0), self.answers.mean(0)
        x = self.rows - mean
        x = x / (spread := _spread_of(x.square().mean(0), standardise=standardise))
        for solved in _solutions(x @ x.T, self.answers - offset, [penalty * len(x) for penalty in penalties]):
            weight = (x.T @ solved / spread[:, None]).T
            yield weight, offset - weight @ mean


def least_squares(rows: Tensor, answers: Tensor, held: Sequence[Tensor]) -> list[RowSums | FewRows]:
    """Return what is left of rows (R, D) float64 with answers (R, C) without each set of held rows, (R,) bool."""
    centre, found = rows.mean(0), list[RowSums | FewRows]()
    whole = RowSums.of(rows, answers, centre=centre) if len(rows) >= rows.shape[1] else None
    for own in held:
        if whole and whole.count - int(own.sum()) >= rows.shape[1]:
            found.append(whole.without(RowSums.of(rows[own], answers[own], centre=centre)))
        else:
            found.append(FewRows(rows[~own], answers[~own]))
    return found


def _spread_of(variance: Tensor, *, standardise: bool) -> Tensor:
    """Return what each channel is divided by: its own spread, or the same for all; infinity if it says nothing."""
    variance = variance.clamp(min=0)
    spread = (variance if standardise else variance.mean().expand_as(variance)).sqrt()
    return torch.where(spread < LEAST_SPREAD, torch.inf, spread)


def _solutions(gram: Tensor, right: Tensor, added: Sequence[float]) -> Iterator[Tensor]:
    """Yield the solution (N, C) of gram (N, N) and right (N, C), with each number added to the diagonal of gram.

    For one number, Cholesky's factors take a small part of the time of a decomposition that serves them all.
    """
    if len(added) == 1:
        factor, failed = torch.linalg.cholesky_ex(gram + added[0] * torch.eye(len(gram), dtype=gram.dtype))
        if not failed:  # it fails if the number is nothing beside the rounding of gram
            yield torch.cholesky_solve(right, factor)
            return
    values, basis = torch.linalg.eigh(gram)
    inner = basis.T @ right
    for one in added:
        yield basis @ (inner / (values.clamp(min=0) + one)[:, None])
