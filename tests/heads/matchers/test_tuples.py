"""Sums and attention over tuples of frames, against the tensors that they do without."""

import itertools
import math

import pytest
import torch

from framebank.heads.matchers.tuples import attend, incidence, tuple_places

pytestmark = pytest.mark.usefixtures("one_thread")


def test_places_of_pairs():
    assert tuple_places(3, 2, device=torch.device("cpu")).tolist() == [[0, 4], [0, 5], [1, 5]]
    rows = incidence(tuple_places(3, 2, device=torch.device("cpu")), 6, dtype=torch.float32)
    assert rows.tolist() == [[1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 1]]


def drawn(size, *, frames=4, videos=2, rows=5):
    torch.manual_seed(0)
    places = tuple_places(frames, size, device=torch.device("cpu"))
    table = torch.randn(3, videos, size * frames, rows, dtype=torch.float64, requires_grad=True)
    scale = torch.rand(3, videos, len(places), dtype=torch.float64).add(0.5).requires_grad_()
    real = torch.ones(scale.shape, dtype=torch.bool)
    real[1, 0, 1:] = False
    return table, scale, real, places


def plain(table, scale, real, places):
    """The shares of the columns, by the logit of each tuple for each row."""
    sums = incidence(places, table.shape[2], dtype=table.dtype)
    logits = torch.einsum("mf,bkfr->bkmr", sums, table) * scale[..., None]
    shares = logits.masked_fill(~real[..., None], -math.inf).flatten(1, 2).softmax(1).view_as(logits)
    return torch.einsum("mf,bkmr->bkfr", sums, shares)


@pytest.mark.parametrize(("size", "most"), itertools.product([1, 2, 3], [1 << 20, 10]))
def test_attention_and_its_gradients_against_the_logits_of_all_tuples(size, most, monkeypatch):
    monkeypatch.setattr("framebank.heads.matchers.tuples.MAX_CPU", most)
    table, scale, real, places = drawn(size)
    found, expected = attend(table, scale, real, places), plain(table, scale, real, places)
    torch.testing.assert_close(found, expected)
    weight = torch.randn_like(expected)
    mine = torch.autograd.grad((found * weight).sum(), (table, scale))
    theirs = torch.autograd.grad((expected * weight).sum(), (table, scale))
    torch.testing.assert_close(mine, theirs)


def test_the_shares_of_a_video_sum_to_the_frames_of_a_tuple():
    shares = attend(*drawn(3))
    torch.testing.assert_close(shares.sum((1, 2)), torch.full((3, 5), 3.0, dtype=torch.float64))
