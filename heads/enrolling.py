"""Enrolling: a name and a few examples make a class of an index, known by their mean, without training."""

import difflib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from framebank.store.enrolment import Enrolment, changing
from framebank.store.errors import DataError
from framebank.store.index import Index
from framebank.store.labels import class_text
from framebank.store.vectors import unit
from framebank.store.video import LABEL_SEPARATOR, Video

UNKNOWN = "unknown"

# How many of the videos of other classes may be taken for an enrolled one.
SHARE = 0.05

# So many of an index's videos are asked for their nearest to set a threshold; all of them would take V x V cosines.
MAX_ASKED = 2000

# Two embeddings of one clip differ in rounding; of two clips, by more.
SAME = 0.99


@dataclass(frozen=True)
class Enrolled:
    """One class as it stands: its videos that were enrolled, those of the index, and the cosine from which one passes.

    `threshold` is None where fewer than 19 videos of other classes are there to set it.
    """

    label: str
    num_enrolled: int
    num_own: int
    num_others: int
    threshold: float | None


def check_label(index: Index, label: str) -> None:
    """Refuse a label that cannot be enrolled, or that the index writes otherwise: DataError."""
    if not class_text(label) or label != label.strip() or LABEL_SEPARATOR in label:
        raise DataError(f"the label {label!r} cannot be enrolled; expected one name, without ';' and spaces around it")
    if class_text(label) == UNKNOWN:
        raise DataError(f"the label {label!r} is what no class is called; expected another name")
    written = next((name for name in _names(index) if class_text(name) == class_text(label) and name != label), None)
    if written:
        raise DataError(f"the label {label!r} is written {written!r} in the index; enroll it under that name")


def enroll(folder: Path, label: str, examples: Sequence[tuple[Video, np.ndarray]], *, of: str) -> Enrolled:
    """Add videos with their vectors (D,) to the index of a folder, all of them or none, and set its thresholds anew.

    Their video_ids become LABEL/video_id. `of` is the digest of the index that the vectors were pooled for, as its
    enrolment has it. DataError where one of them is there under this label, or twice, or the index is another by now.
    """
    with changing(folder):
        index = Index.load(folder)
        if index.enrolment.of != of:
            raise DataError(f"{folder}: was made again while the videos were embedded; enroll them once more")
        check_label(index, label)
        known = list(zip(index.videos, index.vectors, strict=True))
        taken = {video.video_id for video in index.videos}
        for example, found in examples:
            vector = unit(found)
            _require_new(example, vector, label, known=known)
            video = replace(example, video_id=_free_id(f"{label}/{example.video_id}", taken), label=label, split="")
            known.append((video, vector))
            taken.add(video.video_id)
        added = known[len(index) :]
        # What was enrolled before stays bit for bit, so that unenrolling gives back the bytes there were.
        videos = (*index.enrolment.videos, *(video for video, _ in added))
        vectors = np.vstack([index.enrolment.vectors, *(vector for _, vector in added)])
        _calibrated(index, videos, vectors).write(folder)
    return describe(Index.load(folder), label)


def unenroll(folder: Path, label: str) -> int:
    """Remove the enrolled videos of a label from the index of a folder and return how many; its own videos stay.

    DataError with near names where the label was not enrolled.
    """
    with changing(folder):
        index = Index.load(folder)
        enrolment = index.enrolment
        if label not in enrolment.labels:
            near = difflib.get_close_matches(label, enrolment.labels, cutoff=0.5)
            there = f"; near names: {', '.join(map(repr, near))}" if near else ""
            raise DataError(f"{folder}: {label!r} is none of its {len(enrolment.labels)} enrolled classes{there}")
        kept = [row for row, video in enumerate(enrolment.videos) if video.label != label]
        rest = tuple(enrolment.videos[row] for row in kept)
        _calibrated(index, rest, enrolment.vectors[kept]).write(folder)
    return len(enrolment) - len(rest)


def describe(index: Index, label: str) -> Enrolled:
    """Return what is known of an enrolled class of an index."""
    of_label = [label in video.labels for video in index.videos]
    return Enrolled(
        label,
        num_enrolled=sum(of_label[index.num_own :]),
        num_own=sum(of_label[: index.num_own]),
        num_others=int(_others(index.videos, index.vectors, label).sum()),
        threshold=index.enrolment.thresholds[label],
    )


def prototypes(index: Index) -> np.ndarray:
    """Return the mean of the unit vectors of each enrolled class, of unit length again, (C, D), in their order.

    The index's own videos of the label count with those that were enrolled (prototypical networks, Snell et al. 2017,
    arXiv 1703.05175, with cosine).
    """
    vectors = index.vectors
    return np.stack([_prototype(index.videos, vectors, label) for label in index.enrolment.labels])


def conformal_threshold(scores: np.ndarray, *, share: float) -> float | None:
    """Return the score (N,) that no more than `share` of others like these exceed; None where N is too small to say.

    The ceil((N + 1)(1 - share))-th smallest: split conformal prediction (Vovk, Gammerman and Shafer 2005; arXiv
    2107.07511). It holds for videos that are drawn as these were.
    """
    rank = math.ceil((len(scores) + 1) * (1 - share) - 1e-9)  # 20 x 0.95 in binary is a hair more than 19
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else None


def _calibrated(index: Index, videos: tuple[Video, ...], vectors: np.ndarray) -> Enrolment:
    """The enrolment of these videos, (E, D), with a threshold for each label and for the index's own videos."""
    everything = (*index.videos[: index.num_own], *videos)
    together = np.vstack([index.vectors[: index.num_own], vectors])  # (V, D)
    thresholds = {
        label: conformal_threshold(
            together[_others(everything, together, label)] @ _prototype(everything, together, label), share=SHARE
        )
        for label in sorted({video.label for video in videos})
    }
    return Enrolment(
        videos, vectors, thresholds, nearest=_nearest_threshold(index) if videos else None, of=index.enrolment.of
    )


def _nearest_threshold(index: Index) -> float | None:
    """What the nearest own video seldom exceeds for a class that is not there: each is asked as if its own were not."""
    rows = np.array([row for row in range(index.num_own) if index.videos[row].labels], dtype=np.int64)
    labels_of = {index.videos[row].label: frozenset(index.videos[row].labels) for row in rows}
    names, sets = list(labels_of), list(labels_of.values())
    shares_label = np.array([[bool(one & other) for other in sets] for one in sets], dtype=np.bool_)  # (N, N)
    number = {name: position for position, name in enumerate(names)}
    codes = np.array([number[index.videos[row].label] for row in rows], dtype=np.int64)
    vectors = index.vectors[rows]
    asked = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MAX_ASKED)).astype(np.int64))
    found = []
    for row in asked:
        others = ~shares_label[codes[row]][codes]  # (V,)
        if others.any():
            found.append((vectors @ vectors[row])[others].max())
    return conformal_threshold(np.array(found, dtype=np.float32), share=SHARE)


def _others(videos: Sequence[Video], vectors: np.ndarray, label: str) -> np.ndarray:
    """Whether each video (V,) is of other classes alone; copies of the class's own examples are not."""
    examples = [row for row, video in enumerate(videos) if label in video.labels]
    others = np.array([bool(video.labels) and label not in video.labels for video in videos], dtype=np.bool_)
    places = {_place(videos[row]): row for row in examples}
    for row in np.flatnonzero(others).tolist():
        same = places.get(_place(videos[row]))
        others[row] = same is None or vectors[same] @ vectors[row] < SAME
    return others


def _prototype(videos: Sequence[Video], vectors: np.ndarray, label: str) -> np.ndarray:
    return unit(vectors[[label in video.labels for video in videos]].mean(0))


def _require_new(video: Video, vector: np.ndarray, label: str, *, known: Sequence[tuple[Video, np.ndarray]]) -> None:
    place = _place(video)
    for other, own in known:
        if label in other.labels and _place(other) == place and own @ vector >= SAME:
            raise DataError(f"{video.path}: is already there under the label {label!r}, as {other.video_id!r}")


def _place(video: Video) -> tuple[str, float, float | None]:
    return os.path.normpath(video.path), video.start or 0.0, video.end


def _free_id(wanted: str, taken: set[str]) -> str:
    number = 2
    found = wanted
    while found in taken:
        found, number = f"{wanted}-{number}", number + 1
    return found


def _names(index: Index) -> list[str]:
    return sorted({label for video in index.videos for label in video.labels})
