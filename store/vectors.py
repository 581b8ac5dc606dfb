"""Vectors: make embeddings unit, find those without a direction, and compare them. The only place that does."""

import numpy as np

BLOCK = 1024  # rows that are compared at once
SHORTEST = 1e-12  # a shorter vector counts as zero


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (..., D) as float32 of length 1. A zero vector stays zero."""
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    made: np.ndarray = vectors / np.maximum(norms, SHORTEST)
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
