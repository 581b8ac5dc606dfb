"""Lists: which lists of vectors a query looks through, found in less time than faiss takes."""

import numpy as np

from framebank.store.indexes.rounded import RoundedVectors

TOGETHER = 24  # queries from which one product of matrices is faster
AT_ONCE = 256  # queries of one product


class Lists:
    """The centres (L, D) of lists. Finding the nearest ones takes most of the time of a search in a few lists.

    Few queries read the centres as codes of 8 bits; many multiply them as matrices. By codes, a list may be taken for
    another that is as near within the error of a code.
    """

    def __init__(self, centres: np.ndarray) -> None:
        self._centres = centres
        self._rounded = RoundedVectors.of(centres)

    def nearest(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the inner products of each query (Q, D) with its `count` nearest centres, and their lists.

        Both are (Q, count), in any order.
        """
        if self._rounded is not None and len(queries) < TOGETHER:
            return self._rounded.search(queries, count)
        parts = [self._multiplied(queries[first : first + AT_ONCE], count) for first in range(0, len(queries), AT_ONCE)]
        products, lists = (np.concatenate(each) for each in zip(*parts, strict=True))
        return products, lists

    def _multiplied(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        products = queries @ self._centres.T
        lists = np.argpartition(-products, count - 1, axis=1)[:, :count]
        return np.take_along_axis(products, lists, axis=1), lists
