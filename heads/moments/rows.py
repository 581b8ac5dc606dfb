"""Rows: one unit vector of a video for each moment, in the order of time, from what a store has of it."""

import numpy as np

from framebank.store.shard import Embeddings
from framebank.store.vectors import has_direction, unit


def rows_in_time(embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows (T, D) float32 of length 1 at ascending times (T,), seconds; none where none can be compared.

    Of several rows at one time, as views and overlapping clips have, it is their mean. Rows that are all zeros or hold
    what is not a number are left out.
    """
    good = has_direction(embeddings.data) & np.isfinite(embeddings.timestamps)
    times, places = np.unique(embeddings.timestamps[good], return_inverse=True)
    rows = unit(embeddings.data[good])
    if len(times) == len(rows):
        return rows[np.argsort(places)], times
    sums = np.zeros((len(times), rows.shape[1]), dtype=np.float32)
    np.add.at(sums, places, rows)
    return unit(sums), times
