"""Viewing: an index of faiss over vectors, or over codes of 8 bits, where they lie, and a search by several threads."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faiss as faiss_module
import numpy as np

faiss: Any = faiss_module  # its types lack some of its names
LEAST_A_SHARE = 25_000  # vectors; to start a thread takes longer than to search fewer
KINDS = {
    np.dtype(np.float16): faiss.ScalarQuantizer.QT_fp16,
    np.dtype(np.uint8): faiss.ScalarQuantizer.QT_8bit_direct_signed,
}


def viewing(vectors: np.ndarray) -> Any:
    """Return a flat index of faiss over contiguous vectors (V, D) where they lie; keep them as long as it.

    They are float32, float16, or uint8, which stand for whole numbers from -128 on. ValueError if they do not lie
    side by side.
    """
    if not vectors.flags.c_contiguous:
        raise ValueError("these vectors do not lie side by side")
    width, kind = vectors.shape[1], KINDS.get(vectors.dtype)
    if kind is None:
        made = faiss.IndexFlatIP(width)
    else:
        made = faiss.IndexScalarQuantizer(width, kind, faiss.METRIC_INNER_PRODUCT)
    place, codes = faiss.swig_ptr(vectors.reshape(-1).view(np.uint8)), made.codes
    codes.is_owned = False
    codes.view_data = codes.c_ptr = place
    codes.view_size = codes.c_size = vectors.nbytes
    made.ntotal = len(vectors)
    return made


def shares(vectors: np.ndarray) -> list[np.ndarray]:
    """Return the shares (V/T, D) of vectors for each of the T threads of faiss, fewer if the vectors are few."""
    count = len(vectors)
    threads = max(1, min(faiss.omp_get_max_threads(), count // LEAST_A_SHARE))
    return [vectors[count * share // threads : count * (share + 1) // threads] for share in range(threads)]


def search_shares(views: Sequence[Any], queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k highest scores of each query (Q, D) and their rows, both (Q, k) or fewer, highest first.

    A thread searches each share; faiss itself gives a thread to each query only, and others that wait for it spin.
    """
    if len(views) == 1:
        scores, rows = views[0].search(queries, min(k, views[0].ntotal))
        return scores, rows
    alone = faiss.omp_set_num_threads  # it holds for the thread that calls it
    with ThreadPoolExecutor(len(views), initializer=alone, initargs=(1,)) as pool:
        found = list(pool.map(lambda view: view.search(queries, min(k, view.ntotal)), views))
    firsts = np.cumsum([0, *(view.ntotal for view in views)])
    return best_of([(scores, rows + first) for (scores, rows), first in zip(found, firsts, strict=False)], k)


def best_of(parts: Sequence[tuple[np.ndarray, np.ndarray]], k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k best of what was found in several parts, scores and rows, each (Q, k)."""
    scores, rows = (np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)
