"""Bank: the embeddings of some videos in memory, with what a batch needs beside them, whole or part by part."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from framebank.heads.shares import class_shares
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.memory import Rows
from framebank.store.shard import FRAME_STREAM, PATCH_MEAN, distinct_mask
from framebank.store.videos.labels import LabelSet
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.video import labels_in

PART_BYTES = 1 << 26  # of embeddings that are read before they go to their places


@dataclass(frozen=True)
class Bank:
    """x (V*G, T, D) float16 as stored, mask (V*G, T) true where a frame is real, target (V,) or -1 where not labelled.

    Each of a video's G groups, its views and clips, is a sequence of its own; those of a video lie together. Where
    videos may have several of the `num_classes` labels, target is (V, C) float32, 1 for each of them. Layers of an
    encoder lie beside each other in x, (V*G, T, L, W).
    `num_listed` is how many videos were asked for; those without an embedding are not in the bank.
    """

    video_ids: tuple[str, ...]
    x: Tensor
    mask: Tensor
    target: Tensor
    num_listed: int
    num_groups: int = 1
    num_classes: int = 0

    def __len__(self) -> int:
        return len(self.video_ids)

    def __repr__(self) -> str:
        return f"Bank(x={tuple(self.x.shape)} {self.x.dtype} on {self.x.device}, {self.num_listed} listed)"

    @property
    def device(self) -> torch.device:
        """Where the bank lies."""
        return self.x.device

    @property
    def labels(self) -> Tensor:
        """How much each class holds of each video, (V, C) float32: 1 for its label, or for each of them."""
        return class_shares(self.target, self.num_classes)

    @property
    def frequency(self) -> Tensor:
        """The share of the videos that are of each class, (C,) float32."""
        if self.target.ndim == 2:
            return self.target.mean(0)
        return self.target[self.target >= 0].bincount(minlength=self.num_classes) / len(self)

    @property
    def num_bytes(self) -> int:
        """How much memory the embeddings take."""
        return self.x.numel() * self.x.element_size()


class BankParts:
    """The videos of `manifest` that the store holds, before their embeddings are read: some at a time, or all.

    With `num_frames`, that many frames of each group are used (`group_rows`). In a group, a frame that repeats the one
    before it (a video shorter than the number of frames) is masked out. The regions of a frame, and the patches of a
    video, come one after the other as frames do. All parts have the same shape (T, D) of a group. DataError if the
    store holds none of the videos, or not the stream.
    """

    def __init__(
        self,
        store: Rows,
        manifest: Manifest,
        labels: LabelSet | None,
        *,
        num_frames: int = 0,
        stream: str = FRAME_STREAM,
        multi_label: bool = False,
    ) -> None:
        present = set(store.ids)
        held = [row for row, video_id in enumerate(manifest.ids) if video_id in present]
        if not held:
            raise DataError(f"{store.path}: of the {counted(len(manifest), 'video')} asked for, none has an embedding")
        videos = manifest if len(held) == len(manifest) else manifest.select(held)
        if labels and not multi_label:
            videos.require_single_labels()
        self.store, self.stream = store, stream
        self.video_ids = tuple(videos.ids)
        self.target = _targets(videos, labels, multi_label=multi_label)
        self.num_listed = len(manifest)
        self.num_classes = len(labels) if labels else 0
        if stream == PATCH_MEAN:
            self._first = store.read_stream(self.video_ids[0], stream)  # (G, P, D)
            self.num_groups = len(self._first)
            return
        self.num_groups = store[self.video_ids[0]].num_groups
        counts = self._counts()
        self._first, _, _ = store.read_some(self.video_ids[:1], stream)  # (R, ...)
        self._places, self._real = group_rows(counts, num_groups=self.num_groups, num_frames=num_frames)  # (V*G, T)

    def __len__(self) -> int:
        return len(self.video_ids)

    def read_all(self, *, device: torch.device) -> Bank:
        """Return the bank of all videos; it goes to the device when it fits into half of its free memory."""
        return self._read(0, len(self), device)

    def read(self, *, device: torch.device, at_once: int = 0) -> Iterator[Bank]:
        """Yield banks of `at_once` videos, in their order; by default of as many as take some tens of megabytes.

        They have a multiple of 1024 groups, but for the last, so that what is made of them in batches of a power of two
        is made of the same batches as of a bank of all.
        """
        step = at_once or max(1, PART_BYTES // max(1, 1024 * self._video_bytes)) * 1024
        for start in range(0, len(self), step):
            yield self._read(start, min(start + step, len(self)), device)

    @property
    def _video_bytes(self) -> int:
        """How many bytes the embeddings of a video take."""
        one = self._first if self.stream == PATCH_MEAN else self._first[:1]
        return one.nbytes * (1 if self.stream == PATCH_MEAN else self.num_groups * self._places.shape[1])

    def _read(self, start: int, end: int, device: torch.device) -> Bank:
        data, mask = self._means(start, end) if self.stream == PATCH_MEAN else self._rows(start, end)
        x = torch.from_numpy(data)
        place = device if _fits(x, device) else torch.device("cpu")
        return Bank(
            video_ids=self.video_ids[start:end],
            x=x.to(place),
            mask=torch.from_numpy(mask).to(place),
            target=self.target[start:end].to(place),
            num_listed=self.num_listed,
            num_groups=self.num_groups,
            num_classes=self.num_classes,
        )

    def _means(self, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        data = np.concatenate([self.store.read_stream(name, self.stream) for name in self.video_ids[start:end]])
        return data, np.ones(data.shape[:2], dtype=bool)  # (V*G, P, D)

    def _rows(self, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Read a few videos at a time, straight to their places: of all rows there is one copy."""
        groups, step = self.num_groups, max(1, PART_BYTES // max(1, self._video_bytes))
        mask = self._real[start * groups : end * groups].copy()
        data = np.empty((*mask.shape, *self._first.shape[1:]), dtype=self._first.dtype)  # (V*G, T, ...)
        for first in range(start, end, step):
            last = min(first + step, end)
            rows, indices, ends = self.store.read_some(self.video_ids[first:last], self.stream)
            starts = np.append([0], ends[:-1]).repeat(groups)[:, None]
            places = starts + self._places[first * groups : last * groups]
            out = slice((first - start) * groups, (last - start) * groups)
            np.take(rows, places, axis=0, out=data[out], mode="clip")  # not copied, as with the mode that raises
            mask[out] &= distinct_mask(indices[places])
        if self.stream != "regions":
            return data, mask
        return data.reshape(len(data), -1, data.shape[-1]), mask.repeat(data.shape[2], axis=1)  # (V*G, T*R, D)

    def _counts(self) -> np.ndarray:
        """How many rows each video has, (V,); DataError if its groups have not the same number."""
        counts = self.store.num_rows_of(self.video_ids)
        if (counts % self.num_groups).any():
            odd = int(np.flatnonzero(counts % self.num_groups)[0])
            raise DataError(
                f"{self.store.path}: {self.video_ids[odd]!r} has {counted(int(counts[odd]), 'row')}; expected a "
                f"multiple of {self.num_groups}, the number of views and clips of each video"
            )
        return counts


def load_bank(
    store: Rows,
    manifest: Manifest,
    labels: LabelSet | None,
    *,
    device: torch.device,
    num_frames: int = 0,
    stream: str = FRAME_STREAM,
    multi_label: bool = False,
) -> Bank:
    """Read the videos of `manifest` that the store holds, as BankParts says.

    The bank goes to the device when it fits into half of its free memory, else it stays in the host's.
    """
    parts = BankParts(store, manifest, labels, num_frames=num_frames, stream=stream, multi_label=multi_label)
    return parts.read_all(device=device)


def _targets(videos: Manifest, labels: LabelSet | None, *, multi_label: bool) -> Tensor:
    if not labels:
        return torch.full((len(videos),), -1)
    places = {label: [labels.index(name) for name in labels_in(label)] for label in set(videos.columns.labels)}
    if not multi_label:
        return torch.tensor([places[label][0] if label else -1 for label in videos.columns.labels])
    target = torch.zeros(len(videos), len(labels))
    for row, label in zip(target, videos.columns.labels, strict=True):
        row[places[label]] = 1
    return target


def group_rows(counts: np.ndarray, *, num_groups: int, num_frames: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return which of its rows a video's groups use, counts (V,) -> places (V*G, T), and where they are real (V*G, T).

    With `num_frames`, those are the centres of as many equal segments of the group, or all of a shorter group.
    """
    lengths = counts[:, None] // num_groups  # (V, 1)
    kept = np.minimum(lengths, num_frames) if num_frames else lengths
    frame = np.arange(kept.max())  # (T,)
    real = frame < kept  # (V, T)
    centres = np.where(real, (2 * frame + 1) * lengths // (2 * kept), 0)  # (V, T): `frame` itself where all are kept
    first = lengths * np.arange(num_groups)  # (V, G)
    places = (first[:, :, None] + centres[:, None]).reshape(-1, len(frame))  # (V, G, T) -> (V*G, T)
    return places, real.repeat(num_groups, axis=0)


def _fits(x: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return x.numel() * x.element_size() < free / 2
