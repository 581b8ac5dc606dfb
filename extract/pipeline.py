"""The pipeline: decode ahead in threads, encode full batches across videos, write. Its heavy parts are handed in."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from framebank.store.errors import DataError
from framebank.store.manifest import Video
from framebank.store.shard import Embeddings, ShardWriter
from framebank.store.spec import FeatureSpec


class Clip(Protocol):
    """What the pipeline asks of decoded frames."""

    @property
    def data(self) -> np.ndarray:
        """The frames, (T, H, W, 3) uint8 RGB."""
        ...

    @property
    def timestamps(self) -> np.ndarray:
        """Their times (T,) in seconds."""
        ...

    @property
    def indices(self) -> np.ndarray:
        """Their positions (T,) in the video."""
        ...

    @property
    def decoder(self) -> str:
        """The name of what decoded them."""
        ...


class FrameEncoder(Protocol):
    """What the pipeline asks of an encoder."""

    spec: FeatureSpec

    @property
    def preprocessing(self) -> Callable[[np.ndarray], np.ndarray]:
        """What turns a frame (H, W, 3) uint8 into its views (V, S, S, 3) uint8."""
        ...

    def encode_frames(self, pixels: Tensor) -> dict[str, np.ndarray]:
        """Pixels (N, S, S, 3) uint8 -> streams by name, of which "frame" holds embeddings (N, D)."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of one video: the number of its embedded frames, or the reason there are none."""

    video: Video
    num_frames: int = 0
    error: str = ""


@dataclass
class _Pending:
    """A decoded video some of whose frames wait to be encoded."""

    video: Video
    clip: Clip
    pixels: Tensor
    rows: list[np.ndarray]

    @property
    def missing(self) -> int:
        return len(self.pixels) - sum(len(rows) for rows in self.rows)


def extract_videos(
    videos: Iterable[Video],
    *,
    read_clip: Callable[[Path], Clip],
    encoder: FrameEncoder,
    writer: ShardWriter | None = None,
    batch_size: int = 64,
    num_workers: int = 2,
) -> Iterator[Outcome]:
    """Embed videos and yield what became of each, in their order but for failures, which come at once.

    A video that cannot be read is an Outcome with an error; anything else (a full disk, a wrong model) is raised. Every
    batch has `batch_size` frames, the last one padded, so that a video's embedding does not depend on which videos
    were embedded beside it.
    """
    waiting: deque[_Pending] = deque()
    for video, result in _decode_ahead(videos, read_clip=read_clip, encoder=encoder, num_workers=num_workers):
        if isinstance(result, str):
            yield Outcome(video, error=result)
            continue
        clip, pixels = result
        waiting.append(_Pending(video, clip, pixels, []))
        while sum(pending.missing for pending in waiting) >= batch_size:
            yield from _encode_batch(waiting, encoder=encoder, writer=writer, batch_size=batch_size)
    while waiting:
        yield from _encode_batch(waiting, encoder=encoder, writer=writer, batch_size=batch_size)


def embed_clip(path: Path, *, read_clip: Callable[[Path], Clip], encoder: FrameEncoder) -> Embeddings:
    """Return one video's embeddings (T, D); DataError naming the video that cannot be read."""
    clip = read_clip(path)
    encoded = encoder.encode_frames(_preprocess(clip, encoder))["frame"]
    _require_finite(encoded, near=path)
    return _embeddings(clip, encoded)


def _decode_ahead(
    videos: Iterable[Video], *, read_clip: Callable[[Path], Clip], encoder: FrameEncoder, num_workers: int
) -> Iterator[tuple[Video, "tuple[Clip, Tensor] | str"]]:
    """Yield (video, (clip, pixels) or the reason it failed) in order, `2 * num_workers` videos ahead at the most."""

    def read(video: Video) -> tuple[Clip, Tensor] | str:
        try:
            clip = read_clip(video.path)
            return clip, _preprocess(clip, encoder)
        except DataError as error:
            return str(error)
        except Exception as error:  # a decoder's own failure costs this video alone
            return f"{video.path}: {type(error).__name__}: {error}"

    source = iter(videos)
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="decode")
    try:
        ahead: deque[tuple[Video, Future[Any]]] = deque()
        ahead.extend((video, pool.submit(read, video)) for video in islice(source, 2 * num_workers))
        while ahead:
            video, future = ahead.popleft()
            result = future.result()
            ahead.extend((following, pool.submit(read, following)) for following in islice(source, 1))
            yield video, result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _encode_batch(
    waiting: "deque[_Pending]", *, encoder: FrameEncoder, writer: ShardWriter | None, batch_size: int
) -> Iterator[Outcome]:
    """Encode the next `batch_size` frames of the waiting videos, and finish those that are then whole."""
    parts: list[tuple[_Pending, Tensor]] = []
    room = batch_size
    for pending in waiting:
        done = len(pending.pixels) - pending.missing
        part = pending.pixels[done : done + room]
        parts.append((pending, part))
        room -= len(part)
        if room == 0:
            break
    pixels = torch.cat([part for _, part in parts])
    padding = pixels.new_zeros(room, *pixels.shape[1:])
    encoded = encoder.encode_frames(torch.cat([pixels, padding]))["frame"][: len(pixels)]
    _require_finite(encoded, near=parts[0][0].video.path)
    for (pending, _), rows in zip(parts, _split(encoded, [len(part) for _, part in parts]), strict=True):
        pending.rows.append(rows)
    while waiting and waiting[0].missing == 0:
        pending = waiting.popleft()
        embeddings = _embeddings(pending.clip, np.concatenate(pending.rows))
        if writer:
            writer.add(pending.video.video_id, embeddings, decoder=pending.clip.decoder)
        yield Outcome(pending.video, num_frames=len(embeddings.data))


def _preprocess(clip: Clip, encoder: FrameEncoder) -> Tensor:
    return torch.from_numpy(np.concatenate([encoder.preprocessing(frame) for frame in clip.data]))


def _split(rows: np.ndarray, counts: Sequence[int]) -> list[np.ndarray]:
    return np.split(rows, np.cumsum(counts)[:-1])


def _embeddings(clip: Clip, data: np.ndarray) -> Embeddings:
    return Embeddings(data=data, timestamps=clip.timestamps, indices=clip.indices)


def _require_finite(encoded: np.ndarray, *, near: Path) -> None:
    with np.errstate(over="ignore"):  # the overflow is what is looked for
        finite = np.isfinite(encoded.astype(np.float16)).all()
    if not finite:
        raise DataError(
            f"the encoder gave values that are not finite in 16 bits, near {near}; "
            "try --precision fp32, and check the weights"
        )
