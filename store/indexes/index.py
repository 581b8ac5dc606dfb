"""Index: nearest neighbours among pooled, unit-norm embeddings, or among the rows of videos, by inner product."""

import contextlib
import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.errors import DataError, near_names
from framebank.store.files.replacing import current, finish_moves, read_settled, replacing_together, require_new_folder
from framebank.store.indexes.enrolment import NAME, Enrolment, changing
from framebank.store.indexes.filters import Filters
from framebank.store.indexes.finding import Finder
from framebank.store.indexes.flat import KnownFiles, map_flat, write_flat
from framebank.store.indexes.hit import Hit as Hit
from framebank.store.indexes.ids import digest_of, read_ids, write_ids
from framebank.store.indexes.known_difference import compare_known
from framebank.store.indexes.origin import Difference, Origin, compare
from framebank.store.indexes.searched import Searched, read_searched
from framebank.store.indexes.spec import index_spec_text, read_index_spec, unreadable
from framebank.store.spec import FeatureSpec
from framebank.store.vectors import has_direction, unit, unit_if_directed
from framebank.store.videos.columns import VideoColumns
from framebank.store.videos.video import Video


class Index:
    """Videos by their pooled embedding. The ids are video_ids, never row numbers.

    `made_by` says how the embeddings were pooled ({"head": ..., "run": ...}), so that a query is pooled in the same
    way. `origin` says from which store, if that is known. The index has `num_own` videos of its own, and after them
    come those of `enrolment`. `own_vectors` (num_own, D) are unit vectors. `searched` says what a search goes through
    if not through all of these. `device` is where it searches (`nearest.py`). DataError if a vector is all zeros or
    holds a value that is not a number, because it has no neighbours.
    """

    searched = Searched()
    _finder: Finder | None = None
    _filters: Filters | None = None

    def __init__(
        self,
        vectors: np.ndarray,
        videos: Sequence[Video],
        *,
        spec: FeatureSpec,
        made_by: dict[str, Any],
        enrolment: Enrolment | None = None,
        origin: Origin | None = None,
    ) -> None:
        if vectors.shape != (len(videos), spec.dim):
            raise ValueError(f"{len(videos)} videos with vectors {vectors.shape}, expected width {spec.dim}")
        if len(bad := np.flatnonzero(~has_direction(vectors))):
            raise DataError(
                f"the embedding of {videos[bad[0]].video_id!r} is all zeros, or holds values that are not numbers"
            )
        self.spec = spec
        self.made_by = made_by
        self.origin = origin
        self.own_vectors = np.ascontiguousarray(unit(vectors))
        self.device = "cpu"
        self._take(VideoColumns.of(videos), Enrolment() if enrolment is None else enrolment)

    def _take(self, own: VideoColumns, enrolment: Enrolment) -> None:
        self.own = own
        self.enrolment = enrolment
        self.num_own = len(own)
        self.ids = (*own.ids, *(video.video_id for video in enrolment.videos))
        self._row = dict(zip(self.ids, range(len(self.ids)), strict=True))
        for name in ("videos", "_finder", "_filters"):
            self.__dict__.pop(name, None)  # they belong to the index that was copied

    @cached_property
    def videos(self) -> tuple[Video, ...]:
        """All videos: the index's own, then those of the enrolment."""
        return (*self.own, *self.enrolment.videos)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._row

    def vector(self, video_id: str) -> np.ndarray:
        """Return the unit embedding (D,) of an indexed video. DataError if it is not in the index."""
        row = self._require(video_id)
        own: np.ndarray = self.own_vectors[row] if row < self.num_own else self._enrolled_vectors[row - self.num_own]
        return own.copy()

    def video(self, video_id: str) -> Video:
        """Return an indexed video. DataError if it is not in the index."""
        row = self._require(video_id)
        return self.own[row] if row < self.num_own else self.enrolment.videos[row - self.num_own]

    def _require(self, video_id: str) -> int:
        if video_id not in self._row:
            raise DataError(
                f"the index has no video {video_id!r} among its {len(self)}{near_names(video_id, self._row)}"
            )
        return self._row[video_id]

    @property
    def vectors(self) -> np.ndarray:
        """The unit embeddings (V, D) of all videos, in order."""
        return np.vstack([self.own_vectors, self._enrolled_vectors]) if self.enrolment.videos else self.own_vectors

    @property
    def _enrolled_vectors(self) -> np.ndarray:
        return np.ascontiguousarray(unit(self.enrolment.vectors)).reshape(-1, self.spec.dim)

    def search(self, queries: np.ndarray, k: int, *, among: np.ndarray | None = None) -> list[Sequence[Hit]]:
        """Return the k nearest videos of each query (Q, D), best first; all of them if there are fewer.

        If rows are searched, a hit has the seconds of the nearest row of its video. `among` (num_own,) is true for the
        own videos that may be hits; others and enrolled ones are none then. DataError if a query has another width,
        is all zeros, or holds a value that is not a number.
        """
        return self.finder.find(self._asked(queries), k, among=among)

    def search_id(self, video_id: str, k: int) -> list[Hit]:
        """Return the k nearest other videos of an indexed video, or all if fewer. DataError if it is not indexed."""
        hits = self.search(self.vector(video_id)[None], k + 1)[0]
        return [hit for hit in hits if hit.video_id != video_id][:k]

    def search_own(self, query: np.ndarray, k: int) -> Sequence[Hit]:
        """Return the k nearest of the index's own whole videos to one query (1, D), like `search`."""
        return self.finder.find_whole(self._asked(query), k)[0]

    def search_rows(
        self, query: np.ndarray, k: int, *, among: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the cosines (K,) of the k nearest rows that a search goes through to one query (1, D), and the rows.

        `among` (num_own,) is true for the own videos whose rows may be found.
        """
        return self.finder.nearest_of(self._asked(query), k, among)

    @property
    def searched_vectors(self) -> np.ndarray:
        """The unit vectors (R, D), perhaps float16, that a search goes through, without those of the enrolment."""
        return self.searched.rows.vectors if self.searched.rows else self.own_vectors

    def vector_of(self, hit: Hit) -> np.ndarray:
        """Return the unit vector (D,) that a hit of this index was found by."""
        return self.finder.vector_of(hit, self._require(hit.video_id))

    @property
    def finder(self) -> Finder:
        """What finds hits, with the vectors of the enrolment."""
        if self._finder is None or not self._finder.serves(self.own_vectors, self.searched, self.device):
            added = (self.enrolment.videos, self._enrolled_vectors if self.enrolment.videos else None)
            self._finder = Finder(self.own, self.own_vectors, self.searched, *added, self.device)
        return self._finder

    def _asked(self, queries: np.ndarray) -> np.ndarray:
        """Return queries as unit vectors (Q, D); DataError if they cannot be compared."""
        if queries.ndim != 2 or queries.shape[1] != self.spec.dim:
            raise DataError(f"a query of shape {queries.shape} for an index of width {self.spec.dim}")
        if (made := unit_if_directed(queries)) is not None:
            return made
        told = "the embedding of the query is all zeros, or holds values that are not numbers; it is near to nothing"
        raise DataError(told)

    def compare(self) -> Difference | None:
        """Return how the store of the index differs from it now; None if the store is not found."""
        if self.origin:
            return compare_known(self.origin, self.own, digest=self.enrolment.of)
        own = self.own
        found = (
            compare(Origin.unmarked(Path(self.made_by["store"]), len(own)), own) if "store" in self.made_by else None
        )
        if found and len(set(own.splits)) < 2:  # perhaps of one split: then the videos of other splits did not join
            return replace(found, joined=())
        return found

    def following(self, difference: Difference) -> "Index":
        """Return the index without the videos that left its store, and with the present paths and labels of the others.

        Videos that joined are not in it, and changed videos keep their old vectors. Thresholds stay.
        """
        left = set(difference.left)
        made = self._only([row for row, video_id in enumerate(self.own.ids) if video_id not in left])
        if difference.videos:
            made._take(made.own.replaced(difference.videos), self.enrolment)
        return made

    def fitting(self, expression: str) -> "Index":
        """Return an index of its own videos that match a filter (`filters.py`). It has no enrolled videos.

        DataError if the filter is wrong, or if no video matches.
        """
        return self._only(self.rows_fitting(expression).tolist()).with_enrolment(Enrolment())

    def rows_fitting(self, expression: str) -> np.ndarray:
        """Return the own videos (N,) int64, by their numbers, that match a filter; DataError as `fitting`."""
        if self._filters is None:
            self._filters = Filters(self.own)
        return self._filters.fitting(expression)

    def _only(self, rows: Sequence[int]) -> "Index":
        made = copy.copy(self)
        if len(rows) < self.num_own:
            made.own_vectors = self.own_vectors[rows]
            made.origin = self.origin and self.origin.only(rows)
            made.searched = self.searched.only(rows)
        made._take(self.own.select(rows), self.enrolment)
        return made

    def with_enrolment(self, enrolment: Enrolment) -> "Index":
        """Return the index with other enrolled classes; its own vectors are not copied."""
        made = copy.copy(self)
        made._take(self.own, enrolment)
        return made

    def reread(self, folder: str | Path) -> "Index":
        """Return this index with the present enrolment of its folder. DataError if the index was made again."""
        folder = Path(folder)
        if read_index_spec(folder).digest != self.enrolment.of:
            raise DataError(f"{folder}: was made again since it was read; do this once more")
        return self.with_enrolment(Enrolment.read(folder, of=self.enrolment.of, dim=self.spec.dim))

    def save(self, folder: str | Path) -> None:
        """Write index.faiss, ids.csv and spec.json into a folder, and the enrolment.

        If the folder has an index already, a kill leaves either the old one or the new one. DataError if the folder
        holds enrolled classes or a calibration, because nothing could restore them.
        """
        folder = Path(folder)
        require_new_folder(folder, what="index")
        finish_moves(folder)
        with changing(folder) if (folder / "spec.json").exists() else contextlib.nullcontext():
            if current(folder, NAME).exists():
                raise DataError(
                    f"{folder}: holds enrolled classes or a calibration, which a new index would lose; "
                    "`framebank index STORE INDEX --update` keeps them, or choose another folder"
                )
            self.replace_in(folder)

    def replace_in(self, folder: Path) -> None:
        """Write as `save` does, with the enrolment, in place of an index that `changing` holds."""
        with replacing_together(folder) as part:
            write_flat(part / "index.faiss", self.own_vectors)
            write_ids(part / "ids.csv", self.own, self.origin)
            name = digest_of(self.own_vectors, self.own)
            more = {"searched": self.searched.write(part)} | ({"origin": self.origin.to_dict()} if self.origin else {})
            version = self.searched.version
            about = {"version": version, "spec": self.spec.to_dict(), "made_by": self.made_by, "digest": name, **more}
            (part / "spec.json").write_text(index_spec_text(part, about), encoding="utf-8")
            enrolment = replace(self.enrolment, of=name)
            if not enrolment.is_empty:
                enrolment.write(part)
        self.enrolment = enrolment  # this object is now the index of the folder, as if it had been read there

    @classmethod
    def load(cls, folder: str | Path, *, anew: bool = False) -> "Index":
        """Read what `save` wrote. DataError if the folder is not an index or if its files do not belong together.

        The vectors are mapped into memory and loaded from the disk as they are needed. Files that were checked before
        are not read in full again until one of them is written to, unless `anew`. Videos whose vectors are all zeros or
        hold a value that is not a number are left out; earlier versions kept them.
        """
        folder = Path(folder)
        return read_settled(folder, lambda: cls._load(folder, anew=anew))

    @classmethod
    def _load(cls, folder: Path, *, anew: bool) -> "Index":
        about = read_index_spec(folder)
        spec, expected, path = about.spec, about.digest, current(folder, "index.faiss")
        try:
            vectors = map_flat(path)
            videos, origin = read_ids(current(folder, "ids.csv"), about.origin)
        except DataError as error:
            raise unreadable(folder, error) from error
        if vectors.shape != (len(videos), spec.dim):
            raise DataError(
                f"{folder}: index.faiss holds {len(vectors)} vectors of width {vectors.shape[1]}, "
                f"its lists {len(videos)} videos of width {spec.dim}; these files are of different indexes"
            )
        made = cls.__new__(cls)
        made.spec, made.made_by, made.origin, made.device = spec, about.made_by, origin, "cpu"
        made.own_vectors = vectors
        about.require_own(folder)
        sight = KnownFiles.of(folder)
        check = anew or not sight.is_known(expected)
        made.searched = read_searched(folder, about.searched, shape=vectors.shape, check=check)
        if check:
            if digest_of(vectors, videos) != expected:
                raise DataError(f"{folder}: index.faiss, ids.csv and spec.json are of different indexes; make it again")
            good = has_direction(vectors)
            if good.all():
                sight.keep(expected)
        else:
            good = np.ones(1, dtype=bool)  # it was checked before
        made._take(videos, Enrolment.read(folder, of=expected, dim=spec.dim))
        return made if good.all() else made._only(np.flatnonzero(good).tolist())
