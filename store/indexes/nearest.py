"""Nearest: exact search by inner product in a matrix of vectors, on a CPU or a GPU."""

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import faiss as faiss_module
import numpy as np

faiss: Any = faiss_module  # its types lack some of its names
DIVIDED_FROM = 100_000  # vectors
MOST_ON_GPU = 2048  # neighbours; faiss's kernels find no more


class NearestVectors:
    """Vectors (V, D) float32 to search in, on the GPU that `device` names ("cuda", "cuda:1") if faiss can use it.

    faiss can use it if it was built for GPUs and the GPU runs a search. Otherwise the CPU searches. A GPU holds a copy
    of the vectors; a CPU needs none.
    """

    def __init__(self, vectors: np.ndarray, *, device: str = "cpu") -> None:
        self.vectors = vectors
        self.device = device

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k highest inner products of each query (Q, D) and their rows, both (Q, k), highest first."""
        if k <= MOST_ON_GPU and self.on_gpu is not None:
            scores, rows = self.on_gpu.search(queries, k)
        elif len(self.vectors) >= DIVIDED_FROM and len(queries) < (threads := faiss.omp_get_max_threads()):
            scores, rows = self._divided(queries, k, threads)
        else:
            scores, rows = faiss.knn(queries, self.vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
        return scores, rows

    def _divided(self, queries: np.ndarray, k: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the same, each part of the vectors searched by a thread; faiss gives a thread to each query only."""
        cuts = [len(self.vectors) * part // parts for part in range(parts + 1)]

        def search(first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
            vectors = self.vectors[first:last]
            scores, rows = faiss.knn(queries, vectors, min(k, len(vectors)), metric=faiss.METRIC_INNER_PRODUCT)
            return scores, rows + first

        with ThreadPoolExecutor(parts) as pool:
            found = list(pool.map(search, cuts[:-1], cuts[1:]))
        scores, rows = (np.concatenate(each, axis=1) for each in zip(*found, strict=True))
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)

    def search_among(self, queries: np.ndarray, k: int, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same among some rows, (N,) for all queries or (Q, N) for each; no other row is read.

        A row of -1 ends the rows of its query. Where fewer than k are left, the rest of the answer is row -1.
        """
        each = among.shape[1] if among.ndim == 2 else 0
        chosen = np.ascontiguousarray(among, dtype=np.int64)
        scores = np.empty((len(queries), k), dtype=np.float32)
        rows = np.empty((len(queries), k), dtype=np.int64)
        faiss.knn_inner_products_by_idx(
            faiss.swig_ptr(queries),
            faiss.swig_ptr(self.vectors),
            faiss.swig_ptr(chosen),
            self.vectors.shape[1],
            len(queries),
            len(self.vectors),
            among.shape[-1],
            k,
            faiss.swig_ptr(scores),
            faiss.swig_ptr(rows),
            each,
        )
        return scores, rows

    @cached_property
    def on_gpu(self) -> Any:
        """The index of these vectors on the GPU; None if the CPU searches."""
        kind, _, number = self.device.partition(":")
        num_gpus = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0
        place = int(number) if number.isdecimal() else 0
        if kind != "cuda" or place >= num_gpus or not len(self.vectors):
            return None
        try:
            own = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), place, faiss.IndexFlatIP(self.vectors.shape[1]))
            own.add(self.vectors)
            own.search(self.vectors[:1], 1)  # faiss may see a GPU without kernels for it, or without enough memory
        except (RuntimeError, AttributeError, AssertionError):
            return None
        return own
