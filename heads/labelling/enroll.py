"""Enrolling: a name and a few examples become a class of an index. Their mean stands for it; there is no training."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from framebank.heads.labelling.calibrate import calibrated, num_others
from framebank.heads.labelling.prototypes import SAME, labels_of, place_of
from framebank.heads.labelling.prototypes import prototypes as prototypes
from framebank.store.errors import DataError
from framebank.store.indexes.enrolment import changing
from framebank.store.indexes.index import Index
from framebank.store.vectors import has_direction, unit
from framebank.store.videos.labels import class_text
from framebank.store.videos.spelling import nfc
from framebank.store.videos.video import LABEL_SEPARATOR, Video

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Enrolled:
    """An enrolled class: its enrolled videos, its videos of the index, and the cosine from which a video passes.

    The `num_others` videos of other classes set the `threshold`; `source_of` tells where they come from. It is None if
    they are fewer than `fewest`.
    """

    label: str
    num_enrolled: int
    num_own: int
    num_others: int
    threshold: float | None


def label_in(index: Index, label: str) -> str:
    """Return a label in the Unicode form in which the index has it, or in NFC if it is new there.

    DataError if it cannot be enrolled, or if the index writes it in another way.
    """
    names = _names(index)
    label = next((name for name in names if nfc(name) == nfc(label)), nfc(label))
    if not class_text(label) or label != label.strip() or LABEL_SEPARATOR in label:
        raise DataError(f"the label {label!r} cannot be enrolled; expected one name, without ';' and spaces around it")
    if class_text(label) == UNKNOWN:
        raise DataError(
            f"the label {label!r} cannot be enrolled: it is the answer when no class fits; choose another name"
        )
    written = next((name for name in names if class_text(name) == class_text(label) and name != label), None)
    if written:
        raise DataError(f"the label {label!r} is written {written!r} in the index; use that name")
    return label


def enroll(folder: Path, label: str, examples: Sequence[tuple[Video, np.ndarray]], *, index: Index) -> Index:
    """Add videos with vectors (D,) to the index in a folder, all of them or none, and set its thresholds again.

    Their video_ids become LABEL/video_id. `index` is the index that the vectors were pooled for, as it was read from
    the folder. Returns the index as it now is. DataError if an example is enrolled under this label already or is given
    twice, if its vector is all zeros or holds a value that is not a number, or if the index has been made again.
    """
    with changing(folder):
        index = index.reread(folder)
        label = label_in(index, label)
        known = list(_examples_of(index, label))
        taken = {video.video_id for video in index.videos}
        added: list[tuple[Video, np.ndarray]] = []
        for example, found in examples:
            if not has_direction(found):
                raise DataError(
                    f"{example.path}: its embedding is all zeros, or holds values that are not numbers; it "
                    "cannot be an example of a class"
                )
            vector = unit(found)
            _require_new(example, vector, label, known=known)
            video = replace(example, video_id=free_id(f"{label}/{example.video_id}", taken), label=label, split="")
            known.append((video, vector))
            added.append((video, vector))
            taken.add(video.video_id)
        # Earlier enrolments stay bit for bit, so that unenrolling restores the same bytes.
        videos = (*index.enrolment.videos, *(video for video, _ in added))
        vectors = np.vstack([index.enrolment.vectors, *(vector for _, vector in added)])
        made = calibrated(index, videos, vectors)
        made.write(folder)
        return index.with_enrolment(made)


def unenroll(folder: Path, label: str, *, index: Index | None = None) -> int:
    """Remove the enrolled videos of a label from the index in a folder and return how many. Its own videos stay.

    If the caller has read the `index` from the folder, it is not read again. DataError, with near names, if the label
    was not enrolled.
    """
    with changing(folder):
        index = index.reread(folder) if index else Index.load(folder)
        enrolment = index.enrolment
        if not enrolment.labels:
            raise DataError(f"{folder}: has no enrolled class, and so no {label!r}")
        label = next((name for name in enrolment.labels if nfc(name) == nfc(label)), label)
        if label not in enrolment.labels:
            near = difflib.get_close_matches(label, enrolment.labels, cutoff=0.5)
            there = f"; near names: {', '.join(map(repr, near))}" if near else ""
            raise DataError(f"{folder}: {label!r} is not one of its enrolled classes{there}")
        kept = [row for row, video in enumerate(enrolment.videos) if video.label != label]
        rest = tuple(enrolment.videos[row] for row in kept)
        calibrated(index, rest, enrolment.vectors[kept]).write(folder)
    return len(enrolment) - len(rest)


def describe(index: Index, label: str) -> Enrolled:
    """Return the facts about an enrolled class of an index."""
    of_label = [label in labels_of(video.label) for video in index.videos]
    return Enrolled(
        label,
        num_enrolled=sum(of_label[index.num_own :]),
        num_own=sum(of_label[: index.num_own]),
        num_others=num_others(index, label),
        threshold=index.enrolment.thresholds[label],
    )


def free_id(wanted: str, taken: set[str]) -> str:
    """Return a video_id that is not taken: the wanted one, or the wanted one with a number."""
    number = 2
    found = wanted
    while found in taken:
        found, number = f"{wanted}-{number}", number + 1
    return found


def _examples_of(index: Index, label: str) -> Iterator[tuple[Video, np.ndarray]]:
    for video in index.videos:
        if label in labels_of(video.label):
            yield video, index.vector(video.video_id)


def _require_new(video: Video, vector: np.ndarray, label: str, *, known: Sequence[tuple[Video, np.ndarray]]) -> None:
    place = place_of(video)
    for other, own in known:
        if place_of(other) == place and own @ vector >= SAME:
            raise DataError(f"{video.path}: is already there under the label {label!r}, as {other.video_id!r}")


def _names(index: Index) -> list[str]:
    return sorted({name for label in {video.label for video in index.videos} for name in labels_of(label)})
