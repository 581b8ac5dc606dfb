"""Least squares of all rows but some: what the normal equations of those that are left give."""

import pytest
import torch

from framebank.heads.classifiers.least_squares import FewRows, RowSums, least_squares
from framebank.tests.worlds.classifier import draw

pytestmark = pytest.mark.usefixtures("one_thread")


def by_the_normal_equations(rows, answers, penalty, *, standardise):
    """The bias is a further column, which has no penalty."""
    mean, spread = rows.mean(0), rows.std(0, correction=0)
    spread = spread if standardise else spread.square().mean().sqrt()
    full = torch.cat([(rows - mean) / spread, torch.ones(len(rows), 1)], dim=1)
    held = penalty * len(rows) * torch.eye(full.shape[1], dtype=rows.dtype)
    held[-1, -1] = 0
    solved = torch.linalg.solve(full.T @ full + held, full.T @ answers)
    weight = (solved[:-1] / (spread[:, None] if standardise else spread)).T
    return weight, solved[-1] - weight @ mean


@pytest.mark.parametrize(
    ("dim", "kinds"), [(4, [RowSums, RowSums]), (10, [FewRows, RowSums]), (20, [FewRows, FewRows])], ids=str
)
@pytest.mark.parametrize("penalties", [(0.1,), (0.1, 2.0)], ids=["factors", "decomposition"])
@pytest.mark.parametrize("standardise", [False, True])
def test_what_is_left_is_solved_as_if_nothing_else_had_been_there(dim, kinds, penalties, standardise):
    rows, answers = 5 + draw(12, dim, seed=0).double(), draw(12, 3, seed=1).double()
    held = torch.arange(12) % 4 == 1
    left, whole = least_squares(rows, answers, [held, torch.zeros_like(held)])
    assert [type(left), type(whole)] == kinds
    for found, kept in ((left, ~held), (whole, held | ~held)):
        solved = list(found.solve(penalties, standardise=standardise))
        assert len(solved) == len(penalties)
        for (weight, bias), penalty in zip(solved, penalties, strict=True):
            expected = by_the_normal_equations(rows[kept], answers[kept], penalty, standardise=standardise)
            torch.testing.assert_close((weight, bias), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("videos", [6, 40])
def test_where_channels_say_the_same_a_penalty_that_is_nearly_nothing_does(videos):
    rows, answers = draw(videos, 8, seed=0).double(), draw(videos, 3, seed=1).double()
    twice = torch.cat([rows, rows], dim=1)  # the second half says what the first says
    (found,) = least_squares(twice, answers, [torch.zeros(videos, dtype=torch.bool)])
    best = torch.linalg.lstsq(torch.cat([rows, torch.ones(videos, 1)], dim=1), answers).solution
    for penalty in (1e-18, 1e-10):
        weight, bias = next(found.solve((penalty,), standardise=True))
        torch.testing.assert_close(twice @ weight.T + bias, rows @ best[:-1] + best[-1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("dim", [3, 30])
def test_a_channel_that_never_changes_has_no_weight(dim):
    rows, answers = draw(12, dim, seed=0).double(), draw(12, 2, seed=1).double()
    rows[:, 1] = 0.3
    for found in least_squares(rows, answers, [torch.arange(12) < 3, torch.zeros(12, dtype=torch.bool)]):
        weight, bias = next(found.solve((0.1,), standardise=True))
        assert weight.isfinite().all() and bias.isfinite().all()
        assert (weight[:, 1] == 0).all() and (weight[:, 0] != 0).all()
