"""Description: the content of an HDF5 file in plain values: its attributes, and the form and place of each dataset."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from framebank.store.digest import digest

# The attribute of a dataset, and of a file, that holds its checksum.
DIGEST = "blake2b"

# The attribute of a dataset of bytes that says how many strings they are: UTF-8, a zero byte behind each.
NUM_TEXTS = "strings"

Value = str | int | float | None  # of an attribute; None for one that is something else

SLICE = 1 << 24  # bytes that are read at a time where a dataset does not lie in the file as plain bytes

KINDS = "fiubcSO"  # of numpy's types, those that are read; O stands for strings that lie elsewhere in the file


@dataclass(frozen=True)
class Form:
    """One dataset of a file.

    dtype      numpy's name of its type, as "<f2"; "|O" for strings of any length as HDF5 keeps them
    shape      as HDF5 has it
    offset     the place of its first byte in the file; None if it does not lie there as plain bytes
    place      its name in the file; a link may give it another name
    digest     its checksum, "" if it has none
    num_texts  how many strings its bytes are; None if they are not strings
    texts      its strings, if only HDF5 can read them
    num_stored how many bytes of the file are its own, if it does not lie there as plain bytes
    problem    why it cannot be read, "" if it can
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int | None
    place: str
    digest: str = ""
    num_texts: int | None = None
    texts: tuple[str, ...] | None = None
    num_stored: int = 0
    problem: str = ""

    def __post_init__(self) -> None:
        """Check values that may come from a damaged file."""
        numbers = [*self.shape, self.offset or 0, self.num_texts or 0, self.num_stored]
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError(f"expected whole numbers from 0, got {numbers}")
        if np.dtype(self.dtype).kind not in KINDS and not self.problem:
            raise ValueError(f"expected a type of {KINDS}, got {self.dtype}")

    @property
    def num_bytes(self) -> int:
        """How many bytes all its values have."""
        return np.dtype(self.dtype).itemsize * math.prod(self.shape)

    @property
    def num_row_bytes(self) -> int:
        """How many bytes a row has."""
        return np.dtype(self.dtype).itemsize * math.prod(self.shape[1:])

    def slices(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the first row and the end of parts of these rows that are not large."""
        rows = self.shape[0] if self.shape else 1
        step = max(1, SLICE * rows // max(1, self.num_bytes))
        for first in range(start, end, step):
            yield first, min(first + step, end)

    @property
    def is_text(self) -> bool:
        """Whether it holds strings of any length."""
        return self.num_texts is not None or np.dtype(self.dtype).kind == "O"


@dataclass(frozen=True)
class Description:
    """What a file holds: its attributes, its datasets by name, and the names of groups that hold nothing."""

    attributes: Mapping[str, Value]
    forms: Mapping[str, Form]
    empty_groups: tuple[str, ...] = field(default=())

    @property
    def digest(self) -> str:
        """The checksum that the file should have: over its attributes, and each dataset's checksum, type and shape."""
        attributes = {name: value for name, value in self.attributes.items() if name != DIGEST}
        datasets = {name: [form.digest, form.dtype, form.shape] for name, form in self.forms.items()}
        text = json.dumps({"attributes": attributes, "datasets": datasets}, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps({**vars(self), "forms": {name: _short(form) for name, form in self.forms.items()}})

    @classmethod
    def from_json(cls, text: str | bytes) -> "Description":
        """Return what `to_json` gave; ValueError, TypeError or KeyError for another text."""
        found = json.loads(text)
        return cls(
            {str(name): value for name, value in found["attributes"].items()},
            {str(name): _form(values) for name, values in found["forms"].items()},
            tuple(map(str, found["empty_groups"])),
        )


def _short(form: Form) -> dict[str, Any]:
    """Its fields, without those that are as usual."""
    usual = Form(form.dtype, form.shape, form.offset, form.place)
    always = ("dtype", "shape", "offset", "place")
    return {name: value for name, value in vars(form).items() if name in always or value != getattr(usual, name)}


def _form(found: Mapping[str, Any]) -> Form:
    texts = found.get("texts")
    lists = {"shape": tuple(found["shape"]), "texts": None if texts is None else tuple(texts)}
    return Form(**{**found, **lists})


def dataset_digest(values: np.ndarray | Iterable[str]) -> str:
    """Return the checksum of one dataset: an array's bytes, or strings in UTF-8 with a zero byte behind each."""
    return digest({"": values if isinstance(values, np.ndarray) else packed(values)})


def packed(texts: Iterable[str]) -> np.ndarray:
    """Return strings as bytes (N,): UTF-8 with a zero byte behind each; ValueError for one that cannot be so."""
    texts = list(texts)
    odd = next((text for text in texts if "\0" in text), None)
    if odd is not None:
        raise ValueError(f"{odd!r} holds a zero byte")
    return np.frombuffer("".join(f"{text}\0" for text in texts).encode(), dtype=np.uint8)


def unpacked(content: bytes, count: int) -> list[str]:
    """Return the strings that `packed` made bytes of; ValueError where they are not so many."""
    texts = content.decode().split("\0")
    if texts.pop() or len(texts) != count:
        raise ValueError(f"{len(texts)} strings, expected {count}")
    return texts
