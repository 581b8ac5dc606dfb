"""Sheets of a store for its report: a few frames of each class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framebank.library.reporting.map import NO_LABEL
from framebank.library.reporting.pictures import Pictures
from framebank.store.videos.video import Video

OF_CLASS, OF_NONE = 4, 24  # pictures, of a class and of the videos without a label


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
    """Return at most OF_CLASS frames of each class, of videos drawn by seed 0, until enough videos were read.

    One of each class is read first, then a second of each. A class that no video was read of is left out. Of NO_LABEL
    there are up to OF_NONE.
    """
    most = {label: OF_NONE if label == NO_LABEL else OF_CLASS for label in videos}
    drawn = {
        label: [own[place] for place in np.random.default_rng(0).permutation(len(own))[: most[label]].tolist()]
        for label, own in sorted(videos.items())
    }
    shown: dict[str, list[tuple[str, str]]] = {}
    for turn in range(max(most.values(), default=0)):
        for label, own in drawn.items():
            if turn < len(own) and pictures.left > 0:
                frame = pictures.middle(own[turn])
                shown.setdefault(label, []).extend([(own[turn].video_id, frame)] if frame else [])
    return tuple(ClassSheet(label, len(videos[label]), tuple(frames)) for label, frames in shown.items())
