"""Which frames of a video are embedded: integer arithmetic on frame counts, nothing else."""

import numpy as np
import numpy.typing as npt


def segment_indices(total: int, num_frames: int) -> npt.NDArray[np.int64]:
    """Return the centre frame of each of `num_frames` equal segments of a video of `total` frames: (T,) int64.

    These are the test-time indices of TSN (Wang et al., 2016, arXiv 1608.00859). A video with fewer frames than
    segments repeats frames; the store's `distinct_mask` tells the repeats. ValueError where either number is below 1.
    """
    if total < 1 or num_frames < 1:
        raise ValueError(f"segments need at least 1 frame and 1 segment, got total={total}, num_frames={num_frames}")
    odd = 2 * np.arange(num_frames, dtype=np.int64) + 1
    return odd * total // (2 * num_frames)


def checked_indices(indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return indices (T,) as int64; ValueError where they are not integers from 0 on, one at least."""
    indices = np.asarray(indices)
    if indices.ndim != 1 or len(indices) == 0 or indices.dtype.kind not in "iu" or indices.min() < 0:
        raise ValueError(f"indices must be (T,) integers from 0 on, T at least 1, got {indices.dtype} {indices.shape}")
    return indices.astype(np.int64)
