"""Vectors: the one place where embeddings are made unit."""

import numpy as np


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (..., D) as float32 of length 1; a vector of zeros stays one."""
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    made: np.ndarray = vectors / np.maximum(norms, 1e-12)
    return made
