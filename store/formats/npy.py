"""Npy: the arrays of numpy's files, npy and npz; their claims are checked against the bytes first."""

import contextlib
import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Literal

import numpy as np

from framebank.store.errors import DataError, parsing
from framebank.store.formats.archive import open_zip
from framebank.store.formats.text import require_regular

WHAT = "arrays of numpy"
SUFFIX = ".npy"


class Npz(Mapping[str, np.ndarray]):
    """The arrays of an npz by name, which stays open; each is read whole when it is indexed.

    DataError if the file is damaged, holds Python objects, or claims more than it has.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive = open_zip(path, what=WHAT)
        self._members = {member.filename.removesuffix(SUFFIX): member for member in self._archive.infolist()}

    def __getitem__(self, name: str) -> np.ndarray:
        with self._opened(name) as file:
            return _read(file, self._members[name].file_size, where=self._where(name))

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def form(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Return the shape and dtype of an array without reading its values."""
        with self._opened(name) as file:
            shape, dtype, _ = _header(file, self._members[name].file_size, where=self._where(name))
            return shape, dtype

    def _where(self, name: str) -> str:
        return f"{self.path}: its array {name!r}"

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        member = self._members[name]
        with parsing(self._where(name), what=WHAT), self._archive.open(member) as file:
            yield file


def read_npy(path: Path) -> np.ndarray:
    """Return the array of an npy, which stays on the disk until it is indexed; DataError as `Npz`."""
    require_regular(path)
    with parsing(path, what=WHAT):
        with path.open("rb") as file:
            shape, dtype, order = _header(file, path.stat().st_size, where=path)
            start = file.tell()
        if not math.prod(shape) * dtype.itemsize:
            return np.zeros(shape, dtype)
        return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape, order=order)


def parse_npy(content: bytes, *, where: object) -> np.ndarray:
    """Return the array in the bytes of an npy; DataError as `Npz`."""
    with parsing(where, what=WHAT):
        return _read(io.BytesIO(content), len(content), where=where)


def _read(file: IO[bytes], size: int, *, where: object) -> np.ndarray:
    """Return the array of an opened npy of `size` bytes."""
    shape, dtype, order = _header(file, size, where=where)
    wanted = math.prod(shape) * dtype.itemsize
    content = file.read(wanted)
    while rest := file.read(1 << 20):  # to the end, where a zip tells whether its sum is right
        del rest
    if len(content) != wanted:
        raise DataError(f"{where}: ends {wanted - len(content)} bytes early; it is cut short")
    if not wanted:
        return np.zeros(shape, dtype)
    return np.frombuffer(bytearray(content), dtype=dtype).reshape(shape, order=order)


def _header(file: IO[bytes], size: int, *, where: object) -> tuple[tuple[int, ...], np.dtype, Literal["C", "F"]]:
    """The shape, dtype and order that the header of an npy of `size` bytes claims, which are no more than it holds."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{where}: is an npy of version {version[0]}.{version[1]}; expected 1.0 or 2.0")
    reads = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = reads(file)
    if dtype.hasobject:
        raise DataError(f"{where}: holds Python objects, which are not read; expected numbers or strings")
    if not all(isinstance(one, int) and 0 <= one < 2**63 for one in shape) or len(shape) > 32:
        raise DataError(f"{where}: claims the shape {str(shape)[:60]}; expected sizes of 0 or more")
    claimed, there = math.prod(shape) * max(dtype.itemsize, 1), size - file.tell()
    if claimed > there:
        raise DataError(
            f"{where}: claims an array of {shape} {dtype}, {claimed} bytes, and {there} follow; it is cut short"
        )
    return shape, dtype, "F" if fortran else "C"
