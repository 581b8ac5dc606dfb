"""Strips of a report: frames of telling videos, with the score of two classes over time below them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from framebank.library.reporting.pictures import Pictures
from framebank.library.reporting.runs import EvaluatedRun
from framebank.store.videos.video import Video

if TYPE_CHECKING:
    from framebank.heads.training.run import Run
    from framebank.store import FeatureStore

SHOWN = 6  # of each kind


@dataclass(frozen=True)
class ScoredStrip:
    """One video: `frames` are addresses of pictures. `said` and `true` are labels with the run's probability of each.

    `times` (T,) are seconds; `over_time` are the probabilities of `said` and of `true` if each frame stood alone,
    (T, 2). Both are empty if the run does not read frames, or the store no longer has the video.
    """

    video_id: str
    said: str
    confidence: float
    true: str
    own: float
    frames: tuple[str, ...]
    times: tuple[float, ...] = ()
    over_time: tuple[tuple[float, float], ...] = ()

    @property
    def right(self) -> bool:
        """Whether the run has it right."""
        return self.said == self.true


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


def telling_videos(
    measured: EvaluatedRun,
    pictures: Pictures,
    videos: Mapping[str, Video],
    run: "Run",
    store: "FeatureStore | None",
) -> TellingVideos:
    """Return the surest mistakes and the least sure hits with their frames and scores."""
    wrong = np.flatnonzero(~measured.correct)
    wrong = wrong[np.argsort(-measured.confidence[wrong], kind="stable")][:SHOWN]
    hits = np.flatnonzero(measured.correct)
    hits = hits[np.argsort(measured.confidence[hits], kind="stable")][:SHOWN]
    made = [
        tuple(strip_of_row(row, measured, pictures, videos, run, store) for row in rows.tolist())
        for rows in (wrong, hits)
    ]
    return TellingVideos(made[0], made[1])


def strip_of_row(
    row: int,
    measured: EvaluatedRun,
    pictures: Pictures,
    videos: Mapping[str, Video],
    run: "Run",
    store: "FeatureStore | None",
) -> ScoredStrip:
    """Return the strip of one video of a run."""
    video_id = measured.video_ids[row]
    said, true = measured.labels[int(measured.best[row])], measured.labels[int(measured.targets[row])]
    times: Sequence[float] = ()
    scores: Sequence[tuple[float, float]] = ()
    if store is not None and video_id in store and run.recipe.stream == "frame":
        times, scores = _over_time(run, store, video_id, said, true)
    frames = pictures.strip(videos[video_id]) if video_id in videos else ()
    return ScoredStrip(
        video_id,
        said,
        float(measured.confidence[row]),
        true,
        float(measured.own[row]),
        frames,
        tuple(times),
        tuple(scores),
    )


def _over_time(
    run: "Run", store: "FeatureStore", video_id: str, said: str, true: str
) -> tuple[list[float], list[tuple[float, float]]]:
    """The probabilities of two classes for each frame of the first view and clip, as if it were the whole video."""
    import torch

    rows = store[video_id]
    first = (rows.views == 0) & (rows.clips == 0)
    x = torch.from_numpy(np.ascontiguousarray(rows.data[first]))[:, None]  # (T, 1, D)
    with torch.inference_mode():
        logits = run.model.cpu().eval()(x, torch.ones(x.shape[:2], dtype=torch.bool))
        scores = run.model.scaled(logits.double(), multi_label=False).softmax(-1).numpy()  # (T, C)
    places = [run.labels.index(said), run.labels.index(true)]
    pairs = [(float(one), float(two)) for one, two in scores[:, places].tolist()]
    return rows.timestamps[first].tolist(), pairs
