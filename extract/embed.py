"""Embed videos without a store: decode them in the pool, encode them in full batches, and return the rows."""

from collections.abc import Iterable, Iterator, Sequence

from framebank.extract.lanes import FrameEncoder
from framebank.extract.pipeline import Outcome, extract_videos
from framebank.extract.worker import Task
from framebank.store.shard import Embeddings
from framebank.store.videos.manifest import Video


class _Handover:
    """A writer that keeps rows until they are taken."""

    def __init__(self) -> None:
        self.rows: dict[str, Embeddings] = {}

    def add(self, video_id: str, embeddings: Embeddings, *, decoder: str = "", source: str = "") -> None:
        self.rows[video_id] = embeddings


def embed_videos(
    videos: Iterable[Video],
    *,
    task: Task,
    encoders: Sequence[FrameEncoder],
    batch_size: int = 64,
    num_workers: int = 2,
    time_limit: float = 300.0,
) -> Iterator[tuple[Outcome, Embeddings | None]]:
    """Embed videos and yield each with its rows when it is done, in any order; a failed video has no rows.

    Everything else is as in `extract_videos`; nothing is written.
    """
    handover = _Handover()
    for outcome in extract_videos(
        videos,
        task=task,
        encoders=encoders,
        writer=handover,
        batch_size=batch_size,
        num_workers=num_workers,
        time_limit=time_limit,
    ):
        yield outcome, handover.rows.pop(outcome.video.video_id, None)
