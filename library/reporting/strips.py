"""Strips of a report: frames of telling videos, with the score of one or two labels over time below them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framebank.library.reporting.material import RunMaterial
from framebank.library.reporting.runs import EvaluatedRun

SHOWN = 6  # of each kind


@dataclass(frozen=True)
class ShownLabel:
    """A label, and the probability that a run gives it."""

    label: str
    probability: float


@dataclass(frozen=True)
class ScoredStrip:
    """One video: `frames` are addresses of pictures. `wrong` is a label that it lacks, or None; `true` has its own.

    `times` (T,) are seconds; `over_time` are the probabilities of the labels that are `drawn`, if each frame stood
    alone, (T, 1 or 2). Both are empty if the run does not read frames, or the store no longer has the video.
    """

    video_id: str
    wrong: ShownLabel | None
    true: tuple[ShownLabel, ...]
    frames: tuple[str, ...]
    times: tuple[float, ...] = ()
    over_time: tuple[tuple[float, ...], ...] = ()

    @property
    def drawn(self) -> tuple[ShownLabel, ...]:
        """The labels that are drawn over time: the wrong one if there is one, and the first true one."""
        return (self.true[0],) if self.wrong is None else (self.wrong, self.true[0])


@dataclass(frozen=True)
class TellingVideos:
    """The mistakes of which a run is surest, and the hits of which it is least sure."""

    mistakes: tuple[ScoredStrip, ...]
    hits: tuple[ScoredStrip, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the videos as plain values."""
        return {
            "surest_mistakes": [one.video_id for one in self.mistakes],
            "least_sure_hits": [one.video_id for one in self.hits],
        }


def telling_videos(material: RunMaterial[EvaluatedRun]) -> TellingVideos:
    """Return the surest mistakes and the least sure hits of the first run, with their frames and scores."""
    measured = material.first
    wrong = np.flatnonzero(~measured.correct)
    wrong = wrong[np.argsort(-measured.confidence[wrong], kind="stable")][:SHOWN]
    hits = np.flatnonzero(measured.correct)
    hits = hits[np.argsort(measured.confidence[hits], kind="stable")][:SHOWN]
    made = [tuple(_strip_of_row(row, material) for row in rows.tolist()) for rows in (wrong, hits)]
    return TellingVideos(made[0], made[1])


def _strip_of_row(row: int, material: RunMaterial[EvaluatedRun]) -> ScoredStrip:
    measured = material.first
    said = ShownLabel(measured.labels[int(measured.best[row])], float(measured.confidence[row]))
    true = ShownLabel(measured.labels[int(measured.targets[row])], float(measured.own[row]))
    wrong = None if measured.correct[row] else said
    return strip_of_video(measured.video_ids[row], wrong, (true,), material)


def strip_of_video(
    video_id: str,
    wrong: ShownLabel | None,
    true: Sequence[ShownLabel],
    material: RunMaterial[Any],
    *,
    multi_label: bool = False,
) -> ScoredStrip:
    """Return the strip of one video. With `multi_label`, each label has a probability of its own."""
    frames = material.pictures.strip(material.videos[video_id]) if video_id in material.videos else ()
    strip = ScoredStrip(video_id, wrong, tuple(true), frames)
    store = material.store
    if store is None or video_id not in store or material.run.recipe.stream != "frame":
        return strip
    times, scores = _over_time(strip, material, multi_label=multi_label)
    return ScoredStrip(video_id, wrong, strip.true, frames, times, scores)


def _over_time(
    strip: ScoredStrip, material: RunMaterial[Any], *, multi_label: bool
) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """The seconds and the probabilities of each frame of the first view and clip, as if it were the whole video."""
    import torch

    run, store = material.opened()
    rows = store[strip.video_id]
    first = (rows.views == 0) & (rows.clips == 0)
    x = torch.from_numpy(np.ascontiguousarray(rows.data[first]))[:, None]  # (T, 1, D)
    with torch.inference_mode():
        logits = run.model.cpu().eval()(x, torch.ones(x.shape[:2], dtype=torch.bool))
        scaled = run.model.scaled(logits.double(), multi_label=multi_label)
        scores = (scaled.sigmoid() if multi_label else scaled.softmax(-1)).numpy()  # (T, C)
    places = [run.labels.index(one.label) for one in strip.drawn]
    return tuple(rows.timestamps[first].tolist()), tuple(map(tuple, scores[:, places].tolist()))
