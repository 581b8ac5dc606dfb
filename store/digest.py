"""Digest: the name of some numbers, or of what a file says, that changes when any of it does."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

SEAL = "blake2b"  # what a digest is called in the file that it is of


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return 32 figures for arrays and their names, in the order of the names whatever order they come in."""
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        state.update(name.encode())
        state.update(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data)
    return state.hexdigest()


def seal(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """Return 32 figures for what a file says: plain values, and arrays with their names, types and shapes.

    They are of the values, as JSON with sorted names and as little-endian bytes in C order, and not of a file's layout.
    """
    state = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=16)
    for name in sorted(arrays):
        array = arrays[name]
        plain = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
        state.update(f"\0{name}\0{plain.dtype.str}\0{array.shape}\0".encode())
        state.update(plain.reshape(-1).view(np.uint8).data)
    return state.hexdigest()
