import numpy as np

from framebank.extract.decoders.frames import Clip
from framebank.extract.rows import assemble


def test_rows_are_ordered_by_view_clip_and_frame():
    indices = np.array([2, 5, 5, 2, 7, 9])  # 2 clips of 3 frames; 4 distinct frames
    clip = Clip(indices=indices, timestamps=indices / 10, decoder="fake")
    frame = np.array([[f, v] for f in (2, 5, 7, 9) for v in range(2)], dtype=np.float32)  # (U * views, 2)
    tokens = np.arange(4 * 2 * 3 * 1, dtype=np.float32).reshape(8, 3, 1)
    found = assemble(clip, {"frame": frame, "pre_proj": 2 * frame, "patch_mean": tokens}, num_views=2, num_clips=2)
    assert found.data.tolist() == [[f, v] for v in range(2) for f in indices]
    assert found.indices.tolist() == [*indices, *indices]
    assert found.views.tolist() == [0] * 6 + [1] * 6
    assert found.clips.tolist() == [0, 0, 0, 1, 1, 1] * 2
    assert found.num_groups == 4
    np.testing.assert_array_equal(found.streams["pre_proj"], 2 * found.data)
    by_frame = tokens.reshape(4, 2, 3, 1)
    np.testing.assert_allclose(found.patch_mean[0], by_frame[[0, 1], 0].mean(0))  # frames 2 and 5, once each
    np.testing.assert_allclose(found.patch_mean[3], by_frame[[0, 2, 3], 1].mean(0))
