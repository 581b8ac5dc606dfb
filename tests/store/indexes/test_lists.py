"""Lists: the nearest centres, by codes and by products."""

import numpy as np
import pytest

from framebank.store.indexes.lists import AT_ONCE, CODED_FROM, LEAST_PARTS, Lists
from framebank.store.vectors import unit

SIZES = [(90, 48), (CODED_FROM, 48), (1500, 33), (1500, 4 * LEAST_PARTS), (1500, 512)]


def centres_of(count: int, width: int) -> np.ndarray:
    """Return unit centres (L, D) with one column far above the others, as those of CLIP have."""
    return unit(np.random.default_rng(2).normal(size=(count, width)) + 8 * (np.arange(width) == 5))


def between(centres: np.ndarray, count: int) -> np.ndarray:
    """Return queries (Q, D), each between two of the centres, nearer to one of them."""
    first, second = np.random.default_rng(3).integers(0, len(centres), size=(2, count))
    return np.ascontiguousarray(unit(2 * centres[first] + centres[second]), dtype=np.float32)


@pytest.mark.parametrize("queries", [1, 3, AT_ONCE + 5])
@pytest.mark.parametrize("nearest", [4, 7, 90])
@pytest.mark.parametrize(("lists", "width"), SIZES)
def test_the_nearest_lists_are_found_with_their_products(queries: int, nearest: int, lists: int, width: int) -> None:
    centres = centres_of(lists, width)
    asked = between(centres, queries)
    products, found = Lists(centres).nearest(asked, nearest)
    right = asked @ centres.T
    assert products.shape == found.shape == (queries, nearest) and found.dtype == np.int64
    np.testing.assert_allclose(products, np.take_along_axis(right, found, axis=1), atol=1e-5)
    assert all(len(set(own)) == nearest for own in found.tolist())
    least = np.sort(right, axis=1)[:, -nearest, None]
    np.testing.assert_allclose(products.max(axis=1), right.max(axis=1), atol=1e-5)  # the nearest one is never missed
    assert (products >= least - 1e-5).mean() > 0.7 and (least - products).max() < 0.05  # others seldom, by little


@pytest.mark.parametrize("share", [-1.0, 0.0])
def test_centres_that_are_all_as_far_are_found(share: float) -> None:
    centres = np.repeat(centres_of(1, 48), CODED_FROM, axis=0)
    centres[7] *= -1
    products, lists = Lists(centres).nearest((share * centres[:1]).astype(np.float32), 4)
    assert lists.min() >= 0 and len(set(lists[0].tolist())) == 4
    np.testing.assert_allclose(np.sort(products[0]), [share, share, share, -share], atol=1e-5)


def test_centres_that_are_not_finite_are_multiplied() -> None:
    broken = centres_of(2 * CODED_FROM, 48)
    broken[3] = np.inf  # codes of it cannot be made
    _, lists = Lists(broken).nearest(np.full((2, 48), -0.1, dtype=np.float32), 4)
    assert lists.shape == (2, 4) and 3 not in lists
