"""Judged strips of a report: frames of videos of several labels, whose labels a run takes for wrong ones or misses."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from framebank.library.reporting.judged import JudgedRun
from framebank.library.reporting.material import RunMaterial
from framebank.library.reporting.strips import SHOWN, ScoredStrip, ShownLabel, strip_of_video


@dataclass(frozen=True)
class TellingLabels:
    """The videos with the surest wrong labels, and those with the true labels of which a run is least sure."""

    mistakes: tuple[ScoredStrip, ...]
    misses: tuple[ScoredStrip, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the videos as plain values."""
        return {
            "surest_mistakes": [one.video_id for one in self.mistakes],
            "least_sure_labels": [one.video_id for one in self.misses],
        }


def telling_labels(material: RunMaterial[JudgedRun]) -> TellingLabels:
    """Return strips of the first run: of each video at most its surest wrong label, and its least sure true one.

    The first have the surest wrong labels of all videos, the others the least sure true labels. A video that has every
    label has no wrong one.
    """
    first = material.first
    true = first.targets
    surest = np.where(true, -np.inf, first.scores).max(1)  # of the labels that a video lacks, (V,)
    lacking = np.flatnonzero(~true.all(1))
    lacking = lacking[np.argsort(-surest[lacking], kind="stable")][:SHOWN]
    least = np.where(true, first.scores, np.inf).min(1)
    mistakes = [_mistake(row, material) for row in lacking.tolist()]
    misses = [_miss(row, material) for row in np.argsort(least, kind="stable")[:SHOWN].tolist()]
    return TellingLabels(tuple(mistakes), tuple(misses))


def _mistake(row: int, material: RunMaterial[JudgedRun]) -> ScoredStrip:
    first = material.first
    said = int(np.where(first.targets[row], -np.inf, first.scores[row]).argmax())
    wrong = ShownLabel(first.labels[said], float(first.scores[row, said]))
    return strip_of_video(first.video_ids[row], wrong, _true_labels(row, first), material, multi_label=True)


def _miss(row: int, material: RunMaterial[JudgedRun]) -> ScoredStrip:
    *others, least = _true_labels(row, material.first)
    return strip_of_video(material.first.video_ids[row], None, (least, *others), material, multi_label=True)


def _true_labels(row: int, first: JudgedRun) -> list[ShownLabel]:
    """The labels of a video, the surest first."""
    return [ShownLabel(first.labels[place], float(first.scores[row, place])) for place in first.true_places(row)]
