"""Cosines of rows with a query, plain or without what all rows of the bank share."""

import numpy as np

from framebank.store.vectors import unit

SHARE = 0.95  # of the mean row that is taken away; less than 1, so that a row that equals it keeps its direction


def cosines_of(rows: np.ndarray, query: np.ndarray, mean_row: np.ndarray | None = None) -> np.ndarray:
    """Return the cosines (R,) of unit rows (R, D) with a unit query (D,).

    `mean_row` (D,), the mean of the rows of a bank, is for a query that is itself made of rows: SHARE of it is taken
    from the rows and from the query first. Rows of one bank look alike, so plain cosines are all high; what sets a row
    apart from the others decides then (Mu and Viswanath, "All-but-the-Top", 2018). A row that equals the query still
    has a cosine of 1, and no row has more.

        >>> rows = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> cosines_of(rows, rows[0]).tolist()
        [1.0, 0.0]
        >>> cosines_of(rows, rows[0], mean_row=rows.mean(axis=0)).round(2).tolist()
        [1.0, -1.0]
    """
    if mean_row is None:
        plain: np.ndarray = rows @ query
        return plain
    away = SHARE * mean_row
    aim = unit(query - away)
    found = rows @ np.stack([aim, away], axis=1)  # (R, 2)
    lengths = np.sqrt(np.maximum(1.0 - 2.0 * found[:, 1] + away @ away, 1e-12))
    cosines: np.ndarray = (found[:, 0] - away @ aim) / lengths
    return cosines


def apart(rows: np.ndarray, mean_row: np.ndarray | None) -> np.ndarray:
    """Return the unit rows (R, D) whose products are what `cosines_of` gives: without SHARE of `mean_row`, if given."""
    return rows if mean_row is None else unit(rows - SHARE * mean_row)
