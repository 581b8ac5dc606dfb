"""Column: an array in an HDF5 file, read like a numpy array."""

from typing import Any

import numpy as np

from framebank.store.formats.datasets import Datasets


class Column:
    """An array that stays on the disk until it is indexed; DataError if it cannot be read."""

    def __init__(self, file: Datasets, name: str) -> None:
        self._file = file
        self._name = name
        form = file.forms[name]
        self.shape = form.shape if form.num_texts is None else (form.num_texts,)
        self.ndim = len(self.shape)
        self.dtype = np.dtype("O") if form.is_text else np.dtype(form.dtype)

    def __len__(self) -> int:
        return self.shape[0] if self.shape else 0

    def __getitem__(self, key: int | slice) -> np.ndarray:
        """Return a copy of a row, or of consecutive rows."""
        if not isinstance(key, slice):
            return self._file.row(self._name, int(key))
        start, end, _ = key.indices(len(self))
        return self._file.whole(self._name) if end - start == len(self) else self._file.rows(self._name, start, end)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self.strings() if self.dtype.kind == "O" else self._file.whole(self._name)
        return np.asarray(values, dtype=dtype or self.dtype)

    def strings(self) -> list[str]:
        """Return its strings."""
        return self._file.strings(self._name)
