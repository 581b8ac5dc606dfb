"""Refined: a search in lists and the exact comparison of what it finds, in one call of faiss."""

from typing import Any

import faiss as faiss_module
import numpy as np

from framebank.store.indexes.lists import CANDIDATES

faiss: Any = faiss_module  # its types lack some of its names


class Refined:
    """Searches in the lists of `base`, an index of faiss, whose rows lie in `vectors` (R, D) of float32, a flat index.

    `coded` finds the `nprobe` nearest lists (`Lists.coded`); `factor` times k candidates are compared exactly. Nothing
    is copied: it keeps the others as they are.
    """

    def __init__(self, base: Any, coded: Any, vectors: Any, *, nprobe: int, factor: int) -> None:
        self._kept = (base, coded, vectors)
        self._lists = _with_lists_of(base, coded)
        self._searched = faiss.IndexRefine(self._lists, vectors)
        exactly = faiss.IndexRefineSearchParameters(k_factor=CANDIDATES)
        probing = faiss.SearchParametersIVF(nprobe=nprobe, quantizer_params=exactly)
        self._parameters = faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=probing)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the scores and rows (Q, k) of the nearest candidates of contiguous float32 queries (Q, D).

        The best come first. None if a query finds fewer: codes miss a list that is as far as codes can tell.
        """
        pointer, count = faiss.swig_ptr, len(queries)
        scores, rows = np.empty((count, k), np.float32), np.empty((count, k), np.int64)
        self._searched.search_c(count, pointer(queries), k, pointer(scores), pointer(rows), self._parameters)
        short = rows.item(-1) < 0 if count == 1 else (rows[:, -1] < 0).any()  # for one query in a tenth of the time
        return None if short else (scores, rows)


def _with_lists_of(base: Any, coded: Any) -> Any:
    """Return an index that reads the lists of another where they lie, and finds the nearest ones by `coded`."""
    width, count, metric = base.d, base.nlist, base.metric_type
    if isinstance(base, faiss.IndexIVFPQ):
        made = faiss.IndexIVFPQ(coded, width, count, base.pq.M, base.pq.nbits, metric)
        made.pq = base.pq
    elif isinstance(base, faiss.IndexIVFScalarQuantizer):
        made = faiss.IndexIVFScalarQuantizer(coded, width, count, base.sq.qtype, metric)
        made.sq = base.sq
    else:
        made = faiss.IndexIVFFlat(coded, width, count, metric)
    made.by_residual, made.ntotal, made.is_trained = base.by_residual, base.ntotal, True
    made.replace_invlists(base.invlists, False)
    return made
