"""Enrolment: videos added to an index under names of their own, and what sets its thresholds; one file beside it."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.counts import counted
from framebank.store.digest import SEAL, seal
from framebank.store.errors import DataError, reason_of
from framebank.store.files.lock import Lock
from framebank.store.files.place import clear_folder
from framebank.store.files.replacing import current, replacing, sync
from framebank.store.formats.document import Fields, parse_json, shown
from framebank.store.formats.npy import Npz
from framebank.store.videos.video import Video, require_own_ids

NAME = "enrolled.npz"
SHARE = 0.05
KINDS = {"u": "bytes", "f": "numbers"}  # as numpy calls the kinds of arrays


@dataclass(frozen=True, eq=False)
class Calibration:
    """What sets the thresholds: the `share` of the videos of other classes that may pass, and which videos those are.

    They are held-out videos (N,) of a split of a store, with their vectors (N, D) float32 of unit length; without any,
    those of the index itself.
    """

    share: float = SHARE
    store: str = ""
    split: str = ""
    videos: tuple[Video, ...] = ()
    vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))

    def __post_init__(self) -> None:
        """Check that the parts agree."""
        if len(self.vectors) != len(self.videos) or not 0 < self.share < 1:
            raise ValueError(f"{len(self.videos)} videos, vectors {self.vectors.shape}, share {self.share}")

    def __repr__(self) -> str:
        return f"Calibration({len(self.videos)} videos of {self.store!r}, split {self.split!r}, share {self.share})"

    @property
    def is_default(self) -> bool:
        """Whether it is the one of an index that was never calibrated."""
        return not self.videos and self.share == SHARE


@dataclass(frozen=True, eq=False)
class Enrolment:
    """videos (E,), vectors (E, D) float32 of unit length, and the cosines from which on a video passes.

    `thresholds` has each enrolled label, None if there were too few videos to set one; `nearest` is that of the
    nearest of the index's own videos; `calibration` is what set them: by the cosines (N,) float32, ascending, of other
    classes' videos, which `others` has for each label and `nearest_others` for `nearest`. `of` is the digest of the
    index that they belong to.
    """

    videos: tuple[Video, ...] = ()
    vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    nearest: float | None = None
    of: str = ""
    calibration: Calibration = field(default_factory=Calibration)
    others: Mapping[str, np.ndarray] = field(default_factory=dict)
    nearest_others: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.float32))

    def __post_init__(self) -> None:
        """Check that the parts agree."""
        if len(self.vectors) != len(self.videos) or set(self.thresholds) != set(self.labels):
            raise ValueError(f"{len(self.videos)} videos of {self.labels}, vectors {self.vectors.shape}")

    def __len__(self) -> int:
        return len(self.videos)

    def __repr__(self) -> str:
        return f"Enrolment({len(self)} videos of {len(self.labels)} labels, vectors {self.vectors.shape})"

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to keep: no video, and no calibration."""
        return not self.videos and self.calibration.is_default

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The enrolled labels, sorted."""
        return tuple(sorted({video.label for video in self.videos}))

    def others_of(self, label: str) -> np.ndarray:
        """Return the cosines (N,) that set the threshold of a label; none if it was set before they were kept."""
        return self.others.get(label, np.zeros(0, dtype=np.float32))

    def write(self, folder: Path) -> None:
        """Put the enrolment in the place of the one in an index's folder, whole or not at all.

        The same enrolment gives the same bytes; of an empty one, there is no file. DataError if the place cannot be
        written to.
        """
        path = folder / NAME
        if self.is_empty:
            try:
                path.unlink(missing_ok=True)
                sync(folder)
            except OSError as error:
                raise DataError(f"{path}: cannot be removed: {error.strerror or error}") from error
            return
        made = self.calibration
        about = {
            "of": self.of,
            "nearest": self.nearest,
            "thresholds": {label: self.thresholds[label] for label in self.labels},
            "videos": _rows_of(self.videos),
            "calibration": [made.share, made.store, made.split, _rows_of(made.videos)],
        }
        arrays = {f"others{number}": self.others_of(label) for number, label in enumerate(self.labels)}
        arrays |= {"vectors": self.vectors, "held_out": made.vectors, "nearest_others": self.nearest_others}
        written = np.frombuffer(json.dumps({**about, SEAL: seal(about, arrays)}).encode(), dtype=np.uint8)
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, about=written, **arrays)  # type: ignore[arg-type]

    @classmethod
    def read(cls, folder: Path, *, of: str, dim: int) -> "Enrolment":
        """Return what was enrolled in the index of digest `of` and width `dim` that a folder holds; nothing if nothing.

        DataError if the file is damaged or belongs to another index.
        """
        path = current(folder, NAME)
        try:
            made = _read(Npz(path), dim=dim)
        except (DataError, ValueError) as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return cls(vectors=np.zeros((0, dim), dtype=np.float32), of=of)
            raise DataError(f"{path}: cannot be read ({reason_of(error).removeprefix(f'{path}: ')})") from error
        if made.of != of:
            raise DataError(f"{path}: was enrolled in another index; bring that index back, or remove the file")
        return made


def _read(arrays: Npz, *, dim: int) -> Enrolment:
    """What `write` wrote; DataError or ValueError if it is not that, or not as it was written."""
    said = parse_json(_array(arrays, "about", "u", ndim=1).tobytes(), where="about")
    about = Fields.of(said, where="about")
    expected = about.text(SEAL, default="")
    rest = {name: array for name, array in arrays.items() if name != "about"}
    if expected and seal({name: value for name, value in said.items() if name != SEAL}, rest) != expected:
        raise DataError("it is not as it was written: bring it back from a copy, or remove it and enroll again")
    thresholds = _thresholds(about.fields("thresholds"))
    calibration = Calibration()
    if "calibration" in about:  # not in what was enrolled before there was one
        given = about.list("calibration")
        if len(given) != 4:
            raise about.refuse("calibration", "a share, a store, a split and videos")
        made = Fields(dict(zip(("share", "store", "split", "videos"), given, strict=True)), "calibration")
        held_out = _vectors(arrays, "held_out", dim=dim)
        store, split, rows = made.text("store"), made.text("split"), _videos_of(made.list("videos"))
        calibration = Calibration(made.number("share"), store, split, rows, held_out)
    others, nearest_others = {}, np.zeros(0, dtype=np.float32)
    if "nearest_others" in arrays:  # nor were they kept
        others = {label: _cosines(arrays, f"others{number}") for number, label in enumerate(sorted(thresholds))}
        nearest_others = _cosines(arrays, "nearest_others")
    rows = _videos_of(about.list("videos"))
    nearest = None if about.values.get("nearest") is None else about.number("nearest")
    vectors = _vectors(arrays, "vectors", dim=dim)
    return Enrolment(rows, vectors, thresholds, nearest, about.text("of"), calibration, others, nearest_others)


def _array(arrays: Npz, name: str, kind: str, *, ndim: int) -> np.ndarray:
    if name not in arrays:
        raise DataError(f"{name} is missing; expected an array")
    array = arrays[name]
    if array.dtype.kind != kind or array.ndim != ndim:
        expected = f"{counted(ndim, 'axis', 'axes')} of {KINDS[kind]}"
        raise DataError(f"{name} is an array of {array.dtype}, shape {array.shape}; expected {expected}")
    return array.astype(np.float32, copy=False) if kind == "f" else array


def _vectors(arrays: Npz, name: str, *, dim: int) -> np.ndarray:
    vectors = _array(arrays, name, "f", ndim=2)
    if vectors.shape[1] not in ((0, dim) if not len(vectors) else (dim,)):
        raise DataError(f"{name} has the shape {vectors.shape}, the index the width {dim}; it is of another index")
    lengths = np.linalg.norm(vectors, axis=1)
    if len(vectors) and not (np.abs(lengths - 1) < 1e-3).all():  # false for what is no number too
        raise DataError(f"{name} has a row that is not of length 1; expected unit vectors")
    return vectors


def _cosines(arrays: Npz, name: str) -> np.ndarray:
    cosines = _array(arrays, name, "f", ndim=1)
    if not (np.abs(cosines) < 1.001).all() or not (np.diff(cosines) >= 0).all():
        raise DataError(f"{name} holds what are no cosines in rising order")
    return cosines


def _thresholds(found: Fields) -> dict[str, float | None]:
    return {label: None if value is None else found.number(label) for label, value in found.values.items()}


def _rows_of(videos: Sequence[Video]) -> list[list[object]]:
    return [[v.video_id, str(v.path), v.label, v.split, v.start, v.end] for v in videos]


def _videos_of(rows: Sequence[Any]) -> tuple[Video, ...]:
    """The videos of what `_rows_of` gave; DataError if it is not that."""
    for row in rows:
        fits = isinstance(row, list) and len(row) == 6 and all(isinstance(one, str) for one in row[:4])
        if not fits or not all(one is None or type(one) in (int, float) for one in row[4:]):
            raise DataError(f"a video is {shown(row)}; expected its id, path, label, split, start and end")
    videos = tuple(Video(video_id, Path(place), *rest) for video_id, place, *rest in rows)
    require_own_ids(videos)
    return videos


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Hold the index of a folder against other writers; readers see the old enrolment or the new.

    The lock lies on spec.json, which stays while classes are enrolled, so that no further file is left behind.
    DataError if another process holds it, or the folder is not an index.
    """
    clear_folder(folder)
    if not (folder / "spec.json").exists():  # the lock would make one
        raise DataError(f"{folder}: is not an index; expected a folder made by `framebank index`")
    with Lock(folder / "spec.json"):
        yield
