"""Sealed files: HDF5 files that hold only plain bytes, with a checksum of each dataset and of the whole file."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from framebank.store.errors import DataError
from framebank.store.files.replacing import replacing
from framebank.store.formats.description import DIGEST, NUM_TEXTS, Description, Form, Value, dataset_digest, packed
from framebank.store.formats.remembered import remember

LONGEST = 60_000  # bytes of an attribute: HDF5 takes 64 KiB


def write_datasets(path: Path, datasets: Mapping[str, Any], attributes: Mapping[str, Value]) -> None:
    """Write arrays and lists of strings as one HDF5 file, completely or not at all, and remember it as good.

    Strings are written as one dataset of bytes, as `packed` gives them: HDF5's own strings of any length lie in a heap,
    where damage can keep a reader for ever. DataError if a string cannot be written, or the place not written to.
    """
    content = io.BytesIO()  # HDF5 itself cannot close a file on a full disk
    with h5py.File(content, "w") as file:
        forms = {name: _write(file, name, values, path=path) for name, values in datasets.items()}
        description = Description(_plain(attributes), forms)
        sealed = {**description.attributes, DIGEST: description.digest}
        for name, value in sealed.items():
            _set(file.attrs, name, value, path=path)
    with replacing(path) as part:
        part.write_bytes(content.getbuffer())
    remember(path, Description(sealed, forms), sound=forms, size=content.getbuffer().nbytes)


def _write(file: h5py.File, name: str, values: np.ndarray | list[str], *, path: Path) -> Form:
    num_texts = len(values) if isinstance(values, list) else None
    try:
        content = packed(values) if isinstance(values, list) else np.ascontiguousarray(values)
    except ValueError as error:
        raise DataError(f"{path}: {name} cannot be written ({error}); expected strings in UTF-8") from error
    dataset, checksum = file.create_dataset(name, data=content), dataset_digest(content)
    _set(dataset.attrs, DIGEST, checksum, path=path)
    if num_texts is not None:
        _set(dataset.attrs, NUM_TEXTS, num_texts, path=path)
    offset = dataset.id.get_offset()
    return Form(content.dtype.str, content.shape, offset, f"/{name}", checksum, num_texts, num_stored=content.nbytes)


def _plain(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in attributes.items()}


def _set(holder: h5py.AttributeManager, name: str, value: Value, *, path: Path) -> None:
    if not isinstance(value, str):
        holder[name] = value
        return
    try:
        content = value.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: {name} cannot be written ({error}); expected text in UTF-8") from error
    if len(content) > LONGEST or b"\0" in content:
        raise DataError(f"{path}: {name} cannot be written: {value[:80]!r}; expected text of {LONGEST} bytes at most")
    holder.create(name, content, dtype=h5py.string_dtype("utf-8", max(1, len(content))))
