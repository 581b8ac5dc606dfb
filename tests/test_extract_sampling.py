import numpy as np
import pytest

from framebank.extract.sampling import segment_indices
from framebank.store.shard import distinct_mask

LENGTHS = [*range(1, 70), 300, 301, 17_999, 10**12]


def test_centres_by_hand():
    assert segment_indices(16, 4).tolist() == [2, 6, 10, 14]
    assert segment_indices(10, 4).tolist() == [1, 3, 6, 8]  # centres 1.25, 3.75, 6.25, 8.75
    assert segment_indices(7, 1).tolist() == [3]
    assert segment_indices(8, 8).tolist() == list(range(8))


def test_short_video_repeats_frames():
    assert segment_indices(3, 8).tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert segment_indices(1, 3).tolist() == [0, 0, 0]


def test_distinct_mask_is_false_on_repeats():
    assert distinct_mask(segment_indices(3, 8)).tolist() == [True, False, False, True, False, True, False, False]
    assert distinct_mask(segment_indices(100, 8)).all()
    assert distinct_mask(np.zeros(0, dtype=np.int64)).tolist() == []


@pytest.mark.parametrize("num_frames", [1, 2, 3, 8, 16, 25])
def test_properties(num_frames):
    segment = np.arange(num_frames)
    for total in LENGTHS:
        indices = segment_indices(total, num_frames)
        assert indices.dtype == np.int64
        assert indices.shape == (num_frames,)
        assert indices.min() >= 0
        assert indices.max() < total
        assert (np.diff(indices) >= 0).all()
        # frame f covers the time from f to f + 1: it must overlap its segment, total / num_frames long
        assert (indices * num_frames < (segment + 1) * total).all()
        assert ((indices + 1) * num_frames > segment * total).all()
        # mirrored exactly, but that a centre on a border between two frames takes the later one
        on_border = (2 * segment + 1) * total % (2 * num_frames) == 0
        assert (indices + indices[::-1] == np.where(on_border, total, total - 1)).all()
        assert distinct_mask(indices).sum() == len(set(indices.tolist()))


def test_long_video_needs_no_floats():
    total = 10**16 + 1
    expected = [(2 * i + 1) * total // 32 for i in range(16)]
    assert segment_indices(total, 16).tolist() == expected


@pytest.mark.parametrize(("total", "num_frames"), [(0, 8), (-1, 8), (8, 0)])
def test_nothing_to_sample(total, num_frames):
    with pytest.raises(ValueError, match=f"total={total}, num_frames={num_frames}"):
        segment_indices(total, num_frames)
