import numpy as np
import pytest

from framebank.store import vectors as module
from framebank.store.vectors import near_pairs, unit, unit_if_directed


def test_unit_by_hand():
    made = unit(np.array([[[3.0, 4.0]], [[0.0, 0.0]]]))  # (2, 1, D)
    np.testing.assert_allclose(made, [[[0.6, 0.8]], [[0, 0]]], atol=1e-7)
    assert made.dtype == np.float32


def test_unit_of_half_precision_does_not_overflow():
    large = np.full((1, 8), 60000, dtype=np.float16)
    np.testing.assert_allclose(unit(large), 8**-0.5, atol=1e-6)


@pytest.mark.parametrize("count", [1, 3])
def test_queries_are_made_unit_or_refused_in_one_pass(count):
    vectors = np.random.default_rng(0).normal(size=(4, count)).T  # (count, 4), not contiguous
    for given in (vectors, 1e-6 * vectors, unit(vectors)):
        made = unit_if_directed(given)
        assert made.flags.c_contiguous and made.dtype == np.float32
        np.testing.assert_allclose(made, unit(vectors), atol=1e-6)
    for odd in (0, 1e-13, np.nan, np.inf, 1e30):
        vectors[-1] = odd
        assert unit_if_directed(vectors) is None


@pytest.mark.parametrize("block", [1, 2, 100])
def test_near_pairs_by_hand(block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    vectors = unit(np.array([[1, 0], [0, 1], [1, 0.01], [0, -1], [1, 0]]))
    found = near_pairs(vectors, at_least=0.999)
    assert [pair[:2] for pair in found] == [(0, 4), (0, 2), (2, 4)]
    np.testing.assert_allclose([pair[2] for pair in found], [1, 0.99995, 0.99995], atol=1e-6)
    assert near_pairs(vectors[:2], at_least=0.999) == []
