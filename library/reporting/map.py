"""The map of a report: videos as points, so that those with similar embeddings lie near each other."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDE, HIGH = 1000, 620  # the field that the points lie in
COLOURS, SHAPES = 8, 4  # the stylesheet has the colours, which also eyes that take red for green tell apart
MARKS = COLOURS * SHAPES  # a colour and a shape each; with more classes they repeat
UNLABELLED, NO_LABEL = -1, "no label"  # the place and the words of a video without one


@dataclass(frozen=True)
class MappedVideo:
    """What the map says of a video: its labels by their places, whether it is a mistake, and the words beside it.

    (UNLABELLED,) stands for a video without a label.
    """

    targets: tuple[int, ...]
    wrong: bool
    told: str


@dataclass(frozen=True)
class Mark:
    """A colour and a shape by their numbers; a colour of -1 is grey, for videos without a label."""

    colour: int
    shape: int

    @classmethod
    def of_rank(cls, rank: int) -> "Mark":
        """Return the mark of the class of a rank, 0 for the most common one: each colour first, then each shape."""
        return cls(rank % COLOURS, rank // COLOURS % SHAPES)


@dataclass(frozen=True)
class MappedClass:
    """A class on the map: its place among all, its name, how many videos of the map have it, and its mark."""

    place: int
    name: str
    videos: int
    mark: Mark


@dataclass(frozen=True)
class Point:
    """One video on the map: its place in the field, its mark, and its labels, that of the mark first."""

    x: int
    y: int
    mark: Mark
    targets: tuple[int, ...]
    video: MappedVideo


@dataclass(frozen=True)
class EmbeddingMap:
    """Videos on the two directions in which their embeddings differ most (PCA), and the shares that these explain.

    The classes are those of its videos, the most common first. The points of rare classes come last: they lie above.
    """

    points: tuple[Point, ...]
    classes: tuple[MappedClass, ...]
    explained: tuple[float, float]
    listed: int

    @property
    def repeats(self) -> bool:
        """Whether there are more classes than marks."""
        return sum(one.place != UNLABELLED for one in self.classes) > MARKS

    def to_dict(self) -> dict[str, Any]:
        """Return how many videos it shows and what its directions explain, as plain values."""
        return {"videos": len(self.points), "explained": list(self.explained)}


def embedding_map(
    vectors: np.ndarray, videos: Sequence[MappedVideo], names: Sequence[str], *, listed: int
) -> EmbeddingMap:
    """Return a map of unit vectors (V, D) with what to say of their V videos; `names` of all classes.

    The more videos a class has, the earlier its mark. A video of several labels has the mark of the rarest of those
    that do not share theirs: one that nearly all videos have tells none apart.
    """
    centred = vectors - vectors.mean(0)
    values, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred / max(1, len(vectors)))
    values = np.maximum(values[::-1], 0)
    places = centred @ axes[:, ::-1][:, :2]  # (V, 2)
    low, span = places.min(0), np.maximum(np.ptp(places, axis=0), 1e-9)
    shown = np.round((places - low) / span * (WIDE, HIGH)).astype(int)
    classes = _classes(videos, names)
    rank_of = {one.place: rank for rank, one in enumerate(classes)}
    points = []
    for (x, y), video in zip(shown.tolist(), videos, strict=True):
        own = _marked(video.targets, rank_of)
        others = (place for place in video.targets if place != own)
        points.append(Point(x, HIGH - y, classes[rank_of[own]].mark, (own, *others), video))
    points.sort(key=lambda point: rank_of[point.targets[0]] if point.targets[0] != UNLABELLED else -1)
    total = float(values.sum()) or 1.0
    second = float(values[1]) if len(values) > 1 else 0.0
    return EmbeddingMap(tuple(points), classes, (float(values[0]) / total, second / total), listed)


def _classes(videos: Sequence[MappedVideo], names: Sequence[str]) -> tuple[MappedClass, ...]:
    """The classes that occur, the most common first, by name if equal; videos without a label come last."""
    counts = Counter(place for video in videos for place in video.targets)
    without = counts.pop(UNLABELLED, 0)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], names[item[0]]))
    found = [MappedClass(place, names[place], count, Mark.of_rank(rank)) for rank, (place, count) in enumerate(ordered)]
    return (*found, *([MappedClass(UNLABELLED, NO_LABEL, without, Mark(-1, 0))] if without else []))


def _marked(targets: Sequence[int], rank_of: Mapping[int, int]) -> int:
    """The label of a video that gives its mark; of equal ones the first."""
    own = [place for place in targets if rank_of[place] < MARKS]
    return max(own, key=lambda place: rank_of[place]) if own else min(targets, key=lambda place: rank_of[place])
