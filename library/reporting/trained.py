"""Trained: how many of the measured videos a run was trained on, which make its figures too good."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from framebank.heads.training.run import Run
from framebank.store.counts import counted
from framebank.store.features import FeatureStore


class MeasuredOnVideos(Protocol):
    """What is asked: a run, the videos that it was measured on, and their store."""

    @property
    def path(self) -> Path:
        """The folder of the run."""

    @property
    def name(self) -> str:
        """What a page calls it."""

    @property
    def store(self) -> Path:
        """The folder of the store."""

    @property
    def video_ids(self) -> tuple[str, ...]:
        """The V videos that it was measured on."""


def trained_among(run: MeasuredOnVideos) -> int:
    """Return how many of the measured videos the run was trained on; 0 if the run or its store does not say."""
    folder = run.path if not any(run.path.glob("seed-*")) else min(run.path.glob("seed-*"))
    opened = Run.read(folder)
    if opened.seen:
        return len(opened.trained_videos_among(run.video_ids, store=run.store))
    if not run.store.exists():
        return 0
    return len(set(opened.videos_in(FeatureStore(run.store))).intersection(run.video_ids))


def trained_notes(runs: Sequence[MeasuredOnVideos]) -> tuple[str, ...]:
    """Return one sentence for each run that was trained on videos that it was measured on."""
    counts = [(run.name, trained_among(run), len(run.video_ids)) for run in runs]
    return tuple(
        f"{name} was trained on {found} of the {counted(videos, 'video')} that it was measured on, so its figures are "
        "too good."
        for name, found, videos in counts
        if found
    )
