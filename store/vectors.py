"""Vectors: make embeddings unit, find those without a direction, and compare them. The only place that does."""

import math

import numpy as np

BLOCK = 1024  # rows that are compared at once
SHORTEST = 1e-12  # a shorter vector counts as zero
SAME = 5e-7  # a square of the length that is no farther from 1 is 1, but for rounding


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (..., D) as float32 of length 1. A zero vector stays zero."""
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    made: np.ndarray = vectors / np.maximum(norms, SHORTEST)
    return made


def unit_if_directed(vectors: np.ndarray) -> np.ndarray | None:
    """Return vectors (Q, D) as `unit` does, contiguous, or None if one of them has no direction, in one pass."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if len(vectors) == 1:  # as most searches have it; the calls of the general way take longer than what they do
        square = float(np.vdot(vectors, vectors))
        if abs(square - 1) < SAME:
            return vectors
        return vectors / np.float32(math.sqrt(square)) if SHORTEST**2 < square < math.inf else None
    squares = np.einsum("qd,qd->q", vectors, vectors)
    if not ((squares > SHORTEST**2) & np.isfinite(squares)).all():
        return None
    made: np.ndarray = vectors / np.sqrt(squares)[:, None]
    return made


def near_pairs(vectors: np.ndarray, *, at_least: float) -> list[tuple[int, int, float]]:
    """Return the pairs of unit vectors (N, D) with at least this cosine, as (first, second, cosine), nearest first."""
    pairs: list[tuple[int, int, float]] = []
    for start in range(0, len(vectors), BLOCK):
        cosines = vectors[start : start + BLOCK] @ vectors[start:].T
        first, second = np.nonzero(np.triu(cosines >= at_least, k=1))
        pairs += [(start + int(a), start + int(b), float(cosines[a, b])) for a, b in zip(first, second, strict=True)]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))


def has_direction(vectors: np.ndarray) -> np.ndarray:
    """Return which of the vectors (..., D) can be compared by cosine, (...): not zero, and every value a number."""
    vectors = np.asarray(vectors, dtype=np.float32)
    squares = np.einsum("...d,...d->...", vectors, vectors)  # np.linalg.norm would copy all of them
    found: np.ndarray = np.isfinite(squares) & (squares > SHORTEST**2)
    return found
