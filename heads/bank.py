"""Bank: the embeddings of some videos, whole in memory, with what a batch needs beside them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from framebank.heads.shares import class_shares
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.memory import Rows
from framebank.store.shard import PATCH_MEAN, distinct_mask
from framebank.store.videos.labels import LabelSet
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.video import Video


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


def load_bank(
    store: Rows,
    manifest: Manifest,
    labels: LabelSet | None,
    *,
    device: torch.device,
    num_frames: int = 0,
    stream: str = "frame",
    multi_label: bool = False,
) -> Bank:
    """Read the videos of `manifest` that the store holds; DataError when it holds none, or not the stream.

    With `num_frames`, that many frames of each group are used (`group_rows`). In a group, a frame that repeats the one
    before it (a video shorter than the number of frames) is masked out. The regions of a frame, and the patches of a
    video, come one after the other as frames do. The bank goes to the device when it fits into half of its free memory,
    else it stays in the host's.
    """
    present = {video_id: position for position, video_id in enumerate(store.ids)}
    videos = [video for video in manifest.videos if video.video_id in present]
    if not videos:
        raise DataError(f"{store.path}: of the {counted(len(manifest), 'video')} asked for, none has an embedding")
    if labels and not multi_label:
        Manifest(tuple(videos)).require_single_labels()
    if stream == PATCH_MEAN:
        means = [store.read_stream(video.video_id, stream) for video in videos]  # V x (G, P, D)
        num_groups, data = len(means[0]), np.concatenate(means)  # (V*G, P, D)
        mask = np.ones(data.shape[:2], dtype=bool)
    else:
        chosen = np.array([present[video.video_id] for video in videos])
        num_groups = store[videos[0].video_id].num_groups
        data, mask = _gather(store, stream, videos, chosen, num_groups=num_groups, num_frames=num_frames)
    x = torch.from_numpy(data)
    place = device if _fits(x, device) else torch.device("cpu")
    return Bank(
        video_ids=tuple(video.video_id for video in videos),
        x=x.to(place),
        mask=torch.from_numpy(mask).to(place),
        target=_targets(videos, labels, multi_label=multi_label).to(place),
        num_listed=len(manifest),
        num_groups=num_groups,
        num_classes=len(labels) if labels else 0,
    )


def _gather(
    store: Rows,
    stream: str,
    videos: list[Video],
    chosen: np.ndarray,
    *,
    num_groups: int,
    num_frames: int,
) -> tuple[np.ndarray, np.ndarray]:
    data, indices, ends = store.read_packed(stream)
    starts = np.concatenate([[0], ends[:-1]])
    counts = (ends - starts)[chosen]
    if (counts % num_groups).any():
        odd = int(np.flatnonzero(counts % num_groups)[0])
        raise DataError(
            f"{store.path}: {videos[odd].video_id!r} has {counted(int(counts[odd]), 'row')}; expected a multiple "
            f"of {num_groups}, the number of views and clips of each video"
        )
    places, real = group_rows(counts, num_groups=num_groups, num_frames=num_frames)
    rows = starts[chosen].repeat(num_groups)[:, None] + places  # (V*G, T)
    mask = real & distinct_mask(indices[rows])
    if stream != "regions":
        return data[rows], mask  # (V*G, T, ...)
    tokens = data[rows]  # (V*G, T, R, D)
    return tokens.reshape(len(rows), -1, tokens.shape[-1]), mask.repeat(tokens.shape[2], axis=1)  # (V*G, T*R, D)


def _targets(videos: list[Video], labels: LabelSet | None, *, multi_label: bool) -> Tensor:
    if not multi_label or not labels:
        return torch.tensor([labels.index(video.label) if labels and video.label else -1 for video in videos])
    target = torch.zeros(len(videos), len(labels))
    for row, video in zip(target, videos, strict=True):
        row[[labels.index(name) for name in video.labels]] = 1
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
