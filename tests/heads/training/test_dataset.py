"""FrameDataset: what a training loop gets, in one process and in several."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from framebank.heads.training.dataset import FrameDataset, pad_frames
from framebank.store import DataError, FeatureStore, LabelSet, Manifest, Video
from framebank.tests.worlds.store import make_store

ROWS = {"a1": 3, "a2": 3, "b1": 3, "b2": 3}  # labelled by their first letter


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    folder = make_store(tmp_path / "bank", ROWS)
    videos = FeatureStore(folder).manifest.videos
    listed = [Video(v.video_id, v.path, v.label, "test" if v.video_id == "b2" else "train") for v in videos]
    Manifest((*listed, Video("c1", Path("/c1.mp4"), "c", "train"))).write(folder / "manifest.csv")
    return folder


def test_items_are_frames_and_the_place_of_the_label(bank: Path) -> None:
    dataset = FrameDataset(bank, split="train")
    assert dataset.video_ids == ("a1", "a2", "b1")
    assert dataset.labels is not None and dataset.labels.names == ("a", "b", "c")
    x, target = dataset[2]
    assert x.dtype == torch.float32 and target == 1
    assert np.array_equal(x.numpy(), FeatureStore(bank)["b1"].data.astype(np.float32))
    assert FrameDataset(bank, split="test")[0][1] == 1  # the classes are the store's, not the split's
    assert FrameDataset(bank, split="test", labels=LabelSet(("c", "B", "a")))[0][1] == 1


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_several_workers_give_every_video_once(bank: Path, context: str) -> None:
    dataset = FrameDataset(bank)
    _ = dataset[0]  # a file is open before the workers start
    loader = DataLoader(dataset, batch_size=1, num_workers=2, multiprocessing_context=context)
    found = [(x[0], int(target)) for x, target in loader]
    assert [target for _, target in found] == [0, 0, 1, 1]
    assert all(torch.equal(x, dataset[i][0]) for i, (x, _) in enumerate(found))


def test_videos_of_different_lengths_are_padded(tmp_path: Path) -> None:
    dataset = FrameDataset(make_store(tmp_path / "bank", {"a": 2, "b": 4}))
    x, mask, target = next(iter(DataLoader(dataset, batch_size=2, collate_fn=pad_frames)))
    assert x.shape == (2, 4, 8) and target.tolist() == [0, 1]
    assert mask.tolist() == [[True, True, False, False], [True] * 4]
    assert (x[0, 2:] == 0).all() and torch.equal(x[1], dataset[1][0])


def test_a_video_without_a_label_has_none(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "bank", {"a": 2})
    Manifest((Video("a", Path("/a.mp4")),)).write(folder / "manifest.csv")
    dataset = FrameDataset(folder)
    assert dataset.labels is None and dataset[0][1] == -1


def test_wrong_splits_and_labels_are_refused(bank: Path) -> None:
    with pytest.raises(DataError, match=r"bank: no video is in the split 'val'; the splits are: test"):
        FrameDataset(bank, split="val")
    with pytest.raises(DataError, match="has 1 class without 'b'"):
        FrameDataset(bank, split="test", labels=LabelSet(("a",)))
