"""Reader: how to make one good input, and what is read of it, and the fingerprint of what was read."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch


@dataclasses.dataclass(frozen=True)
class Reader:
    """`make` writes good files into a folder; each match of `files` there is mutated in turn; `read` reads the folder.

    `has_digest`: a value that changed is to be refused.
    """

    make: Callable[[Path], object]
    files: str
    read: Callable[[Path], Any]
    has_digest: bool = False


def text_file(name: str, text: str) -> Callable[[Path], object]:
    """Return what writes a text into a folder, as the file `name`."""
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


def of_file(name: str, read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Return what reads the file `name` of a folder."""
    return lambda folder: read(folder / name)


def fingerprint(value: Any, *, without: str = "") -> str:
    """The same for the same values, of whatever a reader hands on; `without` is a text that does not count."""
    state = hashlib.blake2b(digest_size=16)
    for part in _parts(value):
        state.update(part.replace(without.encode(), b"") + b"\0")
    return state.hexdigest()


def _parts(value: Any) -> Any:
    if isinstance(value, torch.nn.Module):
        value = value.state_dict()
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield field.name.encode()
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, Mapping | MappingProxyType):
        for key in sorted(value, key=repr):
            yield repr(key).encode()
            yield from _parts(value[key])
    elif isinstance(value, list | tuple):
        yield f"{len(value)}".encode()
        for each in value:
            yield from _parts(each)
    else:
        yield repr(value).encode()
