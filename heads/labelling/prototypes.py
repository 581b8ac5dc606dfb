"""Prototypes: each enrolled class as the mean of its videos, and how near the videos of other classes come to it."""

import functools
import os
from collections.abc import Sequence
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np

from framebank.store.indexes.enrolment import Calibration
from framebank.store.indexes.index import Index
from framebank.store.vectors import unit
from framebank.store.videos.labels import class_text
from framebank.store.videos.video import LABEL_SEPARATOR, Video

# The embeddings of two copies of a clip differ by rounding only; those of two clips differ by more.
SAME = 0.99

_MADE: WeakKeyDictionary[Index, np.ndarray] = WeakKeyDictionary()


class KnownVideos:
    """An index's own videos, and others with unit vectors (E, D), treated as if they were enrolled in it."""

    def __init__(self, index: Index, videos: Sequence[Video], vectors: np.ndarray) -> None:
        self.videos = (*index.videos[: index.num_own], *videos)
        self._parts = (index.own_vectors, vectors)

    def prototype(self, label: str) -> np.ndarray:
        """Return the mean of the unit vectors of a label's videos, made unit, (D,)."""
        return unit(np.stack([self._vector(row) for row in self._rows[label]]).mean(0))

    def cosines_of_others(self, label: str, calibration: Calibration) -> np.ndarray:
        """Return the cosine (N,) to the prototype of each video that sets the threshold of a label.

        These are videos of other classes only, from the calibration or else from the index and the enrolled ones.
        Copies of the class's own examples are left out.
        """
        videos, parts, places = self.videos, list(self._parts), self._places
        if calibration.videos:
            videos, parts, places = calibration.videos, [calibration.vectors], list(map(place_of, calibration.videos))
        direction = self.prototype(label)
        cosines = np.concatenate([part @ direction for part in parts if len(part)])
        text = class_text(label)
        others = [bool(texts) and text not in texts for texts in map(class_texts, videos)]
        examples: dict[object, list[int]] = {}
        for row in self._rows[label]:
            examples.setdefault(self._places[row], []).append(row)
        for row, place in enumerate(places):
            if place in examples and others[row]:
                vector = calibration.vectors[row] if calibration.videos else self._vector(row)
                others[row] = not any(self._vector(example) @ vector >= SAME for example in examples[place])
        found: np.ndarray = cosines[np.array(others, dtype=np.bool_)]
        return found

    @cached_property
    def _rows(self) -> dict[str, list[int]]:
        """The rows of the videos of each label."""
        found: dict[str, list[int]] = {}
        for row, video in enumerate(self.videos):
            for label in labels_of(video.label):
                found.setdefault(label, []).append(row)
        return found

    @cached_property
    def _places(self) -> list[tuple[str, float, float | None]]:
        return list(map(place_of, self.videos))

    def _vector(self, row: int) -> np.ndarray:
        own, more = self._parts
        found: np.ndarray = own[row] if row < len(own) else more[row - len(own)]
        return found


def prototypes(index: Index) -> np.ndarray:
    """Return the mean of the unit vectors of each enrolled class, made unit, (C, D), in their order.

    The index's own videos of a label count together with the enrolled ones (prototypical networks, Snell et al. 2017,
    arXiv 1703.05175, with cosine). The result is computed once for an index.
    """
    if index not in _MADE:
        enrolment = index.enrolment
        known = KnownVideos(index, enrolment.videos, enrolment.vectors)
        _MADE[index] = np.stack([known.prototype(label) for label in enrolment.labels])
    return _MADE[index]


def place_of(video: Video) -> tuple[str, float, float | None]:
    """Return the file of a video and its seconds in it."""
    return os.path.normpath(video.path), video.start or 0.0, video.end


def class_texts(video: Video) -> frozenset[str]:
    """Return the labels of a video as words."""
    return _texts(video.label)


@functools.lru_cache(maxsize=65536)
def labels_of(label: str) -> tuple[str, ...]:
    """Return the names in a label, as `Video.labels` does. Cached: an index has few labels, but many videos."""
    return tuple(name.strip() for name in label.split(LABEL_SEPARATOR)) if label else ()


@functools.lru_cache(maxsize=65536)
def _texts(label: str) -> frozenset[str]:
    return frozenset(map(class_text, labels_of(label)))
