"""Lists: the nearest centres of few queries and of many."""

import numpy as np
import pytest

from framebank.store.indexes.lists import AT_ONCE, TOGETHER, Lists
from framebank.store.vectors import unit

RNG = np.random.default_rng(2)
CENTRES = unit(RNG.normal(size=(90, 48)) + 8 * (np.arange(48) == 5))  # one column is far above the others, as of CLIP


@pytest.mark.parametrize("count", [1, 3, TOGETHER - 1, TOGETHER, AT_ONCE + 5])
@pytest.mark.parametrize("nearest", [1, 7, 90])
def test_the_nearest_lists_are_found_with_their_products(count: int, nearest: int) -> None:
    queries = unit(RNG.normal(size=(count, 48)))
    products, lists = Lists(CENTRES).nearest(queries, nearest)
    right = queries @ CENTRES.T
    assert products.shape == lists.shape == (count, nearest) and lists.dtype == np.int64
    np.testing.assert_allclose(products, np.take_along_axis(right, lists, axis=1), atol=0.01)
    missed = np.sort(right, axis=1)[:, -nearest] - np.take_along_axis(right, lists, axis=1).min(axis=1)
    assert missed.max() < 0.01  # none is taken for one that is clearly nearer
    assert all(len(set(own)) == nearest for own in lists.tolist())


def test_centres_without_codes_are_multiplied() -> None:
    broken = CENTRES.copy()
    broken[3] = np.inf  # codes of it cannot be made
    _, lists = Lists(broken).nearest(-np.abs(unit(RNG.normal(size=(2, 48)))), 4)
    assert lists.shape == (2, 4) and 3 not in lists
