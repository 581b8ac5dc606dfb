"""Windows: which frames an encoder of clips sees together, and the rows that they become."""

from pathlib import Path

import numpy as np
import pytest
import torch

from framebank.extract.pipeline import embed_clip, extract_videos
from framebank.extract.sampling import read_sampling
from framebank.extract.windows import Windows, require_whole_clips, window_places
from framebank.extract.worker import Job, Task
from framebank.store import DataError, FeatureStore, ShardWriter
from framebank.store.upkeep.repair import same_rows
from framebank.tests.worlds.fake_decoder import fake_decode
from framebank.tests.worlds.store import PREPROCESSING, SPEC, FakeEncoder, videos

SIZE = 3


class ClipEncoder(FakeEncoder):
    """The embedding of a clip is made of the sum of its frames, each by its place."""

    def start(self, pixels: torch.Tensor) -> np.ndarray:
        assert pixels.shape[1] == SIZE
        places = torch.arange(1, SIZE + 1).reshape(1, SIZE, 1, 1, 1)
        return super().start((pixels.to(torch.int64) * places).sum(1))


def task_of(sampling: str) -> Task:
    return Task(read_sampling(sampling), PREPROCESSING, fake_decode, clip_frames=SIZE)


def test_no_frame_is_lost_and_the_last_window_ends_with_the_last_frame() -> None:
    assert window_places(7, size=3).tolist() == [[0, 1, 2], [3, 4, 5], [4, 5, 6]]
    assert window_places(6, size=3).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert window_places(5, size=3).tolist() == [[0, 1, 2], [2, 3, 4]]  # 2 * 3 - 1: the tail that a step would drop
    with pytest.raises(DataError, match="has 2 of the 3 frames that one clip of the encoder needs"):
        window_places(2, size=3)


def pictures(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint8).reshape(count, 1, 1, 1, 1) * np.ones((1, 2, 2, 2, 3), dtype=np.uint8)


@pytest.mark.parametrize("chunks", [(7,), (1,) * 7, (2, 5), (4, 3)])
def test_windows_come_out_alike_however_the_frames_come(chunks: tuple[int, ...]) -> None:
    windows, frames = Windows(3, is_fixed=False), pictures(7)
    parts = [windows.add(part) for part in np.split(frames, np.cumsum(chunks)[:-1])]
    found = np.concatenate([*parts, windows.close(np.arange(7))])  # (W, views, size, S, S, 3)
    assert found.shape == (3, 2, 3, 2, 2, 3)
    assert found[:, 0, :, 0, 0, 0].tolist() == [[0, 1, 2], [3, 4, 5], [4, 5, 6]]


def test_clips_share_frames_and_short_videos_repeat_them() -> None:
    windows = Windows(3, num_clips=2, is_fixed=True)
    assert len(windows.add(pictures(4))) == 0
    found = windows.close(np.array([2, 4, 6, 2, 6, 9]))  # four distinct frames
    assert found[:, 1, :, 0, 0, 0].tolist() == [[0, 1, 2], [0, 2, 3]]
    still = Windows(3, is_fixed=True)
    still.add(pictures(1))
    assert still.close(np.zeros(3, dtype=np.int64)).shape == (1, 2, 3, 2, 2, 3)  # a picture, shown three times
    short = Windows(3, is_fixed=True)
    short.add(pictures(2))
    with pytest.raises(DataError, match="has 2 of the 3 frames"):
        short.close(np.array([0, 1, 1]))


def test_frames_that_do_not_fill_clips_are_refused_before_anything_is_decoded() -> None:
    with pytest.raises(
        DataError, match=r"clips of 3 frames, and 4 frames .*; expected a multiple of 3, such as --frames 6"
    ):
        task_of("segments:4")
    with pytest.raises(DataError, match="clips of 16 frames, and 8 frames"):
        require_whole_clips(8, size=16)
    assert task_of("fps:4").clip_frames == 3
    assert task_of("clips:2x3").clip_frames == 3


@pytest.mark.parametrize("sampling", ["segments:6", "fps:5", "clips:2x3", "stride:2"])
def test_a_row_is_a_window_with_its_seconds(sampling: str, tmp_path: Path) -> None:
    """Decoded in processes and in this one, through a store and without one: the same rows."""
    task, encoder = task_of(sampling), ClipEncoder(clip_frames=SIZE)
    some = videos("long-a", "long-b")
    (tmp_path / "store").mkdir()
    with ShardWriter(tmp_path / "store", SPEC) as writer:
        outcomes = list(extract_videos(some, task=task, encoders=[encoder], writer=writer, num_workers=1))
    assert [outcome.error for outcome in outcomes] == ["", ""]
    store = FeatureStore(tmp_path / "store")
    for video in some:
        alone = embed_clip(Job(video.path), task=task, encoder=encoder)
        rows = store[video.video_id]
        assert rows.windows is not None
        np.testing.assert_array_equal(rows.data, alone.data.astype(np.float16))
        np.testing.assert_array_equal(rows.windows, alone.windows)
        np.testing.assert_allclose(rows.timestamps, rows.windows.mean(1))
        assert (rows.windows[:, 0] < rows.windows[:, 1]).all()
        assert same_rows(store.read_video(video.video_id), store.read_video(video.video_id))
    assert rows.num_groups == (2 if sampling.startswith("clips") else 1)


def test_a_video_with_too_few_frames_fails_with_a_sentence() -> None:
    outcomes = list(extract_videos(videos("a"), task=task_of("fps:0.1"), encoders=[ClipEncoder(clip_frames=SIZE)]))
    assert outcomes[0].error.startswith("/videos/a.mp4: has ")
    assert "frames that one clip of the encoder needs; expected a longer video" in outcomes[0].error
