"""The report of a store: its sections are gathered and written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from framebank.library.asking.suspects import Suspects, suspects_among
from framebank.library.reporting.contents import StoreContents, contents_of
from framebank.library.reporting.map import NO_LABEL, UNLABELLED, EmbeddingMap, MappedVideo, embedding_map
from framebank.library.reporting.material import JUDGED, ON_MAP
from framebank.library.reporting.nearest import MOST, NearPairs, near_pairs_across
from framebank.library.reporting.page import ReportPage
from framebank.library.reporting.pictures import Pictures
from framebank.library.reporting.render import write_report
from framebank.library.reporting.rows import PooledVideos, drawn, pooled_videos
from framebank.library.reporting.sections import NothingToShowError, Section, make_sections, shown_if_any
from framebank.library.reporting.sheets import ClassSheet, class_sheets
from framebank.library.reporting.spread import Outlier, Spread, outliers_of, spread_of
from framebank.library.watch import Watch
from framebank.store.features import FeatureStore
from framebank.store.videos.durations import durations_of
from framebank.store.videos.video import Video, labels_in


@dataclass(frozen=True)
class RowSpread:
    """The norms of the rows of `videos` videos, how many rows cannot be compared, and videos unlike their class."""

    norms: Spread
    broken: int
    outliers: tuple[Outlier, ...]
    videos: int

    def to_dict(self) -> dict[str, Any]:
        """Return the norms and the outliers as plain values."""
        return {
            "norms": self.norms.to_dict(),
            "broken": self.broken,
            "outliers": [one.video_id for one in self.outliers],
        }


class StoreMaterial:
    """A store and what the sections share: its videos by id, and the pooled rows of those that are looked at."""

    def __init__(self, store: FeatureStore, pictures: Pictures) -> None:
        self.store, self.pictures = store, pictures
        columns = store.manifest.columns
        self.place_of = {video_id: place for place, video_id in enumerate(columns.ids)}
        ids = [video_id for video_id in store.ids if video_id in self.place_of]
        self.ids = [ids[place] for place in drawn(len(ids), most=MOST).tolist()]

    def video(self, video_id: str) -> Video:
        """Return one video of the manifest."""
        return self.store.manifest.columns[self.place_of[video_id]]

    def labels(self, video_id: str) -> tuple[str, ...]:
        """Return the labels of a video; none if it has none."""
        return labels_in(self.store.manifest.columns.labels[self.place_of[video_id]])

    def middle(self, video_id: str) -> str:
        """Return the middle frame of a video as an address; "" if it cannot be read or enough were read."""
        return self.pictures.middle(self.video(video_id))

    @cached_property
    def pooled(self) -> PooledVideos:
        """The pooled rows of the videos in `ids`."""
        return pooled_videos(self.store, self.ids)

    @cached_property
    def pooled_ids(self) -> list[str]:
        """The videos that `pooled` has."""
        return [self.ids[place] for place in self.pooled.places.tolist()]


def report_store(folder: Path, out: Path, *, pictures: int, watch: Watch) -> ReportPage:
    """Write the page of a store; see `report`."""
    material = StoreMaterial(FeatureStore(folder), Pictures(pictures))
    made = make_sections(SECTIONS, material, watch=watch)
    about = {"title": folder.name, "notes": ()}
    headline = made.sections["contents"].headline
    return write_report(out, material, made, kind="store", headline=headline, about=about, figures={})


def _contents(material: StoreMaterial) -> StoreContents:
    return contents_of(material.store)


def _lengths(material: StoreMaterial) -> Spread:
    places = [material.place_of[video_id] for video_id in material.store.ids if video_id in material.place_of]
    found = durations_of(material.store, material.store.manifest.columns.select(places))
    known = [seconds for seconds in found if seconds is not None]
    if not known:
        raise NothingToShowError("the length of no video is known")
    return spread_of(np.array(known))


def _rows(material: StoreMaterial) -> RowSpread:
    pooled = material.pooled
    if not len(pooled.norms):
        raise NothingToShowError("no row of the store can be compared")
    labels = [next(iter(material.labels(video_id)), "") for video_id in material.pooled_ids]
    outliers = outliers_of(pooled.vectors, labels, material.pooled_ids)
    return RowSpread(spread_of(pooled.norms), pooled.broken, outliers, len(material.ids))


def _near(material: StoreMaterial) -> NearPairs:
    columns = material.store.manifest.columns
    split_of = {video_id: columns.splits[material.place_of[video_id]] for video_id in material.ids}
    return near_pairs_across(material.store, split_of, listed=len(material.store))


def _map(material: StoreMaterial) -> EmbeddingMap:
    rows = drawn(len(material.pooled_ids), most=ON_MAP)
    if len(rows) < 3:
        raise NothingToShowError("a map needs three videos or more")
    labels = {video_id: material.labels(video_id) for video_id in (material.pooled_ids[row] for row in rows.tolist())}
    names = sorted({name for own in labels.values() for name in own})
    place_of = {name: place for place, name in enumerate(names)}
    videos = [
        MappedVideo(
            tuple(place_of[name] for name in own) or (UNLABELLED,), False, f"{video_id}: {', '.join(own) or NO_LABEL}"
        )
        for video_id, own in labels.items()
    ]
    return embedding_map(material.pooled.vectors[rows], videos, names, listed=len(material.store))


def _suspects(material: StoreMaterial) -> Suspects:
    videos = [material.video(video_id) for video_id in material.pooled_ids]
    rows = [row for row, video in enumerate(videos) if video.label]
    if not rows:
        raise NothingToShowError("no video has a label")
    rows = [rows[place] for place in drawn(len(rows), most=JUDGED).tolist()]
    with shown_if_any():
        return suspects_among([videos[row] for row in rows], material.pooled.vectors[rows], where=material.store.path)


def _sheets(material: StoreMaterial) -> tuple[ClassSheet, ...]:
    if not material.pictures.most:
        raise NothingToShowError("no video was to be read for a picture")
    videos: dict[str, list[Video]] = {}
    for video in material.store.manifest.columns:
        if video.video_id in material.store:
            for label in video.labels or (NO_LABEL,):
                videos.setdefault(label, []).append(video)
    found = class_sheets(videos, material.pictures)
    if not any(sheet.frames for sheet in found):
        reason = next(iter(material.pictures.failed.values()), "the store holds no video")
        raise NothingToShowError(f"no frame could be read: {reason}")
    return found


SECTIONS: Mapping[str, Callable[[StoreMaterial], Section]] = {
    "contents": _contents,
    "lengths": _lengths,
    "near": _near,
    "rows": _rows,
    "suspects": _suspects,
    "map": _map,
    "sheets": _sheets,
}
