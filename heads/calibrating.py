"""Calibrating: the thresholds of an index, so that few videos of other classes pass, by its own or by held-out ones."""

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from framebank.heads.neighbours import index_store, require_finite
from framebank.heads.run import Run
from framebank.store.counts import counted, listed
from framebank.store.enrolment import SHARE, Calibration, Enrolment, changing
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.index import Index
from framebank.store.labels import class_text
from framebank.store.manifest import Manifest
from framebank.store.vectors import unit
from framebank.store.video import Video

# So many videos are asked for their nearest to set a threshold; all of a large index would take V x V cosines.
MAX_ASKED = 2000

# Two embeddings of one clip differ in rounding; of two clips, by more.
SAME = 0.99


@dataclass(frozen=True)
class ThresholdSource:
    """What set the thresholds of an index: `num_videos` held-out ones of a split of a store, or of the index itself.

    `share` is that of the videos of other classes that may pass each threshold.
    """

    num_videos: int
    share: float
    store: str | None = None
    split: str | None = None

    def __str__(self) -> str:
        if self.store is None:
            return f"the {self.num_videos} videos of the index itself"
        return f"{self.num_videos} held-out videos of {self.store}, split {self.split}"


def source_of(index: Index, calibration: Calibration | None = None) -> ThresholdSource:
    """Return what set the thresholds of an index, or what would by another `calibration`."""
    made = calibration or index.enrolment.calibration
    if made.videos:
        return ThresholdSource(len(made.videos), made.share, made.store, made.split)
    return ThresholdSource(sum(bool(video.labels) for video in index.videos), made.share)


def held_out(
    folder: Path, store: FeatureStore, manifest: Manifest, *, split: str, share: float = SHARE, device: torch.device
) -> Calibration:
    """Return a calibration by the videos of `manifest`, a split of `store`, pooled as the index of a folder is.

    DataError where none has a label, where they were embedded in another way than the index's own or hold what is no
    number, or where one of them is in the index itself.
    """
    index = Index.load(folder)
    alike = replace(store.spec, precision=index.spec.precision, decoder=index.spec.decoder, streams=index.spec.streams)
    index.spec.require_equal(alike, mine=folder, theirs=store.path)
    labelled = Manifest(tuple(video for video in manifest.videos if video.label))
    if not labelled.videos:
        counts = Counter(video.split or "none" for video in store.manifest.videos if video.label)
        there = listed((f"{name} ({count})" for name, count in sorted(counts.items())), most=10)
        raise DataError(
            f"{store.path}: of the {counted(len(manifest), 'video')} of the split {split!r}, none has a label; the "
            "splits with "
            f"labelled videos are: {there}"
        )
    pooled_by = index.made_by["run"]
    run = Run.read(Path(pooled_by)) if pooled_by else None
    if run and run.weights_hash != index.made_by["run_hash"]:
        raise DataError(f"{pooled_by}: was trained again since it pooled the videos of {folder}; make the index again")
    pooled = index_store(store, labelled, run=run, run_path=Path(pooled_by) if pooled_by else None, device=device)
    vectors = pooled.vectors
    _require_held_out(pooled.videos, vectors, index=index, folder=folder, where=f"{store.path}, split {split}")
    return Calibration(share, str(store.path.absolute()), split, pooled.videos, vectors)


def calibrate(folder: Path, calibration: Calibration) -> Index:
    """Set the thresholds of the index of a folder by a calibration, which later enrolments keep; return the index.

    DataError where it has too few videos to set any.
    """
    with changing(folder):
        index = Index.load(folder)
        old = index.enrolment
        made = calibrated(index, old.videos, old.vectors, calibration)
        if not calibration.is_default and made.nearest is None:
            source, least = source_of(index, calibration), fewest(calibration.share)
            raise DataError(
                f"{folder}: {source} are too few to set a threshold that {100 * calibration.share:g} % of others pass; "
                f"{least} with another class to be near to are needed"
            )
        made.write(folder)
        return Index.load(folder)


def calibrated(
    index: Index, videos: tuple[Video, ...], vectors: np.ndarray, calibration: Calibration | None = None
) -> Enrolment:
    """Return an index's enrolment of these videos, (E, D), with a threshold for each label and for its own videos.

    Without a `calibration`, by that which the index has. DataError where an embedding holds what is no number.
    """
    made = index.enrolment.calibration if calibration is None else calibration
    own, own_vectors = index.videos[: index.num_own], index.vectors[: index.num_own]
    known, known_vectors = (*own, *videos), np.vstack([own_vectors, vectors])  # (V, D)
    if videos or not made.is_default:
        require_finite(known, known_vectors, where="the index")
    asked, asked_vectors = (made.videos, made.vectors) if made.videos else (known, known_vectors)
    others = {}
    for label in sorted({video.label for video in videos}):
        rest = _others(asked, asked_vectors, label, known, known_vectors)
        others[label] = np.sort(asked_vectors[rest] @ prototype(known, known_vectors, label))
    thresholds = {label: conformal_threshold(cosines, share=made.share) for label, cosines in others.items()}
    enrolment = Enrolment(videos, vectors, thresholds, of=index.enrolment.of, calibration=made, others=others)
    if enrolment.is_empty:
        return enrolment
    if not made.videos:
        asked, asked_vectors = own, own_vectors
    nearest_others = np.sort(_nearest_of_others(asked, asked_vectors, own, own_vectors))
    nearest = conformal_threshold(nearest_others, share=made.share)
    return replace(enrolment, nearest=nearest, nearest_others=nearest_others)


def num_others(index: Index, label: str) -> int:
    """Return how many videos set the threshold of an enrolled class: those of other classes alone."""
    made, vectors = index.enrolment.calibration, index.vectors
    asked, asked_vectors = (made.videos, made.vectors) if made.videos else (index.videos, vectors)
    return int(_others(asked, asked_vectors, label, index.videos, vectors).sum())


def conformal_threshold(scores: np.ndarray, *, share: float) -> float | None:
    """Return the score (N,) that no more than `share` of others like these exceed; None where N is too small to say.

    The ceil((N + 1)(1 - share))-th smallest: split conformal prediction (Vovk, Gammerman and Shafer 2005; arXiv
    2107.07511). It holds for videos that are drawn as these were.
    """
    rank = math.ceil((len(scores) + 1) * (1 - share) - 1e-9)  # 20 x 0.95 in binary is a hair more than 19
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else None


def share_as_near(others: np.ndarray, cosine: float) -> float:
    """Return which share of the cosines of others (N,), ascending, is no smaller than one; 0 where there are none.

    Shares compare what cosines of different classes do not: how seldom a video of another class comes as near.
    """
    return float(np.mean(others >= cosine)) if len(others) else 0.0


def fewest(share: float) -> int:
    """Return how few scores `conformal_threshold` can do with."""
    return math.ceil((1 - share) / share - 1e-9)


def prototype(videos: Sequence[Video], vectors: np.ndarray, label: str) -> np.ndarray:
    """Return the mean of the unit vectors (V, D) of the videos of a label, of unit length again, (D,)."""
    return unit(vectors[[label in video.labels for video in videos]].mean(0))


def place_of(video: Video) -> tuple[str, float, float | None]:
    """Return which seconds of which file a video is."""
    return os.path.normpath(video.path), video.start or 0.0, video.end


def _nearest_of_others(
    asked: Sequence[Video], asked_vectors: np.ndarray, own: Sequence[Video], own_vectors: np.ndarray
) -> np.ndarray:
    """The cosine (N,) of each asked video to the nearest own video of other classes, as if its own were not there."""
    rows = np.array([row for row, video in enumerate(own) if video.labels], dtype=np.int64)
    sets = list(dict.fromkeys(_texts(own[row]) for row in rows))  # few, however many videos there are
    number = {texts: position for position, texts in enumerate(sets)}
    codes = np.array([number[_texts(own[row])] for row in rows], dtype=np.int64)  # (V,)
    vectors = own_vectors[rows]
    labelled = np.array([row for row, video in enumerate(asked) if video.labels], dtype=np.int64)
    chosen = np.unique(np.linspace(0, len(labelled) - 1, min(len(labelled), MAX_ASKED)).astype(np.int64))
    found = []
    for row in labelled[chosen]:
        texts = _texts(asked[row])
        others = np.array([not texts & theirs for theirs in sets], dtype=np.bool_)[codes]  # (V,)
        if others.any():
            found.append((vectors @ asked_vectors[row])[others].max())
    return np.array(found, dtype=np.float32)


def _others(
    videos: Sequence[Video], vectors: np.ndarray, label: str, known: Sequence[Video], known_vectors: np.ndarray
) -> np.ndarray:
    """Whether each video (V,) is of other classes alone; copies of the class's own examples, which are known, are not.

    The vectors are (V, D) and those of the known ones.
    """
    text = class_text(label)
    others = np.array([bool(video.labels) and text not in _texts(video) for video in videos], dtype=np.bool_)
    places: dict[object, list[int]] = {}
    for row, video in enumerate(known):
        if label in video.labels:
            places.setdefault(place_of(video), []).append(row)
    for row in np.flatnonzero(others).tolist():
        same = places.get(place_of(videos[row]), [])
        others[row] = not (known_vectors[same] @ vectors[row] >= SAME).any()
    return others


def _texts(video: Video) -> frozenset[str]:
    return frozenset(map(class_text, video.labels))


def _require_held_out(
    videos: Sequence[Video], vectors: np.ndarray, *, index: Index, folder: Path, where: object
) -> None:
    own, own_vectors = index.videos[: index.num_own], index.vectors
    row_of_id = {video.video_id: row for row, video in enumerate(own)}
    # Features that another program made may have one file for all; such a place tells no video from another.
    times = Counter(map(place_of, own))
    row_of_place = {place_of(video): row for row, video in enumerate(own) if times[place_of(video)] == 1}
    for video, vector in zip(videos, vectors, strict=True):
        for row in (row_of_id.get(video.video_id), row_of_place.get(place_of(video))):
            if row is not None and own_vectors[row] @ vector >= SAME:
                raise DataError(
                    f"{where}: {video.video_id!r} is in {folder} itself, as {own[row].video_id!r}; expected videos "
                    "that are held out of the index"
                )
