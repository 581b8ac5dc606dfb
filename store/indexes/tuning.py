"""Tuning: which structure an index gets, and how it is searched: the recall and the time decide."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.errors import DataError
from framebank.store.files.replacing import current
from framebank.store.formats.document import Fields, read_json
from framebank.store.indexes.nearest import NearestVectors
from framebank.store.indexes.structure import TYPES, Structure, build, least_vectors
from framebank.store.vectors import unit

NAME = "measured.json"
K = 10
BUDGET, RECALL = 0.050, 0.95  # seconds of a query, and the share of its neighbours
QUERIES, TIMED = 200, 40
MOST_FACTOR = 16  # times k candidates that are compared exactly, at most
EQUAL = 1e-6  # cosines that differ by less are equal: of rows that are the same, each is a true neighbour
ASKED = ("auto", "flat", *TYPES)
ROW_TYPES = ("auto", "float32", "float16")
HALF_FROM = 1_000_000  # rows of clips or frames that "auto" keeps as float16


@dataclass(frozen=True)
class Target:
    """The type that a user asked for, the seconds that a query may take, and the recall at 10 that it must reach.

    `rows` is what rows of clips and frames are kept as, one of ROW_TYPES.
    """

    type: str = "auto"
    budget: float = BUDGET
    recall: float = RECALL
    rows: str = "auto"

    def __post_init__(self) -> None:
        """Check each value; DataError."""
        if self.type not in ASKED:
            raise DataError(f"the type of an index is {self.type!r}; expected one of {', '.join(ASKED)}")
        if not 0 < self.recall <= 1:
            raise DataError(f"the recall is {self.recall:g}; expected a share above 0, and 1 at most")
        if not 0 < self.budget < 3600:
            raise DataError(f"the budget is {self.budget:g} s; expected a time above 0, such as 50ms")
        if self.rows not in ROW_TYPES:
            raise DataError(f"rows are to be kept as {self.rows!r}; expected one of {', '.join(ROW_TYPES)}")

    def row_type(self, num_rows: int) -> np.dtype:
        """Return what so many rows of clips or frames are kept as: float32, or float16 if asked for or if many."""
        half = self.rows == "float16" or (self.rows == "auto" and num_rows >= HALF_FROM)
        return np.dtype(np.float16 if half else np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return what spec.json has; `rows` if it is not "auto", which earlier versions did not know."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("rows", "auto")}


@dataclass(frozen=True)
class Measured:
    """What an index was measured to be: recall at 10 against exact search, 95 of 100 queries within `p95` seconds.

    `bytes` are those of what is searched: of the vectors, or of the structure. `exact_p95` is the time of exact search.
    """

    type: str
    rows: int
    recall: float
    p95: float
    exact_p95: float
    bytes: int
    queries: int

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return asdict(self)


def queries_of(vectors: np.ndarray, *, seed: int = 0, count: int = QUERIES) -> np.ndarray:
    """Return made-up queries (Q, D): a row moved a third of the way to another row, so that none of them is a row."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, len(vectors), size=(2, count))
    return unit(2 * vectors[first].astype(np.float32) + vectors[second])


def choose(vectors: np.ndarray, asked: Target) -> tuple[Structure | None, Measured]:
    """Return the structure for vectors (V, D), None for exact search, and what was measured.

    "auto" is exact search if it takes no longer than the budget. Otherwise it is the smallest structure that reaches
    the recall within the budget, or if none does, the fastest that reaches the recall. DataError if a type was asked
    for that needs more vectors.
    """
    trial = _Trial(vectors)
    if asked.type == "flat" or (asked.type == "auto" and trial.exact_p95 <= asked.budget):
        return None, trial.exact()
    if asked.type != "auto":
        if len(vectors) < least_vectors(asked.type):
            least = least_vectors(asked.type)
            raise DataError(f"the type {asked.type} needs {least} vectors; there are {len(vectors)}: use flat")
        return trial.tuned(build(vectors, asked.type), asked.recall)
    reaching = []
    centroids = None
    for kind in TYPES:
        if len(vectors) < least_vectors(kind):
            continue
        made = build(vectors, kind, centroids=centroids)
        centroids = made.centroids if centroids is None else centroids
        structure, measured = trial.tuned(made, asked.recall)
        if measured.recall >= asked.recall and measured.p95 <= asked.budget:
            return structure, measured
        if measured.recall >= asked.recall:
            reaching.append((structure, measured))
    if not reaching:
        return None, trial.exact()
    best: tuple[Structure | None, Measured] = min(reaching, key=lambda pair: pair[1].p95)
    return best if best[1].p95 < trial.exact_p95 else (None, trial.exact())


def tune(structure: Structure | None, vectors: np.ndarray, asked: Target) -> tuple[Structure | None, Measured]:
    """Return a structure of vectors (V, D), set to the least work that reaches the recall, and what was measured."""
    trial = _Trial(vectors)
    return (None, trial.exact()) if structure is None else trial.tuned(structure, asked.recall)


def retune(structure: Structure, vectors: np.ndarray, asked: Target) -> tuple[Structure | None, Measured]:
    """Return a structure whose vectors changed, set to reach the recall again; made again if it no longer can."""
    tuned, measured = _Trial(vectors).tuned(structure, asked.recall)
    return (tuned, measured) if measured.recall >= asked.recall else choose(vectors, asked)


class _Trial:
    """Queries of some vectors, with their true neighbours and the time of exact search."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors
        self.flat = NearestVectors(vectors)
        self.k = min(K, len(vectors))
        self.queries = queries_of(vectors)
        self.exact_p95 = p95_of(lambda query: self.flat.search_all(query, self.k), self.queries)

    @cached_property
    def truth(self) -> np.ndarray:
        """The cosines (Q, k) of the true neighbours of each query."""
        return self.flat.search_all(self.queries, self.k)[0]

    def exact(self) -> Measured:
        size = self.vectors.nbytes
        return Measured("flat", len(self.vectors), 1.0, self.exact_p95, self.exact_p95, size, TIMED)

    def tuned(self, structure: Structure, recall: float) -> tuple[Structure, Measured]:
        """Set a structure to the least work that reaches a recall, or if none does, to the best recall."""
        row_bytes = self.vectors.shape[1] * self.vectors.itemsize
        best, least, highest = structure, math.inf, (-1.0, structure)
        for value in structure.steps():
            lowest = structure.set_to(**{structure.knob: value}, factor=1)
            if lowest.bytes_read(self.k, row_bytes) >= least:
                break
            shares = self._shares(lowest, value)
            factor = 1 + int((shares >= recall).argmax() if shares[-1] >= recall else shares.argmax())
            made = lowest.set_to(**{structure.knob: value}, factor=factor)
            highest = max(highest, (float(shares[factor - 1]), made), key=lambda pair: pair[0])
            if shares[-1] >= recall and (work := made.bytes_read(self.k, row_bytes)) < least:
                best, least = made, work
        best = best if least < math.inf else highest[1]
        p95 = p95_of(lambda query: best.search(self.flat, query, self.k), self.queries)
        reached, size = self._recall(best), best.num_bytes
        return best, Measured(best.kind, len(self.vectors), reached, p95, self.exact_p95, size, len(self.queries))

    def _shares(self, structure: Structure, value: int) -> np.ndarray:
        """Return the recall for 1, 2, 3 ... times k candidates, (F,), all from one search.

        Candidates are compared exactly, so a true neighbour is found if it is one of them.
        """
        most = {"ivf": self.k, "hnsw": max(self.k, value)}.get(structure.kind, MOST_FACTOR * self.k)
        rows = structure.candidates(self.queries, min(most, MOST_FACTOR * self.k))
        right = cosines_at(self.vectors, self.queries, rows) >= self.truth[:, -1:] - EQUAL
        counts = np.minimum(np.cumsum(right, axis=1), self.k).sum(axis=0)
        last = np.minimum(np.arange(self.k, rows.shape[1] + self.k, self.k), rows.shape[1]) - 1
        shares: np.ndarray = counts[last] / max(self.truth.size, 1)
        return shares

    def _recall(self, structure: Structure) -> float:
        return recall_of(structure.search(self.flat, self.queries, self.k)[0], self.truth)


def cosines_at(vectors: np.ndarray, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the inner products of queries (Q, D) with their own rows (Q, N) of vectors; -inf for a row of -1."""
    pairs = zip(queries, rows, strict=True)
    found = np.stack([vectors[own].astype(np.float32, copy=False) @ query for query, own in pairs])
    return np.where(rows >= 0, found, -np.inf)


def recall_of(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of K neighbours that are found: `found` (Q, N) and `truth` (Q, K) are their cosines.

    What is as near as the last true neighbour is one: a film that shows a clip twice has rows that are the same.
    """
    reached = (found >= truth[:, -1:] - EQUAL).sum(axis=1)
    return float(np.minimum(reached, truth.shape[1]).sum() / max(truth.size, 1))


def p95_of(search: Callable[[np.ndarray], object], queries: Iterable[np.ndarray], *, most: int = TIMED) -> float:
    """Return the seconds within which 95 of 100 queries are answered, one at a time, after one that is not counted."""
    seconds = []
    for number, query in enumerate(queries):
        if number > most:
            break
        began = time.perf_counter()
        search(query[None])
        seconds.append(time.perf_counter() - began)
    return float(np.quantile(seconds[1:] or seconds, 0.95))


def read_measured(folder: Path) -> Measured | None:
    """Return the figures kept in an index's folder, or None if there are none. DataError if they cannot be read."""
    path = current(folder, NAME)
    if not path.exists():
        return None
    found = Fields.of(read_json(path), where=path)
    recall, p95, exact_p95 = (found.number(name) for name in ("recall", "p95", "exact_p95"))
    rows, size, queries = (found.whole(name) for name in ("rows", "bytes", "queries"))
    return Measured(found.text("type"), rows, recall, p95, exact_p95, size, queries)


def asked_in(found: Fields) -> Target:
    """Return what was asked for, as spec.json tells it. DataError if a value is wrong."""
    wanted = found.text("rows", default="auto")
    return Target(found.text("type"), found.number("budget"), found.number("recall"), wanted)
