import numpy as np

from framebank.store.vectors import unit


def test_unit_by_hand():
    made = unit(np.array([[[3.0, 4.0]], [[0.0, 0.0]]]))  # (2, 1, D)
    np.testing.assert_allclose(made, [[[0.6, 0.8]], [[0, 0]]], atol=1e-7)
    assert made.dtype == np.float32


def test_unit_of_half_precision_does_not_overflow():
    large = np.full((1, 8), 60000, dtype=np.float16)
    np.testing.assert_allclose(unit(large), 8**-0.5, atol=1e-6)
