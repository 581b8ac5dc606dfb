"""Digest: a short name for arrays, or for the content of a file, that changes if any value changes."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

SEAL = "blake2b"  # the name of a digest inside the file that it describes


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return 32 hexadecimal digits for named arrays. The order of the arrays does not matter."""
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        state.update(name.encode())
        state.update(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data)
    return state.hexdigest()


def seal(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """Return 32 hexadecimal digits for the content of a file: plain values, and arrays with names, types and shapes.

    They depend on the values only (JSON with sorted names, little-endian bytes in C order), not on the file's layout.
    """
    state = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=16)
    for name in sorted(arrays):
        array = arrays[name]
        plain = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
        state.update(f"\0{name}\0{plain.dtype.str}\0{array.shape}\0".encode())
        state.update(plain.reshape(-1).view(np.uint8).data)
    return state.hexdigest()
