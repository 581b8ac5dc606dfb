"""The map of a report: videos as points, so that those with similar embeddings lie near each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDE, HIGH = 1000, 620  # the field that the points lie in
COLOURS = 10  # that tell classes apart; with more classes they repeat


@dataclass(frozen=True)
class MappedVideo:
    """What the map says of a video: its labels by their places, whether it is a mistake, and the words beside it.

    The first of the `targets` gives the colour; (-1,) stands for a video without a label.
    """

    targets: tuple[int, ...]
    wrong: bool
    told: str


@dataclass(frozen=True)
class Point:
    """One video on the map: its place in the field, and its colour."""

    x: int
    y: int
    colour: int
    video: MappedVideo


@dataclass(frozen=True)
class EmbeddingMap:
    """Videos on the two directions in which their embeddings differ most (PCA), and the shares that these explain."""

    points: tuple[Point, ...]
    labels: tuple[tuple[int, int, str], ...]
    explained: tuple[float, float]
    listed: int

    def to_dict(self) -> dict[str, Any]:
        """Return how many videos it shows and what its directions explain, as plain values."""
        return {"videos": len(self.points), "explained": list(self.explained)}


def embedding_map(
    vectors: np.ndarray, videos: Sequence[MappedVideo], names: Sequence[str], *, listed: int
) -> EmbeddingMap:
    """Return a map of unit vectors (V, D) with what to say of their V videos; `names` of all classes.

    Neighbouring classes by name get different colours; `labels` of the map are (class, colour, name).
    """
    centred = vectors - vectors.mean(0)
    values, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred / max(1, len(vectors)))
    values = np.maximum(values[::-1], 0)
    places = centred @ axes[:, ::-1][:, :2]  # (V, 2)
    low, span = places.min(0), np.maximum(np.ptp(places, axis=0), 1e-9)
    shown = np.round((places - low) / span * (WIDE, HIGH)).astype(int)
    occurring = {place for video in videos for place in video.targets}
    ordered = sorted(occurring, key=lambda place: names[place] if place >= 0 else "")
    colour_of = {place: number % COLOURS for number, place in enumerate(ordered)}
    points = tuple(
        Point(x, HIGH - y, colour_of[video.targets[0]], video)
        for (x, y), video in zip(shown.tolist(), videos, strict=True)
    )
    labels = tuple((place, colour_of[place], names[place] if place >= 0 else "no label") for place in ordered)
    total = float(values.sum()) or 1.0
    second = float(values[1]) if len(values) > 1 else 0.0
    return EmbeddingMap(points, labels, (float(values[0]) / total, second / total), listed)
