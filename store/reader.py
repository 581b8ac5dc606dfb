"""ShardReader: one complete shard, read by video. What lies in it as plain bytes is read through a memory map."""

import math
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.errors import DataError
from framebank.store.shard import FRAME_STREAM, PATCH_MEAN, SOURCE, Embeddings, open_datasets, read_strings
from framebank.store.spec import FeatureSpec

# What h5py raises for a file that is damaged, or holds other things than a shard does.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, AttributeError, TypeError)


@dataclass(frozen=True)
class Contents:
    """What a shard says of itself: how it was made, its videos, the row behind each video's last, their decoders."""

    spec: FeatureSpec
    ids: tuple[str, ...]
    ends: tuple[int, ...]
    decoders: tuple[str, ...]


# Where each dataset lies in a file: first byte (None where it is not plain bytes), type and shape.
Layout = Mapping[str, tuple[int | None, np.dtype[Any], tuple[int, ...]]]


class ShardReader:
    """An open shard; DataError where it is damaged or none.

    With the `layout` that an earlier reader of the same file found, HDF5 is not asked again: it takes a millisecond to
    open a file. Not for another process: a fork or a pickle opens its own.
    """

    def __init__(self, path: Path, *, layout: Layout | None = None) -> None:
        self.path = path
        self._columns: dict[str, Any] = {}  # arrays on the map, or datasets where those bytes are chunked or filtered
        try:
            self._raw = path.open("rb", buffering=0)
        except OSError as error:
            raise DataError(f"{path}: cannot be opened: {error.strerror}") from error
        if layout is not None:
            self.layout = layout

    def __enter__(self) -> "ShardReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if "_raw" in self.__dict__:  # it could be opened
            self.close()

    def close(self) -> None:
        """Close the file; what was read stays."""
        self._columns = {}
        self.__dict__.pop("_map", None)  # unmapped when nobody reads it any more
        self._raw.close()
        if "file" in self.__dict__:
            self.file.close()

    @cached_property
    def file(self) -> Any:
        """The file as HDF5 sees it."""
        file = open_datasets(self.path)
        if _stamp(file.id.get_vfd_handle()) != self.stamp:
            raise DataError(f"{self.path}: was rewritten while it was being opened; open it again")
        return file

    @cached_property
    def layout(self) -> Layout:
        """Where each dataset of numbers lies; one of DAMAGE where that cannot be told."""
        found = ((name, self.file[name]) for name in self.names)
        return {name: (one.id.get_offset(), one.dtype, one.shape) for name, one in found if one.dtype.kind != "O"}

    @cached_property
    def contents(self) -> Contents:
        """What the shard says of itself; DataError where that does not add up."""
        path, file = self.path, self.file
        try:
            spec = FeatureSpec.from_dict(_plain(file.attrs), where=path)
            ids, decoders = read_strings(file["video_id"]), read_strings(file["decoder"])
            ends, rows = file["end"][:], len(file["frame_index"])
            whole = file["timestamp"].shape == (rows,) and file[f"streams/{FRAME_STREAM}"].shape == (rows, spec.dim)
        except DAMAGE as error:
            raise DataError(f"{path}: is damaged or no shard ({error}); {_MEND}") from error
        lengths = np.diff(ends, prepend=0)
        fits = len(ids) == len(ends) == len(decoders) > 0
        if not whole or lengths.sum() != rows or not (lengths > 0).all() or not fits:
            raise DataError(f"{path}: is damaged: its rows do not add up; {_MEND}")
        return Contents(spec, tuple(ids), tuple(ends.tolist()), tuple(decoders))

    @property
    def sources(self) -> dict[str, str]:
        """What file each video was read from, in words, "" where that is not known; DataError where it is damaged."""
        ids = self.contents.ids
        try:
            words = read_strings(self.file[SOURCE]) if SOURCE in self.file else [""] * len(ids)
            return dict(zip(ids, words, strict=True))
        except DAMAGE as error:
            raise DataError(f"{self.path}: {SOURCE} cannot be read ({error}); {_MEND}") from error

    @property
    def stamp(self) -> tuple[int, int]:
        """The size and time of the open file, which another file under the same name does not share."""
        return _stamp(self._raw.fileno())

    @property
    def names(self) -> list[str]:
        """The paths of the datasets in the file."""
        found: list[str] = []
        self.file.visititems(lambda name, node: found.append(name) if hasattr(node, "shape") else None)
        return found

    def whole(self, name: str) -> np.ndarray | list[str]:
        """Return a whole dataset, strings as a list; one of DAMAGE where it cannot be read."""
        dataset = self.file[name]
        return read_strings(dataset) if dataset.dtype.kind == "O" else np.asarray(dataset[:])

    def rows(self, start: int, end: int) -> Embeddings:
        """Return the rows from `start` to `end`, without further streams: data (R, D) as it is stored."""
        return Embeddings(
            data=self.column(f"streams/{FRAME_STREAM}", start, end),
            timestamps=self.column("timestamp", start, end),
            indices=self.column("frame_index", start, end),
            views=self.column("view", start, end),
            clips=self.column("clip", start, end),
        )

    def video(self, position: int) -> Embeddings:
        """Return everything of the video at a position among `contents.ids`, its further streams too."""
        ends = self.contents.ends
        start, end = (ends[position - 1] if position else 0), ends[position]
        names = self.contents.spec.stream_names
        mean = self.column(f"video_streams/{PATCH_MEAN}", position, position + 1)[0] if PATCH_MEAN in names else None
        further = {n: self.column(f"streams/{n}", start, end) for n in names - {FRAME_STREAM, PATCH_MEAN}}
        return replace(self.rows(start, end), streams=further, patch_mean=mean)

    def column(self, name: str, start: int, end: int) -> np.ndarray:
        """Return rows of one dataset, in memory of their own; empty for a view or clip that is not kept."""
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self._open_column(name)
        return np.array(column[start:end])

    def picked(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Return some rows of one dataset, (...) of row numbers -> (..., D)."""
        self.column(name, 0, 0)
        column = self._columns[name]
        found: np.ndarray = np.asarray(column if isinstance(column, np.ndarray) else column[:])[rows]
        return found

    def read_into(self, name: str, out: np.ndarray, *, start: int = 0) -> None:
        """Fill `out`, in one piece, with the rows of a dataset from `start` on, as fast as bytes can be read.

        DataError where the file is short.
        """
        offset, dtype, shape = self.layout[name]
        if offset is None or dtype != out.dtype or shape[1:] != out.shape[1:] or start + len(out) > shape[0]:
            self.file[name].read_direct(out, np.s_[start : start + len(out)])
            return
        offset += start * dtype.itemsize * math.prod(shape[1:])
        rest = out.reshape(-1).view(np.uint8).data  # the bytes of `out` itself
        while len(rest):
            count = os.preadv(self._raw.fileno(), [rest], offset)
            if count == 0:
                raise DataError(f"{self.path}: {name} ends early; {_MEND}")
            offset, rest = offset + count, rest[count:]

    def _open_column(self, name: str) -> Any:
        if name in ("view", "clip") and name not in self.layout:
            return np.zeros(0, dtype=np.int64)
        try:
            offset, dtype, shape = self.layout[name]
            if offset is None or self._map is None:
                return self.file[name]
            flat = np.frombuffer(self._map, dtype=dtype, count=math.prod(shape), offset=offset)
            return flat.reshape(shape)
        except DAMAGE as error:
            raise DataError(f"{self.path}: {name} cannot be read ({error}); {_MEND}") from error

    @cached_property
    def _map(self) -> mmap.mmap | None:
        """The bytes of the file; None on a file system that cannot map."""
        try:
            return mmap.mmap(self._raw.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError:
            return None


_MEND = "`framebank store repair` sets it aside, and its videos can be extracted again"


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in attributes.items()}


def _stamp(handle: int) -> tuple[int, int]:
    stat = os.fstat(handle)
    return stat.st_size, stat.st_mtime_ns
