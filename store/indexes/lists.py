"""Lists: which lists of vectors a query looks through, found in less time than faiss takes."""

from functools import cached_property
from typing import Any

import faiss as faiss_module
import numpy as np

faiss: Any = faiss_module  # its types lack some of its names
CODED_FROM = 256  # lists; the products with fewer take no longer than a search by codes
LEAST_PARTS = 64  # codes of a centre, each of four values or of fewer; of a narrow centre, each of one
CANDIDATES = 16  # times as many lists are compared exactly as are wanted
TRAINING, ROUNDS = 16, 4  # centres for each of the 16 values of a code, and rounds of k-means, that make the codes
AT_ONCE = 256  # queries of one product


class Lists:
    """The centres (L, D) of lists. Finding the nearest ones takes much of the time of a search in a few lists.

    faiss reads codes of the centres first, 4 bits for up to four values, and then compares the likeliest centres
    exactly. So a list can be missed for one that is nearly as near; the products are exact. Few lists, or a large
    share of them, are found by the products with all centres.
    """

    def __init__(self, centres: np.ndarray) -> None:
        self._centres = np.ascontiguousarray(centres, dtype=np.float32)
        self._parameters = faiss.IndexRefineSearchParameters(k_factor=CANDIDATES)

    def nearest(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the inner products of each query (Q, D) with its `count` nearest centres, and their lists.

        Both are (Q, count), in any order. Queries are contiguous float32.
        """
        if self.reads_codes(count):
            products = np.empty((len(queries), count), np.float32)
            lists = np.empty((len(queries), count), np.int64)
            pointer = faiss.swig_ptr
            found = (pointer(products), pointer(lists))
            self.coded.search_c(len(queries), pointer(queries), count, *found, self._parameters)
            if lists.min() >= 0:  # faiss finds no centre whose codes are the farthest that codes can be
                return products, lists
        shares = range(0, len(queries), AT_ONCE)
        parts = [self._multiplied(queries[first : first + AT_ONCE], count) for first in shares]
        products, lists = (np.concatenate(each) for each in zip(*parts, strict=True))
        return products, lists

    def reads_codes(self, count: int) -> bool:
        """Return whether the `count` nearest lists are found by codes."""
        return CANDIDATES * count <= len(self._centres) and self.coded is not None

    def _multiplied(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        products = queries @ self._centres.T
        lists = np.argpartition(-products, count - 1, axis=1)[:, :count]
        return np.take_along_axis(products, lists, axis=1), lists

    @cached_property
    def coded(self) -> Any:
        """The index of faiss that reads codes, then centres; None if there are few, or if a value is not finite."""
        count, width = self._centres.shape
        if count < CODED_FROM or not np.isfinite(self._centres).all():
            return None
        parts = next((width // each for each in (4, 2) if width % each == 0 and width // each >= LEAST_PARTS), width)
        codes = faiss.IndexPQFastScan(width, parts, 4, faiss.METRIC_INNER_PRODUCT)
        learning = codes.pq.cp
        learning.niter, learning.max_points_per_centroid, learning.min_points_per_centroid = ROUNDS, TRAINING, 1
        codes.train(self._centres)
        codes.add(self._centres)
        return faiss.IndexRefineFlat(codes, faiss.swig_ptr(self._centres))  # it keeps the codes
