"""Index: nearest neighbours among pooled, unit-norm embeddings, by exact inner product. The only door to faiss."""

import contextlib
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from framebank.store.counts import counted
from framebank.store.digest import digest
from framebank.store.enrolment import NAME, Enrolment, changing
from framebank.store.errors import DataError, near_names
from framebank.store.files import current, replacing, replacing_together, require_new_folder, write_text
from framebank.store.manifest import COLUMNS, TIMES, Video
from framebank.store.spec import FeatureSpec
from framebank.store.vectors import unit


@dataclass(frozen=True)
class Hit:
    """One neighbour: the video, its cosine similarity to the query, its label, and of which seconds of a file it is.

    `enrolled` tells whether it was added under its label afterwards.
    """

    video_id: str
    score: float
    label: str
    start: float | None = None
    end: float | None = None
    enrolled: bool = False


class Index:
    """Videos by their pooled embedding; ids are video_ids, never row numbers.

    `made_by` tells how the embeddings were pooled ({"head": ..., "run": ...}), so that a query is pooled alike. The
    videos of `enrolment` stand behind the index's own, of which there are `num_own`.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        videos: Sequence[Video],
        *,
        spec: FeatureSpec,
        made_by: dict[str, Any],
        enrolment: Enrolment | None = None,
    ) -> None:
        if vectors.shape != (len(videos), spec.dim):
            raise ValueError(f"{len(videos)} videos with vectors {vectors.shape}, expected width {spec.dim}")
        self.enrolment = Enrolment() if enrolment is None else enrolment
        self.num_own = len(videos)
        self.videos = (*videos, *self.enrolment.videos)
        self.spec = spec
        self.made_by = made_by
        self._flat = faiss.IndexFlatIP(spec.dim)
        self._flat.add(np.ascontiguousarray(unit(vectors)))
        if self.enrolment.videos:
            self._flat.add(np.ascontiguousarray(unit(self.enrolment.vectors)))
        self._row = {video.video_id: row for row, video in enumerate(self.videos)}

    def __len__(self) -> int:
        return len(self.videos)

    def vector(self, video_id: str) -> np.ndarray:
        """Return the unit embedding (D,) of an indexed video; DataError when it is not there."""
        return np.asarray(self._flat.reconstruct(self._require(video_id)))

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
        return np.asarray(self._flat.reconstruct_n(0, len(self)))

    def search(self, queries: np.ndarray, k: int) -> list[list[Hit]]:
        """Return the k nearest videos of each query (Q, D), best first; DataError when there are fewer than k."""
        if k > len(self):
            raise DataError(f"{counted(k, 'neighbour')} wanted, but the index holds {counted(len(self), 'video')}")
        if queries.ndim != 2 or queries.shape[1] != self.spec.dim:
            raise DataError(f"a query of shape {queries.shape} for an index of width {self.spec.dim}")
        scores, rows = self._flat.search(np.ascontiguousarray(unit(queries)), k)  # (Q, k)
        return [
            [self._hit(int(row), float(score)) for score, row in zip(own_scores, own_rows, strict=True)]
            for own_scores, own_rows in zip(scores, rows, strict=True)
        ]

    def search_own(self, query: np.ndarray, k: int) -> list[Hit]:
        """Return the k nearest of the index's own videos to one query (1, D), best first; DataError as `search`."""
        if k > self.num_own:
            raise DataError(
                f"{counted(k, 'neighbour')} wanted, but the index holds {counted(self.num_own, 'video')} of its own"
            )
        hits = self.search(query, k + len(self.enrolment))[0]
        return [hit for hit in hits if not hit.enrolled][:k]

    def _hit(self, row: int, score: float) -> Hit:
        video = self.videos[row]
        return Hit(video.video_id, score, video.label, video.start, video.end, enrolled=row >= self.num_own)

    def save(self, folder: Path) -> None:
        """Write index.faiss, ids.csv and spec.json into a folder, and what was enrolled.

        ids.csv has the columns start and end when a video has one. Where there is an index already, a kill leaves it or
        the new one. DataError where the folder holds enrolled classes or a calibration, which nothing could bring back.
        """
        require_new_folder(folder, what="index")
        with changing(folder) if (folder / "spec.json").exists() else contextlib.nullcontext():
            if current(folder, NAME).exists():
                raise DataError(
                    f"{folder}: holds enrolled classes, or a calibration, which a new index there would lose; "
                    "take them back first (`framebank unenroll`, `framebank calibrate`), or choose another folder"
                )
            with replacing_together(folder) as part:
                self._write(part)

    def _write(self, folder: Path) -> None:
        videos, own = self.videos[: self.num_own], self._flat
        if self.enrolment.videos:
            own = faiss.IndexFlatIP(self.spec.dim)
            own.add(self._flat.reconstruct_n(0, self.num_own))
        with replacing(folder / "index.faiss") as part:
            part.write_bytes(faiss.serialize_index(own).tobytes())
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        timed = any(map(_is_timed, videos))
        writer.writerow((*COLUMNS, *TIMES) if timed else COLUMNS)
        for v in videos:
            writer.writerow((v.video_id, v.path, v.label, v.split, *([v.start, v.end] if timed else [])))
        write_text(folder / "ids.csv", text.getvalue())
        name = _digest(own, videos)
        about = {"spec": self.spec.to_dict(), "made_by": self.made_by, "digest": name}
        write_text(folder / "spec.json", json.dumps(about, indent=2))
        if not self.enrolment.is_empty:
            replace(self.enrolment, of=name).write(folder)

    @classmethod
    def load(cls, folder: Path) -> "Index":
        """Read what `save` wrote; DataError when the folder is no index or its files are not of one another."""
        vectors_path, about_path = current(folder, "index.faiss"), current(folder, "spec.json")
        if not vectors_path.exists() or not about_path.exists():
            raise DataError(f"{folder}: is no index; expected a folder made by `framebank index`")
        try:
            flat = faiss.read_index(str(vectors_path))
            about = json.loads(about_path.read_text(encoding="utf-8"))
            found, made_by, expected = dict(about["spec"]), dict(about["made_by"]), str(about["digest"])
            with current(folder, "ids.csv").open(newline="", encoding="utf-8") as file:
                videos = [_video_of(row) for row in csv.DictReader(file)]
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, csv.Error, DataError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{folder}: the index cannot be read ({type(error).__name__}: {reason})") from error
        spec = FeatureSpec.from_dict(found, where=about_path)
        if flat.ntotal != len(videos) or flat.d != spec.dim:
            raise DataError(
                f"{folder}: index.faiss holds {flat.ntotal} vectors of width {flat.d}, "
                f"its lists {len(videos)} videos of width {spec.dim}; these files are of different indexes"
            )
        if _digest(flat, videos) != expected:
            raise DataError(f"{folder}: index.faiss, ids.csv and spec.json are of different indexes; make it again")
        enrolment = Enrolment.read(folder, of=expected, dim=spec.dim)
        vectors = flat.reconstruct_n(0, flat.ntotal)
        return cls(vectors, videos, spec=spec, made_by=made_by, enrolment=enrolment)


def _is_timed(video: Video) -> bool:
    return video.start is not None or video.end is not None


def _video_of(row: Mapping[str, str]) -> Video:
    start, end = (float(row[name]) if row.get(name) else None for name in TIMES)
    return Video(row["video_id"], Path(row["path"]), row["label"], row["split"], start, end)


def _digest(flat: Any, videos: Sequence[Video]) -> str:
    """The same for the same videos with the same vectors; without times, what it was before an index kept them."""
    rows = "\n".join(
        f"{video.video_id}\t{video.label}\t{video.split}"
        + (f"\t{video.start}\t{video.end}" if _is_timed(video) else "")
        for video in videos
    )
    vectors = flat.reconstruct_n(0, flat.ntotal)
    return digest({"vectors": vectors, "videos": np.frombuffer(rows.encode(), dtype=np.uint8)})
