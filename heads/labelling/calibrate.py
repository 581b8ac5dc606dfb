"""Calibrating: set the thresholds of an index so that few videos of other classes pass, from its videos or others."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from framebank.heads.labelling.neighbours import index_store, run_of
from framebank.heads.labelling.prototypes import SAME, KnownVideos, class_texts, place_of
from framebank.store.counts import counted, listed
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.indexes.enrolment import SHARE, Calibration, Enrolment, changing
from framebank.store.indexes.index import Index
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.video import Video

# That many videos look for their nearest to set a threshold. All videos of a large index would need V x V cosines.
MAX_ASKED = 2000

# For that many videos, the cosines to the whole index are computed at once.
ASKED_TOGETHER = 128


@dataclass(frozen=True)
class ThresholdSource:
    """Where the thresholds of an index come from: `num_videos` of a held-out split of a store, or of the index itself.

    `share` is the share of the videos of other classes that may pass each threshold.
    """

    num_videos: int
    share: float
    store: str | None = None
    split: str | None = None

    def __str__(self) -> str:
        if self.store is None:
            return f"the {counted(self.num_videos, 'video')} of the index itself"
        return f"{counted(self.num_videos, 'held-out video')} of {self.store}, split {self.split}"


def source_of(index: Index, calibration: Calibration | None = None) -> ThresholdSource:
    """Return the source of the thresholds of an index, or the one that another `calibration` would give."""
    made = calibration or index.enrolment.calibration
    if made.videos:
        return ThresholdSource(len(made.videos), made.share, made.store, made.split)
    return ThresholdSource(sum(bool(video.labels) for video in index.videos), made.share)


def held_out(
    index: Index,
    store: FeatureStore,
    manifest: Manifest,
    *,
    split: str,
    share: float = SHARE,
    device: torch.device,
    where: object = "the index",
) -> Calibration:
    """Return a calibration by the videos of `manifest`, a split of `store`, pooled like the videos of an index.

    DataError if none has a label, if they were embedded in another way than the index's own videos, or if one of them
    is in the index itself. Messages call the index `where`.
    """
    require_alike(index, store, where=where)
    labelled = Manifest(tuple(video for video in manifest.videos if video.label))
    if not labelled.videos:
        counts = Counter(video.split or "none" for video in store.manifest.videos if video.label)
        there = listed((f"{name} ({count})" for name, count in sorted(counts.items())), most=10)
        raise DataError(
            f"{store.path}: none of the {counted(len(manifest), 'video')} of the split {split!r} has a label; the "
            f"splits with labelled videos are: {there}"
        )
    pooled = _pooled_like(index, store, labelled, device=device)
    for video, own in zip(pooled.videos, in_index(pooled.videos, pooled.vectors, index=index), strict=True):
        if own is not None:
            raise DataError(
                f"{store.path}, split {split}: {video.video_id!r} is in {where} itself, as {own!r}; expected videos "
                "that are held out of the index"
            )
    return Calibration(share, str(store.path.absolute()), split, pooled.videos, pooled.vectors)


def renewed(calibration: Calibration, index: Index, store: FeatureStore, *, device: torch.device) -> Calibration:
    """Return a calibration with the videos that its store holds now, if it is by a split; without videos of an index.

    DataError if no video is left.
    """
    if not calibration.videos:
        return calibration
    videos, vectors = calibration.videos, calibration.vectors
    labelled = Manifest(tuple(v for v in store.manifest.videos if v.label and calibration.split in ("all", v.split)))
    if Path(calibration.store) == store.path.absolute() and any(video.video_id in store for video in labelled.videos):
        pooled = _pooled_like(index, store, labelled, device=device)
        videos, vectors = pooled.videos, pooled.vectors
    rows = [row for row, own in enumerate(in_index(videos, vectors, index=index)) if own is None]
    if not rows:
        raise DataError(
            f"all {counted(len(videos), 'held-out video')} that set the thresholds, of {calibration.store}, split "
            f"{calibration.split}, would be in the index; set them by other videos first (`framebank calibrate`)"
        )
    return replace(calibration, videos=tuple(videos[row] for row in rows), vectors=vectors[rows])


def _pooled_like(index: Index, store: FeatureStore, manifest: Manifest, *, device: torch.device) -> Index:
    run = run_of(index)
    return index_store(store, manifest, run=run, run_path=Path(index.made_by["run"]) if run else None, device=device)


def require_alike(index: Index, store: FeatureStore, *, where: object) -> None:
    """Raise DataError if the videos of a store were embedded in another way than those of an index."""
    alike = replace(store.spec, precision=index.spec.precision, decoder=index.spec.decoder, streams=index.spec.streams)
    index.spec.require_equal(alike, mine=where, theirs=store.path)


def calibrate(folder: Path, calibration: Calibration, *, index: Index | None = None) -> Index:
    """Set the thresholds of the index in a folder by a calibration, also for later enrolments. Return the index.

    If the caller has read the `index` from the folder, it is not read again. DataError if there are too few videos.
    """
    with changing(folder):
        index = index.reread(folder) if index else Index.load(folder)
        old = index.enrolment
        made = calibrated(index, old.videos, old.vectors, calibration)
        if not calibration.is_default and made.nearest is None:
            source, least = source_of(index, calibration), fewest(calibration.share)
            raise DataError(
                f"{folder}: {source} are too few to set a threshold that {100 * calibration.share:g} % of the others "
                f"pass; at least {least} are needed, each with a video of another class in the index"
            )
        made.write(folder)
        return index.with_enrolment(made)


def calibrated(
    index: Index, videos: tuple[Video, ...], vectors: np.ndarray, calibration: Calibration | None = None
) -> Enrolment:
    """Return an index's enrolment of these videos, (E, D), with a threshold for each label and for its own videos.

    Without a `calibration`, the one of the index is used.
    """
    made = index.enrolment.calibration if calibration is None else calibration
    known = KnownVideos(index, videos, vectors)
    others = {}
    for label in sorted({video.label for video in videos}):
        others[label] = np.sort(known.cosines_of_others(label, made))
    thresholds = {label: conformal_threshold(cosines, share=made.share) for label, cosines in others.items()}
    enrolment = Enrolment(videos, vectors, thresholds, of=index.enrolment.of, calibration=made, others=others)
    if enrolment.is_empty:
        return enrolment
    own, own_vectors = index.videos[: index.num_own], index.own_vectors
    asked, asked_vectors = (made.videos, made.vectors) if made.videos else (own, own_vectors)
    nearest_others = np.sort(_nearest_of_others(asked, asked_vectors, own, own_vectors))
    nearest = conformal_threshold(nearest_others, share=made.share)
    return replace(enrolment, nearest=nearest, nearest_others=nearest_others)


def num_others(index: Index, label: str) -> int:
    """Return how many videos set the threshold of an enrolled class. They are all of other classes."""
    enrolment = index.enrolment
    if label in enrolment.others:
        return len(enrolment.others[label])
    return len(KnownVideos(index, enrolment.videos, enrolment.vectors).cosines_of_others(label, enrolment.calibration))


def conformal_threshold(scores: np.ndarray, *, share: float) -> float | None:
    """Return the score that at most `share` of further scores like these (N,) exceed. None if N is too small to say.

    It is the ceil((N + 1)(1 - share))-th smallest: split conformal prediction (Vovk, Gammerman and Shafer 2005; arXiv
    2107.07511). It holds for videos drawn in the same way as these.
    """
    rank = math.ceil((len(scores) + 1) * (1 - share) - 1e-9)  # in binary, 20 x 0.95 is slightly more than 19
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else None


def share_as_near(others: np.ndarray, cosine: float) -> float:
    """Return the share of the cosines of others (N,), ascending, that are at least `cosine`; 0 if there are none.

    It makes different classes comparable, as cosines do not: it says how rarely a video of another class comes as near.
    """
    return float(np.mean(others >= cosine)) if len(others) else 0.0


def fewest(share: float) -> int:
    """Return the smallest number of scores that `conformal_threshold` needs."""
    return math.ceil((1 - share) / share - 1e-9)


def _nearest_of_others(
    asked: Sequence[Video], asked_vectors: np.ndarray, own: Sequence[Video], own_vectors: np.ndarray
) -> np.ndarray:
    """Return the cosine (N,) of each asked video to the nearest own video of other classes, as if it were not there."""
    sets = list(dict.fromkeys(class_texts(video) for video in own))  # few, however many videos there are
    number = {texts: position for position, texts in enumerate(sets)}
    codes = np.array([number[class_texts(video)] for video in own], dtype=np.int64)  # (V,)
    labelled = np.array([row for row, video in enumerate(asked) if video.labels], dtype=np.int64)
    chosen = np.unique(np.linspace(0, len(labelled) - 1, min(len(labelled), MAX_ASKED)).astype(np.int64))
    found: list[float] = []
    for rows in np.array_split(labelled[chosen], max(1, -(-len(chosen) // ASKED_TOGETHER))):
        cosines = own_vectors @ asked_vectors[rows].T  # (V, A)
        for column, row in zip(cosines.T, rows.tolist(), strict=True):
            texts = class_texts(asked[row])
            others = np.array([bool(theirs) and not texts & theirs for theirs in sets], dtype=np.bool_)[codes]  # (V,)
            if others.any():
                found.append(column[others].max())
    return np.array(found, dtype=np.float32)


def in_index(videos: Sequence[Video], vectors: np.ndarray, *, index: Index) -> list[str | None]:
    """Return, for each video with its vectors (N, D), the index's own video that it is, or None."""
    own, own_vectors = index.videos[: index.num_own], index.own_vectors
    row_of_id = {video.video_id: row for row, video in enumerate(own)}
    # The features of another program may have one file for all videos. Such a file does not tell two videos apart.
    places = [place_of(video) for video in own]
    times = Counter(places)
    row_of_place = {place: row for row, place in enumerate(places) if times[place] == 1}
    found: list[str | None] = []
    for video, vector in zip(videos, vectors, strict=True):
        rows = (row_of_id.get(video.video_id), row_of_place.get(place_of(video)))
        same = [row for row in rows if row is not None and own_vectors[row] @ vector >= SAME]
        found.append(own[same[0]].video_id if same else None)
    return found
