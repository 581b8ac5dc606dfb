"""Nearest: exact search by inner product in a matrix of vectors, on a CPU or a GPU. The only module with faiss."""

from functools import cached_property
from typing import Any

import faiss
import numpy as np

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
        else:
            scores, rows = faiss.knn(queries, self.vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
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
