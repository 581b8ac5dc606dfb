"""Rows: the rows of a video in order of time, as unit vectors, one for each moment."""

import numpy as np

from framebank.store.shard import Embeddings
from framebank.store.vectors import has_direction, unit


def rows_in_time(embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    """Return unit rows (T, D) float32 at ascending times (T,), in seconds; empty if no row can be compared.

    Several rows at one time, as in views and overlapping clips, become their mean. Rows that are all zeros or hold a
    value that is not a number are left out.
    """
    good = has_direction(embeddings.data) & np.isfinite(embeddings.timestamps)
    times, places = np.unique(embeddings.timestamps[good], return_inverse=True)
    rows = unit(embeddings.data[good])
    if len(times) == len(rows):
        return rows[np.argsort(places)], times
    sums = np.zeros((len(times), rows.shape[1]), dtype=np.float32)
    np.add.at(sums, places, rows)
    return unit(sums), times
