"""Sheets of a store for its report: a few frames of each class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framebank.library.reporting.pictures import Pictures
from framebank.store.videos.video import Video

OF_CLASS = 4  # pictures


@dataclass(frozen=True)
class ClassSheet:
    """The middle frames of some videos of a class, as addresses of pictures, with the ids of the videos."""

    label: str
    videos: int
    frames: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the class and the videos shown as plain values."""
        return {"label": self.label, "videos": [video_id for video_id, _ in self.frames]}


def class_sheets(videos: Mapping[str, Sequence[Video]], pictures: Pictures) -> tuple[ClassSheet, ...]:
    """Return OF_CLASS frames of each class, of videos drawn by seed 0, until enough videos were read."""
    made = []
    for label, own in sorted(videos.items()):
        if pictures.left < OF_CLASS:
            break
        order = np.random.default_rng(0).permutation(len(own))[:OF_CLASS].tolist()
        frames = [(own[place].video_id, pictures.middle(own[place])) for place in order]
        made.append(ClassSheet(label, len(own), tuple(pair for pair in frames if pair[1])))
    return tuple(made)
