"""Arrays: the named arrays of a file that another program wrote (npz, HDF5, npy, pt), read without running its code."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.counts import listed
from framebank.store.errors import DataError, parsing
from framebank.store.formats.column import Column
from framebank.store.formats.datasets import Datasets
from framebank.store.formats.npy import Npz, read_npy
from framebank.store.formats.torch_file import read_torch, tensors_in

HDF5_SUFFIXES = (".h5", ".hdf5")
TORCH_SUFFIXES = (".pt", ".pth")

# The usual names of these arrays, the most likely first.
EMBEDDING_NAMES = ("features", "embeddings", "embedding", "feature", "x")
ID_NAMES = ("video_id", "video_ids", "video", "videos", "ids", "id")
LABEL_NAMES = ("label", "labels", "target", "targets", "y")
CLASS_NAMES = ("classes", "class_names", "names")
SPLIT_COLUMNS = ("split", "splits")
END_NAMES = ("end", "ends")


@dataclass(frozen=True)
class ArrayForm:
    """The shape of an array and the kind of its values, as numpy's `dtype.kind`."""

    shape: tuple[int, ...]
    kind: str

    @property
    def size(self) -> int:
        """How many values it holds."""
        return int(np.prod(self.shape))


class Arrays(Mapping[str, Any]):
    """The arrays of one file by name; those of an HDF5 file and of an npy stay on the disk until they are indexed.

    An npz or pt gives each of its arrays whole. `empty_groups` are the groups of an HDF5 file that hold nothing.
    DataError if the file cannot be read, or holds Python objects.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.empty_groups: tuple[str, ...] = ()
        self._found: Mapping[str, Any]
        if path.suffix.lower() in HDF5_SUFFIXES:
            _require_file(path)
            file = Datasets(path)
            self._found = {name: Column(file, name) for name in file.forms}
            self.empty_groups = file.known.description.empty_groups
        else:
            self._found = _open(path)

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            raise KeyError(name)
        with parsing(f"{self.path}: its array {name!r}", what="an array"):
            return self._found[name]

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def describe(self, name: str) -> ArrayForm:
        """Return the form of an array; of an npz its values are not read."""
        if isinstance(self._found, Npz):
            shape, dtype = self._found.form(name)
            return ArrayForm(shape, dtype.kind)
        array = self[name]
        return ArrayForm(tuple(array.shape or ()), array.dtype.kind)

    def find(self, wanted: str | None, names: Sequence[str]) -> str | None:
        """Return the name that was asked for, or the first of the usual `names` that is there; None if none is.

        DataError if the name asked for is not there.
        """
        if wanted is not None:
            if wanted not in self._found:
                raise DataError(f"{self.path}: holds no array {wanted!r}; it has {listed(self)}")
            return wanted
        return next((name for name in names if name in self._found), None)

    def require(self, wanted: str | None, names: Sequence[str], *, option: str) -> str:
        """Return the result of `find`, or the only array; DataError that names the option to choose one."""
        name = self.find(wanted, names) or (next(iter(self)) if len(self) == 1 else None)
        if name is None:
            raise DataError(f"{self.path}: holds the arrays {listed(self)}; choose one with {option}")
        return name

    def strings(self, name: str) -> list[str]:
        """Return an array of strings or whole numbers (V,) as strings; DataError if it is something else."""
        array = self[name]
        if array.ndim != 1:
            raise DataError(
                f"{self.path}: its array {name!r} has the shape {array.shape}, expected one value for each video"
            )
        kind = array.dtype.kind
        if isinstance(array, Column) and kind in "OS":
            return array.strings()
        values = np.asarray(array[:])
        if kind == "S":
            with parsing(f"{self.path}: its array {name!r}", what="strings in UTF-8"):
                return [value.decode() for value in values.tolist()]
        if kind in "Uiu":
            return [str(value) for value in values.tolist()]
        raise DataError(
            f"{self.path}: its array {name!r} has the type {array.dtype}, expected strings or whole numbers"
        )


def _open(path: Path) -> Mapping[str, Any]:
    _require_file(path)
    suffix = path.suffix.lower()
    if suffix in TORCH_SUFFIXES:
        return _torch(path)
    return Npz(path) if suffix == ".npz" else {path.stem: read_npy(path)}


def _require_file(path: Path) -> None:
    """Raise DataError if there is no regular file: reading a FIFO or a device could wait for ever."""
    if not path.is_file():
        raise DataError(f"{path}: {'is not a regular file' if path.exists() else 'no such file'}")


def _torch(path: Path) -> Mapping[str, Any]:
    import torch  # a store alone does not load it

    found = read_torch(path, what="a file of tensors that loads without running code")
    tensors = dict(tensors_in(found if isinstance(found, dict) else {path.stem: found}))
    if not tensors:
        raise DataError(f"{path}: holds a {type(found).__name__} without a tensor; expected a tensor (T, D)")
    with parsing(path, what="tensors"):
        wide = {n: t.float() if t.is_floating_point() and t.dtype != torch.float64 else t for n, t in tensors.items()}
        return {name: tensor.detach().numpy() for name, tensor in wide.items()}  # numpy has no bfloat16
