"""Distances of tuples by sums over their frames, against the tensors that they do without."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from framebank.heads.matchers.tuples import FrameProducts, incidence, tuple_places

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
PAIRS, VIDEOS, QUERIES = 3, 2, 3


def test_places_of_pairs():
    assert tuple_places(3, 2, device=CPU).tolist() == [[0, 4], [0, 5], [1, 5]]
    rows = incidence(tuple_places(3, 2, device=CPU), 6, dtype=torch.float32)
    assert rows.tolist() == [[1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 1]]


def drawn(size, *, frames=4, asked=5):
    """Random products, of videos of 4 frames and queries of 5; a video has one real tuple."""
    torch.manual_seed(0)
    theirs, mine = tuple_places(frames, size, device=CPU), tuple_places(asked, size, device=CPU)
    columns, tuples = VIDEOS * size * frames, VIDEOS * len(theirs)
    real = torch.ones(PAIRS, tuples, dtype=torch.bool)
    real[1, 1 : len(theirs)] = False
    values = torch.randn(PAIRS, columns, 6, dtype=torch.float64)
    products = FrameProducts(
        asking=torch.randn(PAIRS, columns, QUERIES, size * asked, dtype=torch.float64, requires_grad=True),
        even=torch.randn(PAIRS, columns, dtype=torch.float64, requires_grad=True),
        narrow=torch.rand(PAIRS, QUERIES, len(mine), dtype=torch.float64).requires_grad_(),
        scale=torch.rand(PAIRS, tuples, dtype=torch.float64).requires_grad_(),
        real=real,
        likeness=torch.randn(PAIRS, columns, QUERIES, size * asked, dtype=torch.float64, requires_grad=True),
        gram=(values @ values.transpose(1, 2)).requires_grad_(),
    )
    return products, mine, theirs


def plain(products, mine, theirs):
    """The same by the logit of each two tuples."""
    columns, tuples = products.asking.shape[1] // VIDEOS, len(theirs)
    sums = torch.block_diag(*[incidence(theirs, columns, dtype=torch.float64)] * VIDEOS)
    own = incidence(mine, products.asking.shape[3], dtype=torch.float64)
    asking = torch.einsum("bcqg,mg->bcqm", products.asking, own) * products.narrow[:, None]
    logits = torch.einsum("lc,bcqm->blqm", sums, asking + products.even[..., None, None])
    logits = logits * products.scale[..., None, None]
    shares = logits.masked_fill(~products.real[..., None, None], -math.inf).softmax(1)
    share = torch.einsum("lc,blqm->bcqm", sums, shares)
    assert sums.shape == (VIDEOS * tuples, VIDEOS * columns)
    likeness = torch.einsum("bcqg,mg->bcqm", products.likeness, own)
    return (torch.einsum("bcd,bdqm->bcqm", products.gram, share) * share).sum(1) - 2 * (likeness * share).sum(1)


@pytest.mark.parametrize(("size", "most"), list(itertools.product([1, 2, 3], [1 << 20, 10])))
def test_distances_and_their_gradients_against_the_logits_of_all_tuples(size, most, monkeypatch):
    monkeypatch.setattr("framebank.heads.matchers.tuples.MAX_CPU", most)
    products, mine, theirs = drawn(size)
    found = products.distances(mine=mine, theirs=theirs, videos=VIDEOS)
    expected = plain(products, mine, theirs)
    torch.testing.assert_close(found, expected)
    weight = torch.randn_like(expected)
    learned = [part for part in (getattr(products, name) for name in vars(products)) if part.requires_grad]
    mine_grad = torch.autograd.grad((found * weight).sum(), learned)
    theirs_grad = list(torch.autograd.grad((expected * weight).sum(), learned))
    theirs_grad[-1] = (theirs_grad[-1] + theirs_grad[-1].transpose(1, 2)) / 2  # a gram is symmetric
    torch.testing.assert_close(list(mine_grad), theirs_grad)


@pytest.mark.parametrize("times", [1, 1000])
def test_large_logits_in_single_precision(times):
    products, mine, theirs = drawn(3)
    exact = replace(products, scale=(times * products.scale).detach().requires_grad_())
    single = replace(exact, **{name: _single(part) for name, part in vars(exact).items()})
    found, expected = (one.distances(mine=mine, theirs=theirs, videos=VIDEOS) for one in (single, exact))
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-3)
    grads = [torch.autograd.grad(made.sum(), one.likeness)[0] for made, one in ((found, single), (expected, exact))]
    torch.testing.assert_close(grads[0].double(), grads[1], rtol=1e-4, atol=1e-3)


def _single(part):
    return part if part.dtype == torch.bool else part.detach().float().requires_grad_()


def test_a_video_that_is_not_real_has_no_say():
    products, mine, theirs = drawn(2)
    real = products.real.clone()
    real[:, : len(theirs)] = False
    found = replace(products, real=real).distances(mine=mine, theirs=theirs, videos=VIDEOS)
    half = products.asking.shape[1] // VIDEOS
    second = FrameProducts(
        products.asking[:, half:],
        products.even[:, half:],
        products.narrow,
        products.scale[:, len(theirs) :],
        products.real[:, len(theirs) :],
        products.likeness[:, half:],
        products.gram[:, half:, half:],
    )
    torch.testing.assert_close(found, second.distances(mine=mine, theirs=theirs, videos=1))
