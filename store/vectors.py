"""Vectors: the one place where embeddings are made unit, and told from those that point nowhere."""

import numpy as np

SHORTEST = 1e-12  # a vector that is shorter counts as zeros


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (..., D) as float32 of length 1; a vector of zeros stays one."""
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    made: np.ndarray = vectors / np.maximum(norms, SHORTEST)
    return made


def has_direction(vectors: np.ndarray) -> np.ndarray:
    """Return which of the vectors (..., D) can be compared by cosine, (...): no zeros, and all values numbers."""
    vectors = np.asarray(vectors, dtype=np.float32)
    squares = np.einsum("...d,...d->...", vectors, vectors)  # a norm would copy them all
    found: np.ndarray = np.isfinite(squares) & (squares > SHORTEST**2)
    return found
