"""Structure: what faiss makes of vectors so that a search need not read all of them: lists (ivf) or a graph (hnsw)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss as faiss_module
import numpy as np

from framebank.store.errors import DataError, parsing
from framebank.store.indexes.lists import Lists
from framebank.store.indexes.nearest import NearestVectors
from framebank.store.indexes.refined import Refined

faiss: Any = faiss_module  # its types lack some of its names
TYPES = ("ivfpq", "sq8", "hnsw", "ivf")  # by their bytes for vectors of 100 values or more, fewest first
TRAINING = 40  # vectors a list that train the lists
ROUNDS = 8  # of k-means
LEAST_A_LIST = 39  # vectors; faiss warns about fewer
MOST_LISTS = 4096
LINKS = 32  # of a vector in a graph
CODE_BYTES = 64  # of a vector in ivfpq, at most
LEAST_VALUES = 4  # of a vector that a byte stands for
MOST_DEAD = 1 / 3  # the share of removed entries from which a structure is made again


@dataclass(frozen=True, eq=False)
class Structure:
    """A faiss index of `kind` (one of TYPES) whose entries stand for rows of a matrix of vectors.

    `places` (P,) int64 gives the row of each entry, -1 for one that was removed; None if entry n is row n. `settings`
    are the knob of a search ("nprobe" or "efSearch") and "factor": that many times k candidates are compared exactly.
    """

    kind: str
    base: Any
    settings: Mapping[str, int] = field(default_factory=dict)
    places: np.ndarray | None = None
    _last: tuple[NearestVectors, Refined | None] | None = field(default=None, init=False, repr=False)

    def __repr__(self) -> str:
        return f"Structure({self.kind!r}, {self.base.ntotal} entries, {dict(self.settings)})"

    @property
    def knob(self) -> str:
        """The name of the setting that trades time for recall."""
        return "efSearch" if self.kind == "hnsw" else "nprobe"

    @cached_property
    def _rows(self) -> np.ndarray:
        return np.arange(self.base.ntotal) if self.places is None else self.places

    @cached_property
    def _living(self) -> Any:
        """What lets faiss pass over removed entries; None if there are none."""
        return None if self.places is None or (self.places >= 0).all() else _selector(self.places >= 0)

    def search(
        self, vectors: NearestVectors, queries: np.ndarray, k: int, *, among: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and rows (Q, k) of the nearest candidates, compared exactly in `vectors`; row -1 if missing.

        With `among`, a mask (V,) of the rows, the others are passed over, and more lists are looked through.
        """
        wanted = min(self._count, k * self._factor)
        if among is None and wanted == k * self._factor and (refined := self._refined(vectors)):
            found = refined.search(queries, k)
            if found is not None:
                return found
        if among is not None:
            allowed = (self._rows >= 0) & among[self._rows]
            parameters = self._parameters(_selector(allowed), max(float(allowed.mean()), 1e-6), wanted)
        elif wanted <= self._most_plain:
            parameters = self._plain
        else:
            parameters = self._parameters(self._living, 1.0, wanted)
        scores, entries = self._candidates(queries, wanted, parameters)
        if self.kind == "ivf" and wanted == k and self.places is None and not vectors.is_half:
            return scores, entries  # it compares the vectors themselves
        if self.places is not None:
            entries = np.where(entries >= 0, self.places[entries], -1)
        return vectors.search_among(queries, k, entries)

    def _refined(self, vectors: NearestVectors) -> Refined | None:
        """Return what does the same search in one call of faiss; None where it cannot."""
        last = self._last
        if last is None or last[0] is not vectors:
            last = self.__dict__["_last"] = (vectors, self._refined_of(vectors))
        return last[1]

    def _refined_of(self, vectors: NearestVectors) -> Refined | None:
        if self._lists is None or self.places is not None or vectors.is_half:
            return None
        nprobe = int(self._plain.nprobe)
        if not self._lists.reads_codes(nprobe):
            return None
        return Refined(self.base, self._lists.coded, vectors.index, nprobe=nprobe, factor=self._factor)

    def candidates(self, queries: np.ndarray, wanted: int) -> np.ndarray:
        """Return the rows (Q, wanted) that would be compared exactly, the likeliest first; row -1 if missing."""
        wanted = min(self._count, wanted)
        _, entries = self._candidates(queries, wanted, self._parameters(self._living, 1.0, wanted))
        return entries if self.places is None else np.where(entries >= 0, self.places[entries], -1)

    def _candidates(self, queries: np.ndarray, wanted: int, parameters: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and entries (Q, wanted) as faiss finds them, without the checks of its Python layer.

        `queries` are contiguous float32; `swig_ptr` refuses others.
        """
        count, pointer = len(queries), faiss.swig_ptr
        scores = np.empty((count, wanted), np.float32)
        entries = np.empty((count, wanted), np.int64)
        found = (pointer(scores), pointer(entries))
        if self._lists is None:
            self.base.search_c(count, pointer(queries), wanted, *found, parameters)
            return scores, entries
        products, lists = self._lists.nearest(queries, parameters.nprobe)
        chosen = (pointer(lists), pointer(products))
        self.base.search_preassigned_c(count, pointer(queries), wanted, *chosen, *found, False, parameters, None)
        return scores, entries

    @cached_property
    def _lists(self) -> Lists | None:
        centres = self.centroids
        return None if centres is None else Lists(centres)

    @cached_property
    def _count(self) -> int:
        return int(self.base.ntotal)

    @cached_property
    def _factor(self) -> int:
        return max(1, self.settings.get("factor", 1))

    @cached_property
    def _most_plain(self) -> int:
        """The most candidates that a search with `_plain` finds."""
        return self.settings.get(self.knob, 16) if self.kind == "hnsw" else self._count

    @cached_property
    def _plain(self) -> Any:
        """The parameters of a search without a filter."""
        return self._parameters(self._living, 1.0, 1)

    def _parameters(self, selector: Any, share: float, wanted: int) -> Any:
        value = self.settings.get(self.knob, 16)
        given = {} if selector is None else {"sel": selector}
        if self.kind == "hnsw":
            return faiss.SearchParametersHNSW(efSearch=max(math.ceil(value / share), wanted), **given)
        return faiss.SearchParametersIVF(nprobe=min(self.base.nlist, math.ceil(value / share)), **given)

    def steps(self) -> list[int]:
        """Return the values of its knob that faiss's ParameterSpace would try, ascending."""
        space = faiss.ParameterSpace()
        space.initialize(self.base)
        ranges = [space.parameter_ranges.at(place) for place in range(space.parameter_ranges.size())]
        values = next([one.values.at(at) for at in range(one.values.size())] for one in ranges if one.name == self.knob)
        most = self.base.ntotal if self.kind == "hnsw" else self.base.nlist
        return sorted({*(int(value) for value in values if 4 <= value < most), most} - {0})

    def set_to(self, **settings: int) -> "Structure":
        """Return it with other settings."""
        return replace(self, settings=settings)

    def followed(self, table: np.ndarray, vectors: np.ndarray, added: np.ndarray) -> "Structure | None":
        """Return the structure of vectors that changed, or None if it must be made again.

        `table` (V,) gives the new row of each old one, -1 for one that is gone; `added` (N,) are the rows of `vectors`
        that are new.
        """
        places = np.where(self._rows >= 0, table[self._rows], -1)
        if len(places) and np.count_nonzero(places < 0) > MOST_DEAD * len(places):
            return None
        base = faiss.deserialize_index(faiss.serialize_index(self.base))  # what is mapped, or its clone, cannot grow
        if len(added):
            base.add(np.ascontiguousarray(vectors[added], dtype=np.float32))
        places = np.concatenate([places, added])
        same = len(places) == len(vectors) and (places == np.arange(len(places))).all()
        return replace(self, base=base, places=None if same else places)

    def fits(self, rows: int, width: int) -> bool:
        """Return whether it can be of so many vectors of a width."""
        of_rows = self.base.ntotal == rows if self.places is None else bool((self.places < rows).all())
        return of_rows and int(self.base.d) == width

    @cached_property
    def num_bytes(self) -> int:
        """How many bytes it takes, in memory and on the disk."""
        counter = _Counter()
        faiss.write_index(self.base, faiss.PyCallbackIOWriter(counter.take))
        return counter.count

    @property
    def centroids(self) -> np.ndarray | None:
        """The centres of its lists (L, D), for another structure of the same vectors; None for a graph."""
        if self.kind == "hnsw":
            return None
        found: np.ndarray = self.base.quantizer.reconstruct_n(0, self.base.nlist)
        return found

    def bytes_read(self, k: int, row_bytes: int) -> int:
        """Return about how many bytes of codes, and of vectors of so many bytes each, a search for k reads."""
        value, exact = self.settings.get(self.knob, 16), k * self.settings.get("factor", 1) * row_bytes
        if self.kind == "hnsw":
            return value * LINKS * int(self.base.storage.sa_code_size()) + exact
        share = value / int(self.base.nlist)
        return round(share * int(self.base.ntotal)) * int(self.base.code_size) + exact

    def write(self, path: Path) -> None:
        """Write the faiss index to a file; DataError if there is no room."""
        try:
            faiss.write_index(self.base, str(path))
        except RuntimeError as error:
            raise DataError(f"{path.parent}: cannot be written: {_told(error)}") from error


class _Counter:
    """Counts the bytes that faiss writes, and keeps none."""

    def __init__(self) -> None:
        self.count = 0

    def take(self, content: bytes) -> None:
        self.count += len(content)


def build(vectors: np.ndarray, kind: str, *, seed: int = 0, centroids: np.ndarray | None = None) -> Structure:
    """Return a structure of vectors (V, D), trained with some of them, and with all of them added.

    `centroids` of lists that were learned from the same vectors are not learned again.
    """
    count, width = vectors.shape
    if kind == "hnsw":
        base = faiss.IndexHNSWSQ(width, faiss.ScalarQuantizer.QT_8bit, LINKS, faiss.METRIC_INNER_PRODUCT)
    else:
        lists = max(1, min(MOST_LISTS, round(4 * math.sqrt(count)), count // LEAST_A_LIST))
        base = faiss.index_factory(width, f"IVF{lists},{_code(kind, width)}", faiss.METRIC_INNER_PRODUCT)
        base.cp.niter, base.cp.seed, base.cp.max_points_per_centroid = ROUNDS, seed + 1, TRAINING
        base.cp.min_points_per_centroid = 1
        if kind == "ivfpq":
            base.do_polysemous_training = False  # it takes most of the time, and this search does not use it
            base.pq.cp.niter, base.pq.cp.min_points_per_centroid = ROUNDS, 1
            base.pq.cp.max_points_per_centroid = TRAINING
        if centroids is not None and len(centroids) == lists:
            base.quantizer.add(centroids)
    base.train(_sample(vectors, seed=seed, most=max(10_000, TRAINING * getattr(base, "nlist", 1))))
    for first in range(0, count, 65_536):
        base.add(np.ascontiguousarray(vectors[first : first + 65_536], dtype=np.float32))
    return Structure(kind, base)


def least_vectors(kind: str) -> int:
    """Return the number of vectors that a structure needs: codes of 8 bits are learned from 256 at least."""
    return 256 if kind == "ivfpq" else 1


def _code(kind: str, width: int) -> str:
    if kind == "ivf":
        return "Flat"
    if kind == "sq8":
        return "SQ8"
    most = max(1, min(CODE_BYTES, width // LEAST_VALUES))
    parts = next(parts for parts in range(most, 0, -1) if width % parts == 0)
    return f"PQ{parts}"


def _sample(vectors: np.ndarray, *, seed: int, most: int) -> np.ndarray:
    if len(vectors) <= most:
        return np.ascontiguousarray(vectors, dtype=np.float32)
    chosen = np.sort(np.random.default_rng(seed).choice(len(vectors), most, replace=False))
    return np.ascontiguousarray(vectors[chosen], dtype=np.float32)


def read_structure(path: Path, kind: str, settings: Mapping[str, int], places: np.ndarray | None) -> Structure:
    """Return a structure that `write` wrote, mapped into memory. DataError if the file is something else."""
    with parsing(path, what="an index of faiss"):
        try:
            base = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise DataError(f"{path}: cannot be read by faiss: {_told(error)}") from error
    expected = faiss.IndexHNSW if kind == "hnsw" else faiss.IndexIVF
    if not isinstance(base, expected) or (places is not None and len(places) != base.ntotal):
        raise DataError(f"{path}: holds {type(base).__name__} of {base.ntotal} entries; expected one of type {kind}")
    return Structure(kind, base, settings, places)


def _selector(allowed: np.ndarray) -> Any:
    return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[-200:]
