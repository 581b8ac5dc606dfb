"""FrameDataset: the videos of a store for your own training loop."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.videos.labels import LabelSet
from framebank.store.videos.manifest import Manifest


class FrameDataset(Dataset[tuple[Tensor, int]]):
    """The embedded videos of a split. Item i is x (T, D) float32, not normalised, and the position of its label.

    Rows are read when they are asked for. Each process opens its own files, so workers may be forked or spawned. The
    classes are `labels`, or all labels of the store, whatever the split. A video without a label has -1. DataError if
    the store or the split does not exist, if no video of it has an embedding, or if a label is not among `labels`.
    """

    def __init__(self, store: str | Path, *, split: str = "all", labels: LabelSet | None = None) -> None:
        self.store = FeatureStore(store)
        listed = self.store.split(split)
        videos = [video for video in listed.videos if video.video_id in self.store]
        if not videos:
            raise DataError(f"{store}: of the {counted(len(listed), 'video')} asked for, none has an embedding")
        names = self.store.manifest.labels
        self.labels = labels or (LabelSet.of(names) if names else None)
        if self.labels:
            self.labels.require_covers(listed.labels, mine="the set of classes", theirs=store)
        self.video_ids = tuple(video.video_id for video in videos)
        if self.labels:
            Manifest(tuple(videos)).require_single_labels()
        self.targets = tuple(self.labels.index(v.label) if self.labels and v.label else -1 for v in videos)

    def __len__(self) -> int:
        return len(self.video_ids)

    def __getitem__(self, item: int) -> tuple[Tensor, int]:
        x = torch.from_numpy(self.store[self.video_ids[item]].data).float()  # (T, D)
        return x, self.targets[item]


def pad_frames(batch: Sequence[tuple[Tensor, int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Return x (B, T, D) padded with zeros, mask (B, T) true for real frames, target (B,). Use it as `collate_fn`."""
    counts = torch.tensor([len(x) for x, _ in batch])
    padded = torch.nn.utils.rnn.pad_sequence([x for x, _ in batch], batch_first=True)  # (B, T, D)
    mask = torch.arange(padded.shape[1]) < counts[:, None]  # (B, T)
    return padded, mask, torch.tensor([target for _, target in batch])
