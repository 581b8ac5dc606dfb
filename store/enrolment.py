"""Enrolment: the videos that were added to an index under names of their own, in one file beside it."""

import contextlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from framebank.store.errors import DataError
from framebank.store.files import current, replacing, sync
from framebank.store.lock import Lock
from framebank.store.video import Video

NAME = "enrolled.npz"


@dataclass(frozen=True, eq=False)
class Enrolment:
    """videos (E,), vectors (E, D) float32 of unit length, and the cosines from which on a video passes.

    `thresholds` has each enrolled label, None where there were too few videos to set one; `nearest` is that of the
    nearest of the index's own videos. `of` is the digest of the index that they belong to.
    """

    videos: tuple[Video, ...] = ()
    vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    nearest: float | None = None
    of: str = ""

    def __post_init__(self) -> None:
        """Check that the parts agree."""
        if len(self.vectors) != len(self.videos) or set(self.thresholds) != set(self.labels):
            raise ValueError(f"{len(self.videos)} videos of {self.labels}, vectors {self.vectors.shape}")

    def __len__(self) -> int:
        return len(self.videos)

    def __repr__(self) -> str:
        return f"Enrolment({len(self)} videos of {len(self.labels)} labels, vectors {self.vectors.shape})"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The enrolled labels, sorted."""
        return tuple(sorted({video.label for video in self.videos}))

    def write(self, folder: Path) -> None:
        """Put the enrolment in the place of the one in an index's folder, whole or not at all.

        The same enrolment gives the same bytes; of one without a video, there is no file. DataError where the place
        cannot be written to.
        """
        path = folder / NAME
        if not self.videos:
            try:
                path.unlink(missing_ok=True)
                sync(folder)
            except OSError as error:
                raise DataError(f"{path}: cannot be removed: {error.strerror or error}") from error
            return
        about = {
            "of": self.of,
            "nearest": self.nearest,
            "thresholds": {label: self.thresholds[label] for label in self.labels},
            "videos": [[v.video_id, str(v.path), v.label, v.split, v.start, v.end] for v in self.videos],
        }
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8), vectors=self.vectors)

    @classmethod
    def read(cls, folder: Path, *, of: str, dim: int) -> "Enrolment":
        """Return what was enrolled in the index of digest `of` and width `dim` that a folder holds; nothing if nothing.

        DataError where the file is damaged or belongs to another index.
        """
        path = current(folder, NAME)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                about, vectors = json.loads(arrays["about"].tobytes()), arrays["vectors"]
            rows = [Video(one, Path(place), *rest) for one, place, *rest in about["videos"]]
            made = cls(tuple(rows), vectors, dict(about["thresholds"]), about["nearest"], str(about["of"]))
        except FileNotFoundError:
            return cls(vectors=np.zeros((0, dim), dtype=np.float32), of=of)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, DataError) as error:
            raise DataError(
                f"{path}: cannot be read ({type(error).__name__}: {' '.join(str(error).split())})"
            ) from error
        if made.of != of or vectors.shape != (len(rows), dim):
            raise DataError(f"{path}: was enrolled in another index; bring that index back, or remove the file")
        return made


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Hold the index of a folder against other writers; readers see the old enrolment or the new.

    The lock lies on spec.json, which stays while classes are enrolled, so that no further file is left behind.
    DataError when another process holds it, or the folder is no index.
    """
    if not (folder / "spec.json").exists():  # the lock would make one
        raise DataError(f"{folder}: is no index; expected a folder made by `framebank index`")
    lock = Lock(folder / "spec.json")
    lock.acquire()
    try:
        yield
    finally:
        lock.release()
