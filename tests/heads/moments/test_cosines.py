"""Cosines of rows: what all rows of a bank share does not decide where an example is shown again."""

import numpy as np
import pytest

from framebank.heads.moments.cosines import SHARE, apart, cosines_of
from framebank.store.vectors import unit

RNG = np.random.default_rng(0)
SHARED = unit(RNG.normal(size=16))
ROWS = unit(2.0 * SHARED + 0.5 * unit(RNG.normal(size=(40, 16)))).astype(np.float32)  # cosines of 0.88 and more


def test_they_are_those_of_rows_and_query_less_the_mean_row() -> None:
    away = SHARE * ROWS.mean(axis=0)
    assert cosines_of(ROWS, ROWS[3]) == pytest.approx(ROWS @ ROWS[3])
    without = unit(ROWS - away) @ unit(ROWS[3] - away)
    assert cosines_of(ROWS, ROWS[3], ROWS.mean(axis=0)) == pytest.approx(without, abs=1e-5)


def test_the_products_of_rows_apart_are_those_cosines() -> None:
    mean_row = ROWS.mean(axis=0)
    rows = apart(ROWS, mean_row)
    assert cosines_of(ROWS, ROWS[3], mean_row) == pytest.approx(rows @ rows[3], abs=1e-5)
    assert apart(ROWS, None) is ROWS


def test_a_row_that_equals_the_query_is_the_nearest_also_where_the_query_is_the_mean_row() -> None:
    mean_row = ROWS.mean(axis=0)
    for number in range(len(ROWS)):
        found = cosines_of(ROWS, ROWS[number], mean_row)
        assert found.argmax() == number and found[number] == pytest.approx(1.0, abs=1e-4)
    alike = np.repeat(ROWS[:1], 5, axis=0)
    assert cosines_of(alike, alike[0], alike[0]) == pytest.approx(np.ones(5), abs=1e-3)
