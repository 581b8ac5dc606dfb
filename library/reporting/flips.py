"""Flips of a report: which of two runs is better, and the videos that one has right and the other has not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from framebank.library.figures.pairs import RunPair, compare_runs
from framebank.library.reporting.runs import EvaluatedRun

SHOWN = 200  # videos of each way


@dataclass(frozen=True)
class FlippedVideo:
    """One video that the two runs answer differently: what each says, and the true label."""

    video_id: str
    true: str
    first: str
    second: str


@dataclass(frozen=True)
class RunFlips:
    """How a run compares with the first one, with the first SHOWN videos that it gained and lost."""

    name: str
    pair: RunPair
    gained: tuple[FlippedVideo, ...]
    lost: tuple[FlippedVideo, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values."""
        return self.pair.paired.to_dict()


def flips_of(runs: Sequence[EvaluatedRun]) -> tuple[RunFlips, ...]:
    """Return how each further run compares with the first; nothing for one run."""
    if len(runs) < 2:
        return ()
    found = compare_runs(*[run.path for run in runs])
    row_of = {video_id: row for row, video_id in enumerate(runs[0].video_ids)}
    made = []
    for pair, other in zip(found.pairs, runs[1:], strict=True):
        sides = [
            tuple(_flipped(video_id, row_of[video_id], runs[0], other) for video_id in ids[:SHOWN])
            for ids in (pair.gained, pair.lost)
        ]
        made.append(RunFlips(other.name, pair, sides[0], sides[1]))
    return tuple(made)


def _flipped(video_id: str, row: int, first: EvaluatedRun, other: EvaluatedRun) -> FlippedVideo:
    labels = first.labels
    return FlippedVideo(
        video_id, labels[int(first.targets[row])], labels[int(first.best[row])], labels[int(other.best[row])]
    )
