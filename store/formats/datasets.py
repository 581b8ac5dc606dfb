"""Datasets: an HDF5 file, of which this process reads only plain bytes; another process answers for the rest.

Another process has examined the file (`hdf5_process.py`), now or before it was remembered. So damage in a file can
neither hang nor crash its reader, and no other file is read. Values are compared with their checksums when they are
first read.
"""

import hashlib
import math
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.errors import DataError, PlaceError
from framebank.store.formats.description import DIGEST, Description, Form, dataset_digest, unpacked
from framebank.store.formats.hdf5_process import ask
from framebank.store.formats.remembered import LARGE, Known, Stamp, is_same, keep, recall, stamp_of

LARGEST = 1 << 30  # bytes that may be unpacked to one array, where it is much smaller in the file
MUCH = 64
FEW = 16  # one row of so many is read alone, of fewer all are read together


class Datasets:
    """An open file; DataError if it is damaged, names other files, or claims more than it has.

    `known` is what an earlier reader of the same file found. With `anew` everything is checked again. `mend` is the end
    of the messages: what to do about damage. Another process (a fork or a pickle) opens the file itself.
    """

    def __init__(self, path: Path, *, known: Known | None = None, anew: bool = False, mend: str = "") -> None:
        self.path = path
        self._mend = f"; {mend}" if mend else ""
        self._plain: dict[str, tuple[int, int, tuple[int, ...], np.dtype[Any]]] = {}  # of sound datasets
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe could wait for ever
                raise DataError(f"{path}: is not a regular file{', but a folder' * path.is_dir()}")
            self._raw = path.open("rb", buffering=0)
        except FileNotFoundError as error:
            raise PlaceError(f"{path}: no such file") from error
        except (OSError, ValueError) as error:
            raise PlaceError(f"{path}: cannot be opened: {getattr(error, 'strerror', None) or error}") from error
        self._handle = self._raw.fileno()
        stamp = stamp_of(self._handle)
        if known is not None and not is_same(known.stamp, stamp):
            raise PlaceError(f"{path}: has been rewritten since this store was opened; open it again")
        known = known and replace(known, stamp=stamp)  # of one more link to it, say
        self.known = known or (None if anew else recall(path, stamp)) or self._examined(stamp)
        self.attributes = self.known.description.attributes
        self.forms = self.known.description.forms

    def __enter__(self) -> "Datasets":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if "_raw" in self.__dict__:  # it could be opened
            self.close()

    def close(self) -> None:
        """Close the file; what was read stays."""
        self._handle = -1
        self._raw.close()

    def doubt(self) -> None:
        """Compare every dataset with its checksum again, whatever is remembered."""
        self.known.sound.clear()

    def damaged(self, problem: str) -> DataError:
        """Return the error with this text and the name of this file."""
        shown = problem if problem.isprintable() else ascii(problem)[1:-1]
        return DataError(f"{self.path}: {shown[:500]}{self._mend}")

    def form(self, name: str) -> Form:
        """Return the form of a dataset; DataError if it is not there or cannot be read."""
        if name not in self.forms:
            raise self.damaged(f"is damaged: it holds no {name}")
        form = self.forms[name]
        if form.problem:
            raise self.damaged(f"{name} {form.problem}")
        return form

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a dataset, (N,) where it holds N strings."""
        form = self.form(name)
        return form.shape if form.num_texts is None else (form.num_texts,)

    def strings(self, name: str) -> list[str]:
        """Return a dataset of strings, of any length or of one, as a list."""
        form = self.form(name)
        if form.texts is not None:
            self._settle(name, form, lambda: dataset_digest(form.texts or ()))
            return list(form.texts)
        try:
            if form.num_texts is not None:
                return unpacked(self.whole(name).tobytes(), form.num_texts)
            if np.dtype(form.dtype).kind == "S" and len(form.shape) == 1:
                return [value.decode() for value in self.whole(name).tolist()]
        except ValueError as error:
            raise self.damaged(f"is damaged: {name} cannot be read as strings ({error})") from error
        raise self.damaged(f"is damaged: {name} holds {form.dtype} {form.shape}, expected strings")

    def rows(self, name: str, start: int, end: int) -> np.ndarray:
        """Return a copy of rows of a dataset of numbers."""
        plain = self._plain.get(name)
        if plain is None:
            self.require_sound(name)
            form = self.form(name)
            if form.offset is None:
                return self._rows(name, form, start, end)
            plain = self._plain[name] = form.offset, form.num_row_bytes, form.shape, np.dtype(form.dtype)
        offset, num_row_bytes, shape, dtype = plain
        if not 0 <= start <= end <= shape[0]:
            start, end, _ = slice(start, end).indices(shape[0])
        out = np.empty((max(0, end - start), *shape[1:]), dtype=dtype)
        self._pread(name, out, offset + start * num_row_bytes)
        return out

    def row(self, name: str, number: int) -> np.ndarray:
        """Return one row."""
        found: np.ndarray = self.rows(name, number, number + 1)[0]
        return found

    def picked(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Return some rows, (...) of row numbers -> (..., D)."""
        form, wanted = self.form(name), rows.reshape(-1)
        if form.offset is None or len(wanted) * FEW > form.shape[0]:
            found: np.ndarray = self.whole(name)[rows]
            return found
        self.require_sound(name)
        out = np.empty((len(wanted), *form.shape[1:]), dtype=form.dtype)
        for place, row in zip(out[:, None], wanted.tolist(), strict=True):
            self._pread(name, place, form.offset + row * form.num_row_bytes)
        return out.reshape(*rows.shape, *form.shape[1:])

    def whole(self, name: str) -> np.ndarray:
        """Return a copy of a whole dataset, except strings of variable length."""
        form = self.form(name)
        if form.texts is not None:
            raise self.damaged(f"{name} holds strings, expected numbers")
        if form.offset is None and form.num_bytes > max(LARGEST, MUCH * form.num_stored):
            raise self.damaged(f"{name} would take {form.num_bytes} bytes, of {form.num_stored} in the file")
        values = self._rows(name, form, 0, form.shape[0]) if form.shape else self._value(name, form)
        self._settle(name, form, lambda: dataset_digest(values))
        return values

    def read_into(self, name: str, out: np.ndarray, *, start: int = 0) -> None:
        """Fill `out`, in one piece, with the rows of a dataset from `start` on, as fast as bytes can be read."""
        form = self.form(name)
        if form.shape[1:] != out.shape[1:] or start + len(out) > form.shape[0]:
            raise self.damaged(f"{name} has the shape {form.shape}, expected rows {out.shape[1:]}")
        is_whole = len(out) == form.shape[0] and np.dtype(form.dtype) == out.dtype
        if not is_whole:
            self.require_sound(name)
        if form.offset is None or np.dtype(form.dtype) != out.dtype:
            out[:] = self._rows(name, form, start, start + len(out))
        else:
            self._pread(name, out, form.offset + start * form.num_row_bytes)
        if is_whole:
            self._settle(name, form, lambda: dataset_digest(out))

    def require_sound(self, name: str) -> None:
        """Compare a whole dataset with its checksum, unless this user has done so before; DataError if it differs."""
        form = self.form(name)
        if form.digest and name not in self.known.sound:
            if form.num_bytes >= LARGE:  # another process may have done so meanwhile
                other = recall(self.path, self.known.stamp)
                self.known.sound.update(other.sound if other else ())
            self._settle(name, form, lambda: self._digest(name, form))

    def _examined(self, stamp: Stamp) -> Known:
        try:
            description = Description.from_json(ask(self.path, stamp, "describe")[1])
        except PlaceError:
            raise
        except DataError as error:
            raise DataError(f"{error}{self._mend}") from error
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise self.damaged(f"is damaged ({error})") from error
        known, size = Known(stamp, description, set()), stamp[0]
        for name, form in description.forms.items():
            if form.offset is not None and form.offset + form.num_bytes > size:
                raise self.damaged(f"{name} claims {form.num_bytes} bytes, more than the file of {size} can hold")
        is_new = any(form.num_texts is not None for form in description.forms.values())
        checksum = description.attributes.get(DIGEST)
        if (is_new or checksum is not None) and checksum != description.digest:
            raise self.damaged("does not have its checksum; it is damaged")
        keep(self.path, known)
        return known

    def _settle(self, name: str, form: Form, checksum: Callable[[], str]) -> None:
        if not form.digest or name in self.known.sound:
            return
        if checksum() != form.digest:
            raise self.damaged(f"{name} does not have its checksum; it is damaged")
        self.known.sound.add(name)
        if form.num_bytes >= LARGE:
            keep(self.path, self.known)

    def _digest(self, name: str, form: Form) -> str:
        state = hashlib.blake2b(digest_size=16)
        for start, end in form.slices(0, form.shape[0] if form.shape else 1):
            values = self._rows(name, form, start, end) if form.shape else self._value(name, form)
            state.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
        return state.hexdigest()

    def _rows(self, name: str, form: Form, start: int, end: int) -> np.ndarray:
        start, end = max(0, start), min(end, form.shape[0])
        out = np.empty((max(0, end - start), *form.shape[1:]), dtype=form.dtype)
        if form.offset is not None and out.size:
            self._pread(name, out, form.offset + start * form.num_row_bytes)
            return out
        for first, last in form.slices(start, end) if out.size else ():
            out[first - start : last - start] = self._asked(name, form, first, last)
        return out

    def _value(self, name: str, form: Form) -> np.ndarray:
        """The value of a dataset without rows."""
        if form.offset is None:
            return self._asked(name, form, 0, 0)
        out = np.empty(1, dtype=form.dtype)
        self._pread(name, out, form.offset)
        return out.reshape(())

    def _asked(self, name: str, form: Form, start: int, end: int) -> np.ndarray:
        try:
            dtype, content = ask(self.path, self.known.stamp, "rows", place=form.place, start=start, end=end)
        except PlaceError:
            raise
        except DataError as error:
            raise DataError(f"{error}{self._mend}") from error
        shape = (end - start, *form.shape[1:]) if form.shape else ()
        if dtype != form.dtype or len(content) != np.dtype(dtype).itemsize * math.prod(shape):
            raise self.damaged(f"{name} is damaged: it is read as {len(content)} bytes of {dtype}")
        return np.frombuffer(content, dtype=dtype).reshape(shape)

    def _pread(self, name: str, out: np.ndarray, offset: int) -> None:
        try:
            done = os.preadv(self._handle, [out.data], offset) if out.size else 0
            while done < out.nbytes:
                rest = out.reshape(-1).view(np.uint8)[done:]  # the bytes of `out` itself
                count = os.preadv(self._handle, [rest.data], offset + done)
                if count == 0:
                    raise self.damaged(f"{name} ends early")
                done += count
        except OSError as error:  # a bad sector; of a memory map, it would end the process
            raise self.damaged(f"{name} cannot be read: {error.strerror}") from error
