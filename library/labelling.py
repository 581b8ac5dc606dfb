"""Labelling: which runs and indexes label new videos, and how the videos are embedded for each of them."""

import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError, warn

if TYPE_CHECKING:
    from framebank.extract.encoders.encoder import Encoder
    from framebank.extract.worker import Task
    from framebank.heads.labelling.answers import Answer
    from framebank.heads.labelling.calibrate import ThresholdSource
    from framebank.heads.labelling.labellers import Labeller
    from framebank.heads.labelling.table import Labelled
    from framebank.store import Embeddings, FeatureSpec, Video
    from framebank.store.ledger import Failure

AT_ONCE = 64  # decoded videos that are labelled together


@dataclass(frozen=True)
class Asked:
    """A run or an index that is asked for labels, how to embed a video for it, and its encoder (None: stored rows).

    `thresholds` says where its thresholds come from, if it has any.
    """

    labeller: "Labeller"
    spec: "FeatureSpec"
    encoder: "Encoder | None" = None
    thresholds: "ThresholdSource | None" = None


def task_of(spec: "FeatureSpec", encoder: "Encoder") -> "Task":
    """Return the task that turns a video into rows as `spec` says: sampling, pixels and the preprocessing."""
    from framebank.extract.decoders.decode import decode_clip
    from framebank.extract.decoders.pixels import read_pixels
    from framebank.extract.sampling import read_sampling
    from framebank.extract.worker import Task

    decode = functools.partial(decode_clip, reading=read_pixels(spec.pixels))
    return Task(read_sampling(spec.sampling), encoder.preprocessing, decode, clip_frames=encoder.clip_frames)


def encoder_of(spec: "FeatureSpec", *, where: object, device: str) -> "Encoder":
    """Return the encoder that made a spec. DataError, naming `where`, if it cannot embed new videos here."""
    from framebank.extract.encoders.encoder import encoder_like

    try:
        return encoder_like(spec, device=device)
    except DataError as error:
        raise DataError(f"{where}: new videos cannot be embedded as its own were ({error})") from error


def find_videos(paths: Sequence[str | Path]) -> "list[Video]":
    """Return the named videos and the videos below the named folders, each once. The id is the path as it is shown."""
    from framebank.store import Video
    from framebank.store.videos.inputs import read_videos

    found: dict[str, Video] = {}
    for path in map(Path, paths):
        inside = read_videos([path]).videos if path.is_dir() else (Video(str(path), path),)
        for video in inside:
            shown = path / video.path.relative_to(path.absolute()) if path.is_dir() else path
            found[str(shown)] = Video(str(shown), shown)
    return list(found.values())


def label_videos(
    videos: "Sequence[Video]", asked: Sequence[Asked], *, workers: int | None = None, watch: Watch = unwatched
) -> "Iterator[Labelled | Failure]":
    """Embed and label new videos, in their order. A video that cannot be read becomes a Failure.

    Each video has a different video_id. A video is decoded once for all askers with the same sampling. Several videos
    are decoded in worker processes, in full batches.
    """
    from framebank.heads.labelling.table import Labelled
    from framebank.store.ledger import Failure

    groups: dict[tuple[FeatureSpec, str], list[Asked]] = {}
    for one in asked:
        groups.setdefault((pixels_of(one.spec), one.spec.sampling), []).append(one)
    answers: dict[str, list[Answer]] = {video.video_id: [] for video in videos}
    reasons: dict[str, str] = {}
    for group in groups.values():
        left = [video for video in videos if video.video_id not in reasons]
        found = _embed(left, group[0], workers=workers or os.cpu_count() or 1)
        _ask(watch(found, total=len(left), unit="video"), group, answers, reasons)
    for video in videos:
        if video.video_id in reasons:
            yield Failure(video.video_id, str(video.path), reasons[video.video_id])
        else:
            yield Labelled.of(video, answers[video.video_id])


def embed_file(path: Path, spec: "FeatureSpec", encoder: "Encoder") -> "Embeddings":
    """Return the rows (T, D) of one video file, embedded as `spec` says. DataError if the file cannot be read."""
    from framebank.extract.pipeline import embed_clip
    from framebank.extract.worker import Job

    return embed_clip(Job(path), task=task_of(spec, encoder), encoder=encoder)


def embed_image(path: Path, spec: "FeatureSpec", encoder: "Encoder") -> "Embeddings":
    """Return the rows (T, D) of an image, embedded as a video of one frame; DataError where it cannot be read."""
    from framebank.extract.decoders.images import read_still
    from framebank.extract.pipeline import embed_clip
    from framebank.extract.worker import Job

    return embed_clip(Job(path), task=replace(task_of(spec, encoder), decode=read_still), encoder=encoder)


def warn_of_random(asked: Sequence[Asked]) -> None:
    """Give one DataWarning for each encoder that has random weights."""
    for encoder in {id(one.encoder): one.encoder for one in asked if one.encoder}.values():
        if encoder.random_weights:
            warn(f"{encoder.spec.model} has RANDOM WEIGHTS (pretrained none): its embeddings mean nothing")


def pixels_of(spec: "FeatureSpec") -> "FeatureSpec":
    """Return the part of a spec that decides its encoder. Two specs with the same part can share one encoder."""
    return replace(spec, pretrained="", sampling="", decoder="", streams="")


def _embed(videos: "Sequence[Video]", asked: Asked, *, workers: int) -> "Iterator[tuple[Video, Embeddings | str]]":
    """Yield the rows of each video, or the reason why it has none. A single video is decoded in this process."""
    from framebank.extract.embed import embed_videos
    from framebank.extract.pipeline import embed_clip
    from framebank.extract.worker import Job

    encoder = asked.encoder
    assert encoder
    task = task_of(asked.spec, encoder)
    if len(videos) == 1:
        (video,) = videos
        try:
            yield video, embed_clip(Job(video.path, video.start, video.end), task=task, encoder=encoder)
        except DataError as error:
            yield video, str(error)
        return
    for outcome, rows in embed_videos(videos, task=task, encoders=[encoder], num_workers=min(workers, len(videos))):
        yield outcome.video, outcome.error or rows or ""


def _ask(
    found: "Iterator[tuple[Video, Embeddings | str]]",
    group: Sequence[Asked],
    answers: "dict[str, list[Answer]]",
    reasons: dict[str, str],
) -> None:
    """Ask one group of runs and indexes about the videos as they arrive, a batch at a time."""
    held: list[tuple[Video, Embeddings]] = []
    for video, rows in found:
        if isinstance(rows, str):
            reasons[video.video_id] = rows
        else:
            held.append((video, rows))
        if len(held) == AT_ONCE:
            _ask_of(held, group, answers)
            held = []
    if held:
        _ask_of(held, group, answers)


def _ask_of(
    held: "Sequence[tuple[Video, Embeddings]]", group: Sequence[Asked], answers: "dict[str, list[Answer]]"
) -> None:
    from framebank.heads.labelling.table import label_rows
    from framebank.store.memory import MemoryStore

    spec = group[0].spec
    rows = MemoryStore(Path("the videos"), spec, {video.video_id: found for video, found in held})
    videos = [video for video, _ in held]
    for video, told in zip(videos, label_rows(videos, rows, [one.labeller for one in group]), strict=True):
        answers[video.video_id] += told
