"""Nearest: exact search by inner product in a matrix of vectors, on a CPU or a GPU."""

import threading
from functools import cached_property
from typing import Any

import faiss as faiss_module
import numpy as np

from framebank.store.indexes.rounded import RoundedVectors
from framebank.store.indexes.scan import FEW, scan
from framebank.store.indexes.viewing import best_of, search_shares, shares, viewing

faiss: Any = faiss_module  # its types lack some of its names
SHARED_FROM = 50_000  # float32 vectors that faiss reads faster than a product does, for few queries
DIVIDED_FROM = 100_000  # float16 vectors that threads share, where there are fewer queries than threads
MOST_SCANNED = 256  # queries whose products with float32 vectors are computed at once; faiss is as fast from there on
SCANNED_FROM = 48  # queries from which float16 vectors are copied as float32 for that
MOST_ON_GPU = 2048  # neighbours; faiss's kernels find no more
GATHERED = 1024  # rows that are compared one by one; those of float16 are copied side by side first
SCANNED = 1 / 8  # of the float16 vectors; from this share on, all are passed by, and none is copied
AT_ONCE = 65_536  # float16 vectors that are copied as float32 at a time
ROUNDED_FROM = 200_000  # vectors from which a search by codes of 8 bits pays
ROUNDED_BYTES = 2 << 30  # of codes, at most: they lie in memory
ROUNDED_AFTER = 16  # searches of few queries; rounding the vectors takes about as long
CANDIDATES, MOST_CANDIDATES = 1024, 4096  # of codes that are compared exactly


class NearestVectors:
    """Vectors (V, D) to search in, on the GPU that `device` names ("cuda", "cuda:1") if faiss can use it.

    They are float32, or float16: then the cosines are those of the rounded vectors, which differ by less than 0.0005.
    faiss can use the GPU if it was built for GPUs and the GPU runs a search. Otherwise the CPU searches. A GPU
    holds a copy of the vectors as float32; a CPU needs none. After some searches of few queries in many vectors, a
    CPU has codes of 8 bits in memory, which tell the candidates. What is not found surely is searched in all vectors.
    """

    def __init__(self, vectors: np.ndarray, *, device: str = "cpu") -> None:
        self.vectors = vectors
        self.device = device
        self.is_half = vectors.dtype == np.float16
        self._rounded: RoundedVectors | None = None
        self._searches = 0
        self._candidates = CANDIDATES

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k highest inner products of each query (Q, D) and their rows, both (Q, k), highest first."""
        if k <= MOST_ON_GPU and self.on_gpu is not None:
            scores, rows = self.on_gpu.search(queries, k)
            return scores, rows
        if len(queries) < (SCANNED_FROM if self.is_half else FEW) and 4 * k <= self._candidates:
            return self._by_codes(queries, k)
        return self.search_all(queries, k)

    def search_all(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the same on the CPU; every vector is read."""
        if self.is_half:
            return self._half(queries, k)
        if 0 < len(queries) < FEW and len(self.vectors) >= SHARED_FROM:
            return self._shared(queries, k)
        if len(queries) <= MOST_SCANNED:
            return scan(queries, self.vectors, k)
        scores, rows = faiss.knn(queries, self.vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
        return scores, rows

    def _shared(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the same; each thread searches a share of the vectors. Of equal scores, the lower row comes first."""
        scores, rows = search_shares([viewing(share) for share in shares(self.vectors)], queries, k)
        order = np.lexsort((rows, -scores))
        return _padded(np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1), k)

    def _by_codes(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the same; codes tell which vectors are compared, once there are any."""
        codes = self._codes()
        if codes is None:
            return self.search_all(queries, k)
        told, candidates = codes.search(queries, self._candidates)
        scores, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        for place, query in enumerate(queries):
            among = np.sort(candidates[place])
            near = self.vectors[among].astype(np.float32, copy=False)
            cosines = np.einsum("vd,d->v", near, query)  # the threads of a product spin on, and slow the next search
            best = np.argsort(-cosines, kind="stable")[:k]
            scores[place], rows[place] = cosines[best], among[best]
        unsure = told[:, -1] + codes.wrong(queries) >= scores[:, -1]
        if unsure.any():
            self._candidates = min(4 * self._candidates, MOST_CANDIDATES)
            scores[unsure], rows[unsure] = self.search_all(queries[unsure], k)
        return scores, rows

    def _codes(self) -> RoundedVectors | None:
        """Return the codes, made once there were enough searches; None before that, and while they are made."""
        if self._rounded is None and len(self.vectors) >= ROUNDED_FROM and self.vectors.size <= ROUNDED_BYTES:
            number = self._searches = self._searches + 1
            if number == ROUNDED_AFTER + 1:  # other threads search on meanwhile
                self._rounded = RoundedVectors.of(self.vectors)
        return self._rounded

    def _half(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the same for float16 vectors."""
        if len(queries) >= SCANNED_FROM:
            parts = [queries[first : first + MOST_SCANNED] for first in range(0, len(queries), MOST_SCANNED)]
            return _together([scan(part, self.vectors, k) for part in parts])
        if len(self.vectors) >= DIVIDED_FROM and len(queries) < faiss.omp_get_max_threads():
            return self._shared(queries, k)
        scores, rows = viewing(self.vectors).search(queries, k)
        return scores, rows

    def search_among(self, queries: np.ndarray, k: int, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same among some rows, (N,) for all queries or (Q, N) for each; no other row is read.

        A row of -1 ends the rows of its query. Where fewer than k are left, the rest of the answer is row -1.
        """
        each = among.shape[1] if among.ndim == 2 else 0
        if self.is_half and 0 < each <= GATHERED:
            return _together([self._compared(query[None], k, own) for query, own in zip(queries, among, strict=True)])
        if self.is_half:
            return self._half_among(queries, k, among)
        chosen = np.ascontiguousarray(among, dtype=np.int64)
        if 0 < each <= GATHERED:
            return self._few_among(queries, k, chosen)
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

    def _few_among(self, queries: np.ndarray, k: int, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same for float32 vectors and few rows (Q, N) of each query."""
        count, each = among.shape
        pointer, scores = faiss.swig_ptr, np.empty((count, each), dtype=np.float32)
        self.index.compute_distance_subset(count, pointer(queries), each, pointer(scores), pointer(among))
        if count == 1:
            best = (-scores[0]).argsort()[:k]
            scores, rows = scores[:, best], among[:, best]
        else:
            best, place = (-scores).argsort(axis=1)[:, :k], np.arange(count)[:, None]
            scores, rows = scores[place, best], among[place, best]
        return (scores, rows) if each >= k else _padded(scores, rows, k)

    def _compared(self, queries: np.ndarray, k: int, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same for at most GATHERED rows (N,) of float16 vectors, which are copied side by side first.

        A copy reads rows that lie far apart in less time than a sum does.
        """
        if len(among) and among[-1] < 0:
            among = among[among >= 0]
        if not len(among):
            return _padded(np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64), k)
        room = _room_of(self.vectors.shape[1])
        held = room.rows[: len(among)]
        self.vectors.take(among, axis=0, out=held, mode="clip")
        scores, places = room.search(queries, min(k, len(among)), len(among))
        rows = among[places]
        return (scores, rows) if len(among) >= k else _padded(scores, rows, k)

    def _half_among(self, queries: np.ndarray, k: int, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same for many rows of float16 vectors, (N,), or (Q, N) for each query."""
        if among.ndim == 2:
            found = [self._half_among(query[None], k, own[own >= 0]) for query, own in zip(queries, among, strict=True)]
            return _together(found)
        if len(among) > SCANNED * len(self.vectors):
            mask = np.zeros(len(self.vectors), dtype=bool)
            mask[among] = True
            selector = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
            asked = faiss.SearchParameters(sel=selector)
            scores, rows = viewing(self.vectors).search(queries, k, params=asked)
            return scores, rows
        parts = [among[first : first + GATHERED] for first in range(0, max(1, len(among)), GATHERED)]
        return best_of([self._compared(queries, k, own) for own in parts], k)

    @cached_property
    def index(self) -> Any:
        """The index of faiss that compares with these vectors where they lie, on the CPU."""
        return viewing(self.vectors)

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
            for first in range(0, len(self.vectors), AT_ONCE):
                own.add(np.ascontiguousarray(self.vectors[first : first + AT_ONCE], dtype=np.float32))
            one = np.asarray(self.vectors[:1], dtype=np.float32)
            own.search(one, 1)  # faiss may see a GPU without kernels for it, or without enough memory
        except (RuntimeError, AttributeError, AssertionError):
            return None
        return own


class _Room:
    """Room of one thread for GATHERED rows (N, D) of float16, and the index that searches them."""

    def __init__(self, width: int) -> None:
        self.rows = np.empty((GATHERED, width), dtype=np.float16)
        self.index = viewing(self.rows)

    def search(self, queries: np.ndarray, k: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores and places (Q, k) of the nearest of the first `count` rows."""
        self.index.ntotal = count
        scores = np.empty((len(queries), k), dtype=np.float32)
        places = np.empty((len(queries), k), dtype=np.int64)
        pointer = faiss.swig_ptr
        self.index.search_c(len(queries), pointer(queries), k, pointer(scores), pointer(places), None)
        return scores, places


_rooms = threading.local()


def _room_of(width: int) -> _Room:
    """Return the room that this thread has for rows of a width."""
    room: _Room | None = getattr(_rooms, "room", None)
    if room is None or room.rows.shape[1] != width:
        room = _rooms.room = _Room(width)
    return room


def _together(found: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return what each query found (1, k), one below the other."""
    if len(found) == 1:
        return found[0]
    scores, rows = (np.concatenate(each) for each in zip(*found, strict=True))
    return scores, rows


def _padded(scores: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and rows (Q, N) with rows of -1 up to k."""
    missing = ((0, 0), (0, k - scores.shape[1]))
    return np.pad(scores, missing, constant_values=-np.inf), np.pad(rows, missing, constant_values=-1)
