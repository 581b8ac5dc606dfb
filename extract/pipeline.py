"""The pipeline: decode in processes, encode full batches across videos, write. The heavy parts are arguments."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from framebank.extract.decoders.frames import Clip
from framebank.extract.encoders.preprocess import Preprocessing
from framebank.extract.lanes import FrameEncoder, Lanes, Pending, require_finite
from framebank.extract.pool import Chunk, Cleared, Decoded, DecodePool, Failed, WaitingWorkers
from framebank.extract.rows import assemble
from framebank.extract.windows import Windows
from framebank.extract.worker import Job, Task
from framebank.store.errors import DataError
from framebank.store.shard import Embeddings
from framebank.store.videos.manifest import Video


class Writer(Protocol):
    """What the pipeline needs from the taker of the rows, such as a ShardWriter."""

    def add(self, video_id: str, embeddings: Embeddings, *, decoder: str = "", source: str = "") -> None:
        """Take the rows of one video."""
        ...


@dataclass(frozen=True)
class Outcome:
    """The result of one video: the number of its embedded rows, or the reason why there are none.

    `source` is the identity of a file that failed, in words, where it is known.
    """

    video: Video
    num_frames: int = 0
    error: str = ""
    source: str = ""


def extract_videos(
    videos: Iterable[Video],
    *,
    task: Task,
    encoders: Sequence[FrameEncoder],
    writer: Writer | None = None,
    batch_size: int = 64,
    num_workers: int = 2,
    time_limit: float = 300.0,
    waiting_workers: WaitingWorkers | None = None,
) -> Iterator[Outcome]:
    """Embed videos and yield the result of each when it is done.

    A video that cannot be read is an Outcome with an error, as is one on which the decoder hangs or crashes; anything
    else (a full disk, a wrong model) is raised. Batches of `batch_size` pictures, of 8 at most on a CPU, go to the
    encoders in turn; the last is padded, so that a video's embedding does not depend on which videos were embedded
    beside it. `waiting_workers` are decoding processes that have started already.
    """
    waiting: dict[str, Pending] = {}
    with Lanes(encoders, batch_size, clip_frames=task.clip_frames) as lanes:
        with DecodePool(task, num_workers=num_workers, time_limit=time_limit, waiting=waiting_workers) as pool:
            for event in pool.run(videos, starve=lanes.starve):
                video = event.video
                touched: list[Pending] = []
                if isinstance(event, Chunk):
                    pending = waiting.setdefault(video.video_id, _pending(video, task))
                    pictures = pending.windows.add(event.pixels) if pending.windows else event.pixels
                    # (N, views, ..., S, S, 3) -> (N * views, ..., S, S, 3)
                    touched = lanes.fill(pending, pictures.reshape(-1, *pictures.shape[2:]))
                elif isinstance(event, Cleared):
                    waiting.pop(video.video_id, None)
                elif isinstance(event, Decoded):
                    pending = waiting.setdefault(video.video_id, _pending(video, task))
                    pending.clip = event.clip
                    touched = [pending]
                    if pending.windows:
                        try:
                            rest = pending.windows.close(event.clip.indices)
                        except DataError as error:
                            del waiting[video.video_id]
                            yield Outcome(video, error=f"{video.path}: {error}", source=event.clip.source)
                            continue
                        touched += lanes.fill(pending, rest.reshape(-1, *rest.shape[2:]))
                elif isinstance(event, Failed):
                    waiting.pop(video.video_id, None)
                    yield Outcome(video, error=event.reason, source=event.source)
                yield from _finish(touched, waiting, task=task, writer=writer)
        for landed in lanes.finish():
            yield from _finish(landed, waiting, task=task, writer=writer)


def embed_clip(job: Job, *, task: Task, encoder: FrameEncoder) -> Embeddings:
    """Return the embeddings of one video, decoded in this process; DataError that names a video that cannot be read."""
    sink = _Pictures(task.preprocessing)
    clip = task.run(job, sink)
    pictures = np.stack(sink.pictures)  # (U, views, S, S, 3)
    if task.clip_frames > 1:
        windows = _windows(task)
        try:
            pictures = np.concatenate([windows.add(pictures), windows.close(clip.indices)])
        except DataError as error:
            raise DataError(f"{job.path}: {error}") from error
    pictures = pictures.reshape(-1, *pictures.shape[2:])
    streams = encoder.finish(encoder.start(torch.from_numpy(pictures)))
    require_finite(streams, near=job.path)
    return _assemble(clip, streams, task)


def _assemble(clip: Clip, streams: dict[str, np.ndarray], task: Task) -> Embeddings:
    return assemble(
        clip,
        streams,
        num_views=len(task.preprocessing.views),
        num_clips=task.sampling.num_clips,
        clip_frames=task.clip_frames,
    )


def _pending(video: Video, task: Task) -> Pending:
    return Pending(video, _windows(task) if task.clip_frames > 1 else None)


def _windows(task: Task) -> Windows:
    return Windows(task.clip_frames, num_clips=task.sampling.num_clips, is_fixed=task.sampling.is_fixed)


class _Pictures:
    """A sink that keeps the pictures of one video in memory."""

    def __init__(self, preprocess: Preprocessing) -> None:
        self._preprocess = preprocess
        self.pictures: list[npt.NDArray[np.uint8]] = []

    def add(self, index: int, image: npt.NDArray[np.uint8]) -> None:
        self.pictures.append(self._preprocess(image))

    def clear(self) -> None:
        self.pictures.clear()

    def tick(self) -> None:
        pass


def _finish(
    touched: Iterable[Pending], waiting: dict[str, Pending], *, task: Task, writer: Writer | None
) -> Iterator[Outcome]:
    """Write the videos that are complete now, and yield their outcomes."""
    for pending in dict.fromkeys(touched):
        video, clip = pending.video, pending.clip
        if clip is None or not pending.is_whole or waiting.get(video.video_id) is not pending:
            continue
        del waiting[video.video_id]
        embeddings = _assemble(clip, pending.streams(), task)
        if writer:
            writer.add(video.video_id, embeddings, decoder=clip.decoder, source=clip.source)
        yield Outcome(video, num_frames=len(embeddings.data))
