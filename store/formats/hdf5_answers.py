"""The answers of the process that reads HDF5: what a file holds, and rows of its datasets."""

from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.errors import DataError
from framebank.store.formats.hdf5 import File, Watch, describe, open_file, read_rows
from framebank.store.formats.remembered import MOVED, Stamp, stamp_of


class Hdf5Answers:
    """The last file stays open: an import asks for one file a hundred thousand times."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._open: tuple[Path, Stamp, File] | None = None

    def answer(self, question: dict[str, Any]) -> tuple[Any, bytes]:
        """Return plain values and bytes; DataError, or whatever h5py raises, where the file cannot be read."""
        path, stamp = Path(question["path"]), question["stamp"]
        file = self._file(path, tuple(stamp))
        if question["question"] == "describe":
            return None, describe(file, size=stamp[0], watch=self._watch).to_json().encode()
        values = read_rows(file, question["place"], question["start"], question["end"])
        return values.dtype.str, np.ascontiguousarray(values).tobytes()

    def _file(self, path: Path, stamp: Stamp) -> File:
        if self._open is None or self._open[:2] != (path, stamp):
            if self._open is not None:
                self._open[2].close()
                self._open = None
            file = open_file(path)
            if stamp_of(path) != stamp:
                file.close()
                raise DataError(MOVED)
            self._open = path, stamp, file
        return self._open[2]
