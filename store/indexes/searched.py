"""Searched: what an index is searched by beside the vectors of its videos: rows, a structure, and what was measured."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.digest import digest, seal
from framebank.store.errors import DataError
from framebank.store.files.replacing import current, remove_together
from framebank.store.formats.document import Fields
from framebank.store.formats.npy import Npz
from framebank.store.formats.text import require_regular
from framebank.store.indexes.flat import MORE
from framebank.store.indexes.rows import LEVELS, Rows, read_rows
from framebank.store.indexes.spec import FULL, PLAIN, VERSION, unreadable
from framebank.store.indexes.structure import TYPES, Structure, read_structure
from framebank.store.indexes.tuning import NAME, Measured, Target, asked_in, read_measured

NEAR, PLACES = "near.faiss", "near.npz"


@dataclass(frozen=True, eq=False)
class Searched:
    """`rows` of the videos if the level is not "video", and a `near` structure if the search is not exact.

    `asked` is what the user asked for, so that an update does the same; `measured` what came of it.
    """

    rows: Rows | None = None
    near: Structure | None = None
    asked: Target = field(default_factory=lambda: Target("flat"))
    measured: Measured | None = None

    @property
    def level(self) -> str:
        """What is searched: "video", "clip" or "frame"."""
        return self.rows.level if self.rows else "video"

    @property
    def type(self) -> str:
        """The type of the index: "flat" if the search is exact."""
        return self.near.kind if self.near else "flat"

    @property
    def is_plain(self) -> bool:
        """Whether the whole videos are searched exactly, as indexes of version 2 are."""
        return self.rows is None and self.near is None

    @property
    def version(self) -> int:
        """The version of the files: the lowest that says all."""
        if self.is_plain:
            return PLAIN
        return VERSION if self.rows and self.rows.vectors.dtype == np.float16 else FULL

    def only(self, videos: Sequence[int]) -> "Searched":
        """Return what is left for some of the videos, by their numbers. Their few rows are searched exactly."""
        return replace(self, rows=self.rows.select(videos) if self.rows else None, near=None)

    def write(self, part: Path) -> dict[str, Any]:
        """Write its files into `part`, a folder of `replacing_together`; return what spec.json says of them."""
        about: dict[str, Any] = {"level": self.level, "type": self.type, "asked": self.asked.to_dict()}
        if self.rows:
            self.rows.write(part)
            about["rows"] = self.rows.digest()
        if self.near:
            self.near.write(part / NEAR)
            if self.near.places is not None:
                with (part / PLACES).open("wb") as file:
                    np.savez(file, places=self.near.places)
            about |= {"settings": dict(self.near.settings), "near": _digest(part)}
        if self.measured:
            figures = self.measured.to_dict()
            (part / NAME).write_text(json.dumps(figures, indent=2), encoding="utf-8")
            about["measured"] = seal(figures, {})
        for name in (*MORE, NAME):
            if not (part / name).exists() and (part.parent / name).exists():
                remove_together(part, name)
        return about


def read_searched(folder: Path, about: Fields | None, *, shape: tuple[int, int], check: bool) -> Searched:
    """Return what `write` wrote, mapped into memory, for an index with vectors of a shape (V, D).

    With `check` the files are held against their digests, which reads all of them. DataError if it is something else.
    """
    if about is None:
        return Searched()
    try:
        found = _read(folder, about, check=check)
        rows = len(found.rows) if found.rows else shape[0]
        if found.rows and (len(found.rows.ends), found.rows.vectors.shape[1]) != shape:
            raise DataError(f"has rows of {len(found.rows.ends)} videos, and lists {shape[0]}")
        if found.near and not found.near.fits(rows, shape[1]):
            raise DataError(f"{NEAR} is of other vectors")
    except DataError as error:
        raise unreadable(folder, error) from error
    return found


def _read(folder: Path, about: Fields, *, check: bool) -> Searched:
    level, kind = about.text("level"), about.text("type")
    if level not in LEVELS or kind not in ("flat", *TYPES):
        raise DataError(f"level {level!r} and type {kind!r} are not known to this framebank")
    rows, near = None if level == "video" else read_rows(folder, level), None
    if rows and check and rows.digest() != about.text("rows"):
        raise DataError("its rows are not as they were written; make it again with `framebank index`")
    if kind != "flat":
        path, found = current(folder, PLACES), about.fields("settings")
        places = _places(path) if path.exists() else None
        settings = {name: found.whole(name, least=1) for name in found.values}
        if check and _digest(folder) != about.text("near"):
            raise DataError(f"{NEAR} is not as it was written; make it again with `framebank index`")
        near = read_structure(current(folder, NEAR), kind, settings, places)
    return Searched(rows, near, asked_in(about.fields("asked")), _measured(folder, about))


def _measured(folder: Path, about: Fields) -> Measured | None:
    found = read_measured(folder)
    sealed = seal(found.to_dict(), {}) if found else None
    if "measured" in about.values and sealed != about.text("measured"):  # an earlier version wrote no digest of it
        raise DataError(f"{NAME} is not as it was written; make it again with `framebank index`")
    return found


def _places(path: Path) -> np.ndarray:
    arrays = Npz(path)
    if "places" not in arrays or arrays["places"].dtype != np.int64 or arrays["places"].ndim != 1:
        raise DataError(f"{path}: holds no whole numbers called places")
    return arrays["places"]


def _digest(folder: Path) -> str:
    """Return the digest of the files of a structure."""
    paths = [current(folder, name) for name in (NEAR, PLACES)]
    if not paths[0].exists():
        raise DataError(f"{NEAR} is missing; make it again with `framebank index`")
    there = [path for path in paths if path.exists()]
    try:
        for path in there:
            require_regular(path)
        return digest({path.name: np.memmap(path, np.uint8, mode="r") for path in there})
    except (OSError, ValueError) as error:  # numpy maps no empty file
        raise DataError(f"{NEAR} cannot be read ({error}); make it again with `framebank index`") from error
