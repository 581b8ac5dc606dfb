"""Eight bits: rows of a stream in half the bytes, with what is lost by it."""

import math
from collections.abc import Iterable

import numpy as np

TAIL = 12  # bytes behind the codes of each vector: its lowest value, its step and its error, as little-endian float32
LEVELS = 255


def pack(values: np.ndarray) -> np.ndarray:
    """Return vectors (..., W) as codes (..., W + TAIL) uint8: a value is the lowest of its vector + code * step.

    The error kept behind them is the root of the mean square of the vector's differences.
    """
    x = values.astype(np.float32)
    low = x.min(-1, keepdims=True)
    step = (x.max(-1, keepdims=True) - low) / LEVELS
    codes = np.rint((x - low) / np.where(step > 0, step, 1)).astype(np.uint8)
    error = np.sqrt(np.square(low + codes * step - x).mean(-1, keepdims=True))
    behind = np.concatenate([low, step, error], axis=-1).astype("<f4")
    return np.concatenate([codes, behind.view(np.uint8)], axis=-1)


def unpack(packed: np.ndarray) -> np.ndarray:
    """Return what `pack` packed, (..., W) float16."""
    low, step, _ = _tail(packed)
    values: np.ndarray = (low + packed[..., :-TAIL] * step).astype(np.float16)
    return values


def relative_error(parts: Iterable[np.ndarray]) -> float:
    """Return the root of the mean square error of packed vectors, as a share of the root of their mean square.

    Each part is (..., W + TAIL); one is in memory at a time.
    """
    error = size = 0.0
    for packed in parts:
        values = unpack(packed)
        error += float(np.square(_tail(packed)[2], dtype=np.float64).sum()) * values.shape[-1]
        size += float(np.square(values, dtype=np.float64).sum())
    return math.sqrt(error / size) if size else 0.0


def is_packed(dtype: str) -> bool:
    """Return whether a dataset of this type holds codes."""
    return np.dtype(dtype) == np.uint8


def row_shape(shape: tuple[int, ...], dtype: str) -> tuple[int, ...]:
    """Return the shape of one row of a dataset, as its values are read."""
    return (*shape[1:-1], shape[-1] - TAIL) if is_packed(dtype) else shape[1:]


def tail(packed: np.ndarray) -> np.ndarray:
    """Return the lowest value, the step and the error of each packed vector, (..., 3) float32."""
    found: np.ndarray = np.ascontiguousarray(packed[..., -TAIL:]).view("<f4")
    return found


def _tail(packed: np.ndarray) -> np.ndarray:
    """Return the same, 3 x (..., 1)."""
    return np.moveaxis(tail(packed), -1, 0)[..., None]
