"""Material of a report of runs: the runs, and what their store still has of the videos."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from framebank.heads.training.run import Run
from framebank.library.reporting.map import EmbeddingMap, MappedVideo, embedding_map
from framebank.library.reporting.nearest import NearPairs, near_pairs_of_run
from framebank.library.reporting.pictures import Pictures, address_of_file
from framebank.library.reporting.rows import drawn, pooled_videos
from framebank.library.reporting.sections import NothingToShowError
from framebank.store.features import FeatureStore
from framebank.store.videos.columns import VideoColumns
from framebank.store.videos.durations import durations_of
from framebank.store.videos.video import Video, labels_in

ON_MAP = 1200  # videos
JUDGED = 5000  # videos whose labels are checked


class PageRun(Protocol):
    """A run of a page, with one label a video or several: where it lies, and what it was measured on."""

    @property
    def path(self) -> Path:
        """The folder of the run, or of its seeds."""

    @property
    def name(self) -> str:
        """What the page calls it."""

    @property
    def split(self) -> str:
        """The split that was measured."""

    @property
    def store(self) -> Path:
        """The folder of the store."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The C labels."""

    @property
    def video_ids(self) -> tuple[str, ...]:
        """The V videos that have a label."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """How it was measured."""

    @property
    def seeds(self) -> "Sequence[PageRun]":
        """The runs of its seeds; none if it is a single run."""


RunOfPage = TypeVar("RunOfPage", bound=PageRun)


class VideosById(Mapping[str, Video]):
    """The videos of a list by their ids; a Video is made when it is asked for, because there may be many."""

    def __init__(self, videos: Sequence[Video]) -> None:
        self._videos = videos
        ids = videos.ids if isinstance(videos, VideoColumns) else [video.video_id for video in videos]
        self._row_of = {video_id: row for row, video_id in enumerate(ids)}

    def __getitem__(self, video_id: str) -> Video:
        return self._videos[self._row_of[video_id]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row_of)

    def __len__(self) -> int:
        return len(self._row_of)


@dataclass(frozen=True, eq=False)
class RunMaterial(Generic[RunOfPage]):
    """The runs of a report, the first run, and its store, or why it is `missing`.

    `videos` has the videos by id that the store lists, and `training` the number of training videos of each class.
    """

    runs: tuple[RunOfPage, ...]
    out: Path
    pictures: Pictures
    device: str
    run: Run
    store: FeatureStore | None
    missing: str
    videos: Mapping[str, Video]
    training: Mapping[str, int] | None

    @property
    def first(self) -> RunOfPage:
        """The run that most sections are about."""
        return self.runs[0]

    def opened(self) -> tuple[Run, FeatureStore]:
        """Return the first run and its store. NothingToShowError if the store is gone."""
        if self.store is None:
            raise NothingToShowError(self.missing)
        return self.run, self.store

    def held(self) -> FeatureStore:
        """Return the store. NothingToShowError if it is gone, or if it lacks a video that was measured."""
        if self.store is None:
            raise NothingToShowError(self.missing)
        lost = next((video_id for video_id in self.first.video_ids if video_id not in self.store), None)
        if lost:
            raise NothingToShowError(f"{self.store.path}: no longer holds {lost!r}, which the run was measured on")
        return self.store

    def address(self, video_id: str) -> str:
        """Return the way from the page to the file of a video; "" if it is not known or not there."""
        video = self.videos.get(video_id)
        return address_of_file(video.path, page=self.out) if video else ""

    def middle(self, video_id: str) -> str:
        """Return the middle frame of a video as an address; "" if it cannot be read or enough were read."""
        video = self.videos.get(video_id)
        return self.pictures.middle(video) if video else ""

    def seconds(self) -> np.ndarray:
        """Return how long each measured video is, (V,) in seconds; a picture has 0."""
        videos = [self.videos.get(name) or Video(name, Path()) for name in self.first.video_ids]
        return np.array([seconds or 0.0 for seconds in durations_of(self.held(), VideoColumns.of(videos))])

    def map(self, seen: Callable[[int], MappedVideo]) -> EmbeddingMap:
        """Return the map of the measured videos, or of some that are drawn. `seen` says what to say of a row."""
        store, first = self.held(), self.first
        rows = drawn(len(first.video_ids), most=ON_MAP)
        pooled = pooled_videos(store, [first.video_ids[row] for row in rows.tolist()])
        if len(pooled.places) < 3:
            raise NothingToShowError("a map needs three videos or more")
        videos = [seen(row) for row in rows[pooled.places].tolist()]
        return embedding_map(pooled.vectors, videos, first.labels, listed=len(first.video_ids))

    def near_pairs(self) -> NearPairs:
        """Return which measured videos have a near neighbour among the videos that the run was trained on."""
        run, _ = self.opened()
        return near_pairs_of_run(run, self.held(), self.first.video_ids, split=self.first.split)


def material_of(runs: tuple[RunOfPage, ...], out: Path, *, pictures: int, device: str) -> RunMaterial[RunOfPage]:
    """Return what the sections are made of. A store that is gone is missing. DataError for one that is damaged."""
    store, missing = None, ""
    if runs[0].store.exists():
        store = FeatureStore(runs[0].store)
    else:
        missing = f"{runs[0].store}: no such store"
    videos = VideosById(store.manifest.columns if store is not None else ())
    run = Run.read((runs[0].seeds or runs)[0].path)
    training = _training(run, store) if store is not None else None
    return RunMaterial(runs, out, Pictures(pictures), device, run, store, missing, videos, training)


def _training(run: Run, store: FeatureStore) -> dict[str, int] | None:
    """The number of training videos of each class; None if it is not known which they were."""
    learned = set(run.videos_in(store))
    if not learned:
        return None
    columns = store.manifest.columns
    listed = (written for video_id, written in zip(columns.ids, columns.labels, strict=True) if video_id in learned)
    counts = Counter(label for written in listed for label in labels_in(written))
    shots = run.recipe.shots
    return {label: min(count, shots) if shots else count for label, count in counts.items()}
