"""Bank: the embeddings of some videos in memory, with labels and masks; read as a whole or part by part."""

from collections.abc import Iterator, Sequence
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

PLACED = ("regions", "tokens")  # streams with several places in each frame
PART_BYTES = 1 << 26  # of embeddings in one of the banks that are read one after another
READ_BYTES = 1 << 24  # of embeddings that are read before they are copied to their places
AT_ONCE = 128  # groups whose values are checked at a time


@dataclass(frozen=True)
class Bank:
    """x (V*G, T, D) float16 as stored, mask (V*G, T) true if a frame is real, target (V,), -1 if a video has no label.

    Each video has G groups: its views and clips. Each group is a separate sequence, and the groups of a video are
    adjacent. If videos may have several of the `num_classes` labels, target is (V, C) float32, with 1 for each label.
    The layers of an encoder are a separate axis of x, (V*G, T, L, W). `num_listed` counts the videos that were asked
    for; the bank leaves out those without an embedding.
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
        """The device that holds the bank."""
        return self.x.device

    @property
    def labels(self) -> Tensor:
        """The share of each class in each video, (V, C) float32: 1 for its label, or for each of its labels."""
        return class_shares(self.target, self.num_classes)

    @property
    def frequency(self) -> Tensor:
        """The share of the videos that have each class, (C,) float32."""
        if self.target.ndim == 2:
            return self.target.mean(0)
        return self.target[self.target >= 0].bincount(minlength=self.num_classes) / len(self)

    @property
    def num_bytes(self) -> int:
        """The memory of the embeddings, in bytes."""
        return self.x.numel() * self.x.element_size()


class BankParts:
    """The videos of `manifest` that the store holds, before their embeddings are read: some at a time, or all.

    If `num_frames` is given, that many frames of each group are used (`group_rows`). A frame that repeats the one
    before it in its group is masked out; this happens if a video is shorter than the number of frames. The places of a
    frame (regions, tokens), and the patches of a video, follow one another as frames do. Every group has the same shape
    (T, D). DataError if the store holds none of the videos, or does not hold the stream.
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
        """Return the bank of all videos. It goes to the device if it fits into half of the free memory there."""
        return self._read(np.arange(len(self)), device)

    def read_chosen(self, chosen: np.ndarray, *, device: torch.device) -> Bank:
        """Return the bank of the videos at the places `chosen` (N,), in that order; no other rows are read."""
        return self._read(chosen, device)

    def read(self, *, device: torch.device, at_once: int = 0) -> Iterator[Bank]:
        """Yield banks of `at_once` videos, in their order. By default a bank takes some tens of megabytes.

        Each bank but the last has a multiple of 1024 groups. So batches of a power of two are the same batches as those
        of one whole bank.
        """
        step = at_once or max(1, PART_BYTES // max(1, 1024 * self._video_bytes)) * 1024
        for start in range(0, len(self), step):
            yield self._read(np.arange(start, min(start + step, len(self))), device)

    @property
    def _video_bytes(self) -> int:
        """Return how many bytes the embeddings of one video take."""
        one = self._first if self.stream == PATCH_MEAN else self._first[:1]
        return one.nbytes * (1 if self.stream == PATCH_MEAN else self.num_groups * self._places.shape[1])

    def _read(self, chosen: np.ndarray, device: torch.device) -> Bank:
        video_ids = tuple(self.video_ids[place] for place in chosen.tolist())
        data, mask = self._means(video_ids) if self.stream == PATCH_MEAN else self._rows(video_ids, chosen)
        x = torch.from_numpy(data)
        place = device if _fits(x, device) else torch.device("cpu")
        return Bank(
            video_ids=video_ids,
            x=x.to(place),
            mask=torch.from_numpy(mask).to(place),
            target=self.target[torch.from_numpy(chosen)].to(place),
            num_listed=self.num_listed,
            num_groups=self.num_groups,
            num_classes=self.num_classes,
        )

    def _means(self, video_ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        data = np.concatenate([self.store.read_stream(name, self.stream) for name in video_ids])
        return data, np.ones(data.shape[:2], dtype=bool)  # (V*G, P, D)

    def _rows(self, video_ids: Sequence[str], chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Read a few videos at a time, straight to their places, so that only one copy of the rows exists."""
        groups, step = self.num_groups, max(1, READ_BYTES // max(1, self._video_bytes))
        sequences = (chosen[:, None] * groups + np.arange(groups)).ravel()  # (N*G,)
        mask = self._real[sequences]
        data = np.empty((*mask.shape, *self._first.shape[1:]), dtype=self._first.dtype)  # (N*G, T, ...)
        for first in range(0, len(chosen), step):
            rows, indices, ends = self.store.read_some(video_ids[first : first + step], self.stream)
            starts = np.append([0], ends[:-1]).repeat(groups)[:, None]
            out = slice(first * groups, (first + step) * groups)
            places = starts + self._places[sequences[out]]
            np.take(rows, places, axis=0, out=data[out], mode="clip")  # not copied, as with the mode that raises
            mask[out] &= distinct_mask(indices[places])
        if self.stream not in PLACED:
            return data, mask
        return data.reshape(len(data), -1, data.shape[-1]), mask.repeat(data.shape[2], axis=1)  # (V*G, T*R, D)

    def _counts(self) -> np.ndarray:
        """Return how many rows each video has, (V,). DataError if its groups differ in their number of rows."""
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
    """Read the videos of `manifest` that the store holds; see BankParts.

    The bank goes to the device if it fits into half of the free memory there; otherwise it stays in host memory.
    """
    parts = BankParts(store, manifest, labels, num_frames=num_frames, stream=stream, multi_label=multi_label)
    return parts.read_all(device=device)


def require_finite(bank: Bank, *, where: object) -> None:
    """Raise DataError, with the video, if a frame of a bank holds a value that is not a number."""
    good = torch.empty(len(bank.x), dtype=torch.bool)  # (V*G,)
    for start in range(0, len(good), AT_ONCE):
        good[start : start + AT_ONCE] = bank.x[start : start + AT_ONCE].isfinite().flatten(1).all(1)
    if not good.all():
        video_id = bank.video_ids[int((~good).nonzero()[0]) // bank.num_groups]
        raise DataError(f"{where}: the embedding of {video_id!r} holds values that are not numbers")


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
    """Return the rows that each video's groups use: counts (V,) -> places (V*G, T), and which are real (V*G, T).

    With `num_frames`, these are the centres of that many equal segments of a group. A shorter group uses all its rows.
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
