"""Index: nearest neighbours among pooled, unit-norm embeddings, by exact inner product. The only door to faiss."""

import contextlib
import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from framebank.store.digest import digest
from framebank.store.errors import DataError, near_names, parsing
from framebank.store.files.replacing import current, finish_moves, read_settled, replacing_together, require_new_folder
from framebank.store.indexes.enrolment import NAME, Enrolment, changing
from framebank.store.indexes.filters import fitting
from framebank.store.indexes.ids import read_ids, write_ids
from framebank.store.indexes.origin import Difference, Origin, compare
from framebank.store.indexes.spec import VERSION, index_spec_text, read_index_spec, require_flat, unreadable
from framebank.store.spec import FeatureSpec
from framebank.store.vectors import has_direction, unit
from framebank.store.videos.video import Video


@dataclass(frozen=True)
class Hit:
    """One neighbour: the video, its cosine similarity to the query, its label, and of which seconds of a file it is.

    `enrolled` tells whether it was added under its label afterwards. `chance` is how many of the everyday names, as a
    share, fit it at least as well as the query; None where that is not known.
    """

    video_id: str
    score: float
    label: str
    start: float | None = None
    end: float | None = None
    enrolled: bool = False
    path: Path = Path()
    chance: float | None = None


class Index:
    """Videos by their pooled embedding; ids are video_ids, never row numbers.

    `made_by` tells how the embeddings were pooled ({"head": ..., "run": ...}), so that a query is pooled alike, and
    `origin` from which store, where that is known. The videos of `enrolment` stand behind the index's own, of which
    there are `num_own`. `own_vectors` (num_own, D) are of unit length. DataError where one of the vectors is all zeros,
    or holds what is not a number: it has no neighbours.
    """

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
        bad = np.flatnonzero(~has_direction(vectors))
        if len(bad):
            raise DataError(
                f"the embedding of {videos[bad[0]].video_id!r} is all zeros, or holds values that are not numbers"
            )
        self.spec = spec
        self.made_by = made_by
        self.origin = origin
        self.own_vectors = np.ascontiguousarray(unit(vectors))
        self._take(tuple(videos), Enrolment() if enrolment is None else enrolment)

    def _take(self, own: tuple[Video, ...], enrolment: Enrolment) -> None:
        self.enrolment = enrolment
        self.num_own = len(own)
        self.videos = (*own, *enrolment.videos)
        self._row = {video.video_id: row for row, video in enumerate(self.videos)}

    def __len__(self) -> int:
        return len(self.videos)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._row

    def vector(self, video_id: str) -> np.ndarray:
        """Return the unit embedding (D,) of an indexed video; DataError when it is not there."""
        row = self._require(video_id)
        own: np.ndarray = self.own_vectors[row] if row < self.num_own else self._enrolled_vectors[row - self.num_own]
        return own.copy()

    def video(self, video_id: str) -> Video:
        """Return an indexed video; DataError when it is not there."""
        return self.videos[self._require(video_id)]

    def _require(self, video_id: str) -> int:
        if video_id not in self._row:
            raise DataError(
                f"the index has no video {video_id!r} among its {len(self)}{near_names(video_id, self._row)}"
            )
        return self._row[video_id]

    @property
    def vectors(self) -> np.ndarray:
        """The unit embeddings (V, D) of all videos, in their order."""
        return np.vstack([self.own_vectors, self._enrolled_vectors]) if self.enrolment.videos else self.own_vectors

    @property
    def _enrolled_vectors(self) -> np.ndarray:
        return np.ascontiguousarray(unit(self.enrolment.vectors)).reshape(-1, self.spec.dim)

    def search(self, queries: np.ndarray, k: int) -> list[list[Hit]]:
        """Return the k nearest videos of each query (Q, D), best first; all there are, where they are fewer.

        DataError where a query is of another width, all zeros, or holds what is not a number.
        """
        return self._nearest(queries, k, (self.own_vectors, self._enrolled_vectors))

    def search_own(self, query: np.ndarray, k: int) -> list[Hit]:
        """Return the k nearest of the index's own videos to one query (1, D), as `search` does."""
        return self._nearest(query, k, (self.own_vectors,))[0]

    def _nearest(self, queries: np.ndarray, k: int, parts: Sequence[np.ndarray]) -> list[list[Hit]]:
        """The k nearest in matrices whose rows are the videos in their order."""
        if queries.ndim != 2 or queries.shape[1] != self.spec.dim:
            raise DataError(f"a query of shape {queries.shape} for an index of width {self.spec.dim}")
        if not has_direction(queries).all():
            raise DataError(
                "the embedding of the query is all zeros, or holds values that are not numbers; it is near to nothing"
            )
        asked = np.ascontiguousarray(unit(queries))
        found: list[list[tuple[float, int]]] = [[] for _ in asked]
        first = 0
        for part in parts:
            if min(k, len(part)):
                scores, rows = faiss.knn(asked, part, min(k, len(part)), metric=faiss.METRIC_INNER_PRODUCT)  # (Q, k)
                for pairs, own_scores, own_rows in zip(found, scores.tolist(), rows.tolist(), strict=True):
                    pairs += [(-score, first + row) for score, row in zip(own_scores, own_rows, strict=True)]
            first += len(part)
        return [[self._hit(row, -score) for score, row in sorted(pairs)[:k]] for pairs in found]

    def _hit(self, row: int, score: float) -> Hit:
        video = self.videos[row]
        enrolled = row >= self.num_own
        return Hit(video.video_id, score, video.label, video.start, video.end, enrolled, video.path)

    def compare(self) -> Difference | None:
        """Return how the store that the index was made from differs from it now; None where that is not at hand."""
        own = self.videos[: self.num_own]
        if self.origin:
            return compare(self.origin, own)
        found = (
            compare(Origin.unmarked(Path(self.made_by["store"]), len(own)), own) if "store" in self.made_by else None
        )
        if found and len({video.split for video in own}) < 2:  # of one split, perhaps: the others' videos did not join
            return replace(found, joined=())
        return found

    def following(self, difference: Difference) -> "Index":
        """Return the index without the videos that left its store, the others with the paths and labels of today.

        What joined is not in it, and what changed is as it was. Thresholds stay.
        """
        left = set(difference.left)
        own = self.videos[: self.num_own]
        made = self._only(own, [row for row, video in enumerate(own) if video.video_id not in left])
        videos = tuple(difference.videos.get(video.video_id, video) for video in made.videos[: made.num_own])
        made._take(videos, self.enrolment)
        return made

    def fitting(self, expression: str) -> "Index":
        """Return the index of its own videos that a filter is true of (`filters.py`); nothing enrolled is in it.

        DataError where the filter is wrong, or no video fits.
        """
        own = self.videos[: self.num_own]
        return self._only(own, fitting(own, expression)).with_enrolment(Enrolment())

    def _only(self, own: Sequence[Video], rows: Sequence[int]) -> "Index":
        made = copy.copy(self)
        if len(rows) < len(own):
            made.own_vectors = self.own_vectors[rows]
            made.origin = self.origin and self.origin.only(rows)
        made._take(tuple(own[row] for row in rows), self.enrolment)
        return made

    def with_enrolment(self, enrolment: Enrolment) -> "Index":
        """Return the index with other enrolled classes; its own vectors are not copied."""
        made = copy.copy(self)
        made._take(self.videos[: self.num_own], enrolment)
        return made

    def reread(self, folder: str | Path) -> "Index":
        """Return this index of a folder with what is enrolled there by now; DataError where it was made again."""
        folder = Path(folder)
        if read_index_spec(folder).digest != self.enrolment.of:
            raise DataError(f"{folder}: was made again since it was read; do this once more")
        return self.with_enrolment(Enrolment.read(folder, of=self.enrolment.of, dim=self.spec.dim))

    def save(self, folder: str | Path) -> None:
        """Write index.faiss, ids.csv and spec.json into a folder, and what was enrolled.

        Where there is an index already, a kill leaves it or the new one. DataError where the folder holds enrolled
        classes or a calibration, which nothing could bring back.
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
        """Write as `save` does, with what is enrolled, in the place of an index that is held by `changing`."""
        with replacing_together(folder) as part:
            flat = faiss.IndexFlatIP(self.spec.dim)
            flat.add(self.own_vectors)
            (part / "index.faiss").write_bytes(faiss.serialize_index(flat).tobytes())
            own = self.videos[: self.num_own]
            write_ids(part / "ids.csv", own, self.origin)
            name = _digest(self.own_vectors, own)
            about = {"version": VERSION, "spec": self.spec.to_dict(), "made_by": self.made_by, "digest": name}
            origin = {"origin": self.origin.to_dict()} if self.origin else {}
            (part / "spec.json").write_text(index_spec_text(part, about | origin), encoding="utf-8")
            enrolment = replace(self.enrolment, of=name)
            if not enrolment.is_empty:
                enrolment.write(part)
        self.enrolment = enrolment  # so that this object is the index of the folder, as if it had been read there

    @classmethod
    def load(cls, folder: str | Path) -> "Index":
        """Read what `save` wrote; DataError when the folder is no index or its files are not of one another.

        Videos whose vectors are all zeros, or hold what is not a number, are left out: earlier versions kept them.
        """
        folder = Path(folder)
        return read_settled(folder, lambda: cls._load(folder))

    @classmethod
    def _load(cls, folder: Path) -> "Index":
        about = read_index_spec(folder)
        spec, expected, path = about.spec, about.digest, current(folder, "index.faiss")
        try:
            require_flat(path)
            with parsing(path, what="an index"):
                flat = faiss.read_index(str(path))
            videos, origin = read_ids(current(folder, "ids.csv"), about.origin)
        except DataError as error:
            raise unreadable(folder, error) from error
        if flat.ntotal != len(videos) or flat.d != spec.dim:
            raise DataError(
                f"{folder}: index.faiss holds {flat.ntotal} vectors of width {flat.d}, "
                f"its lists {len(videos)} videos of width {spec.dim}; these files are of different indexes"
            )
        made = cls.__new__(cls)
        made.spec, made.made_by, made.origin = spec, about.made_by, origin
        made.own_vectors = flat.reconstruct_n(0, flat.ntotal)
        del flat  # two copies at a time, one from here on
        about.require_own(folder)
        if _digest(made.own_vectors, videos) != expected:
            raise DataError(f"{folder}: index.faiss, ids.csv and spec.json are of different indexes; make it again")
        made._take(tuple(videos), Enrolment.read(folder, of=expected, dim=spec.dim))
        good = has_direction(made.own_vectors)
        return made if good.all() else made._only(videos, np.flatnonzero(good).tolist())


def _digest(vectors: np.ndarray, videos: Sequence[Video]) -> str:
    """The same for the same videos with the same vectors; without times, what it was before an index kept them."""
    rows = "\n".join(
        f"{v.video_id}\t{v.label}\t{v.split}" + ("" if v.start is None and v.end is None else f"\t{v.start}\t{v.end}")
        for v in videos
    )
    return digest({"vectors": vectors, "videos": np.frombuffer(rows.encode(), dtype=np.uint8)})
