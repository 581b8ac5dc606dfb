"""Are scores by codes as near to the true ones as they say?"""

import numpy as np
import pytest

from framebank.store.indexes.rounded import RoundedVectors
from framebank.store.vectors import unit


@pytest.mark.parametrize("width", [1, 13, 64, 512])
@pytest.mark.parametrize("far", [0.0, 20.0])
def test_no_score_is_more_wrong_than_it_says(width, far):
    rng = np.random.default_rng(width)
    vectors = rng.normal(size=(700, width)).astype(np.float32)
    vectors[:, 0] += far
    vectors = unit(vectors)
    queries = 3 * unit(np.concatenate([vectors[:20] + 0.1, rng.normal(size=(20, width)).astype(np.float32)]))
    rounded = RoundedVectors.of(vectors)
    (scores, rows), wrong = rounded.search(queries, 700), rounded.wrong(queries)
    assert (np.sort(rows) == np.arange(700)).all()
    true = np.take_along_axis(queries @ vectors.T, rows, axis=1)
    assert (np.abs(scores - true) <= wrong[:, None]).all()
    assert (np.diff(scores) <= 0).all()
    if width == 512:
        assert wrong.max() < 3 * 0.05  # of queries three units long: near enough to tell neighbours from others


def test_a_column_of_one_value_and_a_query_of_zeros_are_nothing_special():
    vectors = np.ones((50, 6), dtype=np.float32)
    rounded, queries = RoundedVectors.of(vectors), np.array([[0] * 6, [1] * 6], dtype=np.float32)
    np.testing.assert_allclose(rounded.search(queries, 5)[0], [[0] * 5, [6] * 5], atol=1e-3)
    assert rounded.wrong(queries)[0] == 0


def test_values_that_are_not_finite_have_no_codes():
    vectors = np.ones((50, 6), dtype=np.float32)
    vectors[7, 2] = np.inf
    assert RoundedVectors.of(vectors) is None
