"""Enrolment: videos added to an index under a label, and the source of its thresholds; one file beside the index."""

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
KINDS = {"u": "bytes", "f": "numbers"}  # numpy's letters for the kinds of arrays


@dataclass(frozen=True, eq=False)
class Calibration:
    """What sets the thresholds: the `share` of other classes' videos that may pass, and the videos that are used.

    They are held-out videos (N,) of a split of a store, with their unit vectors (N, D) float32. Without any, the videos
    of the index itself are used.
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
        """Whether it is the calibration of an index that was never calibrated."""
        return not self.videos and self.share == SHARE


@dataclass(frozen=True, eq=False)
class Enrolment:
    """videos (E,), unit vectors (E, D) float32, and the cosine from which a video passes.

    `thresholds` has each enrolled label, with None if too few videos could set one. `nearest` is the threshold for the
    nearest of the index's own videos. `calibration` set both, by cosines (N,) float32, ascending, of videos of other
    classes: `others` has them for each label, and `nearest_others` for `nearest`. `of` is the digest of the index.
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
        """Whether there is nothing to keep: no video and no calibration."""
        return not self.videos and self.calibration.is_default

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The enrolled labels, sorted."""
        return tuple(sorted({video.label for video in self.videos}))

    def others_of(self, label: str) -> np.ndarray:
        """Return the cosines (N,) that set the threshold of a label; empty if an earlier version did not keep them."""
        return self.others.get(label, np.zeros(0, dtype=np.float32))

    def write(self, folder: Path) -> None:
        """Write the enrolment into an index's folder in place of the old one, completely or not at all.

        The same enrolment gives the same bytes. An empty enrolment has no file. DataError if the folder cannot be
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
        """Return the enrolment of the index in a folder, with digest `of` and width `dim`; empty if there is none.

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
    """Return what `write` wrote. DataError or ValueError if it is something else, or has been changed."""
    said = parse_json(_array(arrays, "about", "u", ndim=1).tobytes(), where="about")
    about = Fields.of(said, where="about")
    expected = about.text(SEAL, default="")
    rest = {name: array for name, array in arrays.items() if name != "about"}
    if expected and seal({name: value for name, value in said.items() if name != SEAL}, rest) != expected:
        raise DataError("it is not as it was written: bring it back from a copy, or remove it and enroll again")
    thresholds = _thresholds(about.fields("thresholds"))
    calibration = Calibration()
    if "calibration" in about:  # earlier versions had none
        given = about.list("calibration")
        if len(given) != 4:
            raise about.refuse("calibration", "a share, a store, a split and videos")
        made = Fields(dict(zip(("share", "store", "split", "videos"), given, strict=True)), "calibration")
        held_out = _vectors(arrays, "held_out", dim=dim)
        store, split, rows = made.text("store"), made.text("split"), _videos_of(made.list("videos"))
        calibration = Calibration(made.number("share"), store, split, rows, held_out)
    others, nearest_others = {}, np.zeros(0, dtype=np.float32)
    if "nearest_others" in arrays:  # earlier versions did not keep them
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
    if len(vectors) and not (np.abs(lengths - 1) < 1e-3).all():  # false for NaN too
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
    """Return the videos of a list that `_rows_of` made. DataError if it is something else."""
    for row in rows:
        fits = isinstance(row, list) and len(row) == 6 and all(isinstance(one, str) for one in row[:4])
        if not fits or not all(one is None or type(one) in (int, float) for one in row[4:]):
            raise DataError(f"a video is {shown(row)}; expected its id, path, label, split, start and end")
    videos = tuple(Video(video_id, Path(place), *rest) for video_id, place, *rest in rows)
    require_own_ids(videos)
    return videos


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Lock the index in a folder against other writers. Readers see either the old enrolment or the new one.

    The lock is on spec.json, which stays while classes are enrolled, so no further file remains. DataError if another
    process holds it, or if the folder is not an index.
    """
    clear_folder(folder)
    if not (folder / "spec.json").exists():  # the lock would create the file
        raise DataError(f"{folder}: is not an index; expected a folder made by `framebank index`")
    with Lock(folder / "spec.json"):
        yield
