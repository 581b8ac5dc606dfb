"""Tuning: which structure an index gets, and how it is searched: the recall and the time decide."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
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
FACTORS = (1, 4, 8, 16)  # times k candidates that are compared exactly
ASKED = ("auto", "flat", *TYPES)


@dataclass(frozen=True)
class Target:
    """The type that a user asked for, the seconds that a query may take, and the recall at 10 that it must reach."""

    type: str = "auto"
    budget: float = BUDGET
    recall: float = RECALL

    def __post_init__(self) -> None:
        """Check each value; DataError."""
        if self.type not in ASKED:
            raise DataError(f"the type of an index is {self.type!r}; expected one of {', '.join(ASKED)}")
        if not 0 < self.recall <= 1:
            raise DataError(f"the recall is {self.recall:g}; expected a share above 0, and 1 at most")
        if not 0 < self.budget < 3600:
            raise DataError(f"the budget is {self.budget:g} s; expected a time above 0, such as 50ms")


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
    return unit(2 * vectors[first] + vectors[second])


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
    for kind in TYPES:
        if len(vectors) < least_vectors(kind):
            continue
        structure, measured = trial.tuned(build(vectors, kind), asked.recall)
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
        self.exact_p95 = p95_of(lambda query: self.flat.search(query, self.k), self.queries)

    @property
    def truth(self) -> np.ndarray:
        if "_truth" not in self.__dict__:
            self._truth = self.flat.search(self.queries, self.k)[1]
        return self._truth

    def exact(self) -> Measured:
        size = self.vectors.nbytes
        return Measured("flat", len(self.vectors), 1.0, self.exact_p95, self.exact_p95, size, TIMED)

    def tuned(self, structure: Structure, recall: float) -> tuple[Structure, Measured]:
        """Set a structure to the least work that reaches a recall, or if none does, to the best recall."""
        found = [self._least(structure, factor, recall) for factor in FACTORS]
        width = self.vectors.shape[1]
        reaching = [pair for pair in found if pair[1] >= recall]
        best, reached = (
            min(reaching, key=lambda pair: pair[0].bytes_read(self.k, width))
            if reaching
            else max(found, key=lambda pair: pair[1])
        )
        p95 = p95_of(lambda query: best.search(self.flat, query, self.k), self.queries)
        size = best.num_bytes
        return best, Measured(best.kind, len(self.vectors), reached, p95, self.exact_p95, size, len(self.queries))

    def _least(self, structure: Structure, factor: int, recall: float) -> tuple[Structure, float]:
        """Return the structure with the lowest of its steps that reaches a recall, or else the highest."""
        steps = structure.steps()
        low, high = 0, len(steps) - 1
        while low < high:
            middle = (low + high) // 2
            if self._recall(structure.set_to(**{structure.knob: steps[middle]}, factor=factor)) >= recall:
                high = middle
            else:
                low = middle + 1
        best = structure.set_to(**{structure.knob: steps[low]}, factor=factor)
        return best, self._recall(best)

    def _recall(self, structure: Structure) -> float:
        return recall_of(structure.search(self.flat, self.queries, self.k)[1], self.truth)


def recall_of(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of the true neighbours, rows (Q, K), that are among those found (Q, K)."""
    same = [np.isin(own, other).sum() for own, other in zip(truth, found, strict=True)]
    return float(np.sum(same) / max(truth.size, 1))


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
    return Target(found.text("type"), found.number("budget"), found.number("recall"))
