"""Labelled videos: all answers about each video, computed for a part of a store at a time, and their table."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framebank.heads.labelling.answers import Answer, decide
from framebank.heads.labelling.enroll import UNKNOWN
from framebank.heads.labelling.labellers import Labeller
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.ledger import Failure
from framebank.store.memory import Rows, StorePart
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.video import LABEL_SEPARATOR, Video

AT_ONCE = 2048  # videos whose embeddings are in memory at the same time


@dataclass(frozen=True, repr=False)
class Labelled:
    """A video and its label, "unknown" if no answer passes. The answers are in order of precedence."""

    video: Video
    label: str
    answers: tuple[Answer, ...]

    @classmethod
    def of(cls, video: Video, answers: Sequence[Answer]) -> "Labelled":
        """Choose the label from the answers."""
        label, ordered = decide(answers)
        return cls(video, label, tuple(ordered))

    @property
    def by(self) -> str | None:
        """Which answer gave the label; None if it is unknown."""
        return self.answers[0].by if self.answers[0].passes else None

    @property
    def unsure(self) -> bool:
        """Whether the label is one among equals, or unknown."""
        return self.answers[0].unsure

    @property
    def label_set(self) -> tuple[str, ...] | None:
        """The conformal set of the run, or None if nobody asked for one."""
        return next((answer.label_set for answer in self.answers if answer.label_set is not None), None)

    def top(self, count: int) -> list[tuple[str, float | None]]:
        """Return the label and the next likeliest ones of the same answer; for "unknown", those that did not pass."""
        found = list(self.answers[0].ranked)
        return [*([] if self.by else [(UNKNOWN, None)]), *found][:count]

    def __repr__(self) -> str:
        shown = ", ".join(name if score is None else f"{name} {score:.2f}" for name, score in self.top(3))
        return f"{self.video.video_id}: {shown} (by {self.by or 'nobody'}{', unsure' if self.unsure else ''})"

    def to_dict(self, *, top: int = 3) -> dict[str, Any]:
        """Return it as plain values."""
        video = self.video
        sets = {} if self.label_set is None else {"set": list(self.label_set)}
        return {
            "video_id": video.video_id,
            "path": str(video.path),
            "start": video.start,
            "end": video.end,
            "label": self.label,
            "by": self.by,
            "labels": [{"label": label, "confidence": score} for label, score in self.top(top)],
            "unsure": self.unsure,
            **sets,
        }


def label_rows(videos: Sequence[Video], rows: Rows, labellers: Sequence[Labeller]) -> list[list[Answer]]:
    """Return all answers about each video. `rows` holds their embeddings."""
    told: list[list[Answer]] = [[] for _ in videos]
    for labeller in labellers:
        for answers, found in zip(told, labeller.answers(videos, rows), strict=True):
            answers += found
    return told


def label_store(store: FeatureStore, manifest: Manifest, labellers: Sequence[Labeller]) -> Iterator[Labelled | Failure]:
    """Label the videos of `manifest` from their stored rows, in order.

    A video without rows, or with rows that are not numbers and that a labeller cannot read, becomes a Failure.

    A few thousand videos are in memory at a time. DataError if a labeller cannot read the store's rows.
    """
    for labeller in labellers:
        labeller.require(store.spec, where=store.path)
    reasons = {failure.video_id: failure.reason for failure in store.failures}
    for first in range(0, len(manifest), AT_ONCE):
        part = manifest.videos[first : first + AT_ONCE]
        held = [video for video in part if video.video_id in store]
        told = {}
        if held:
            try:
                found = _label_held(held, store, labellers)
            except DataError:
                odd = {video.video_id for video in held if not np.isfinite(store[video.video_id].data).all()}
                if not odd:
                    raise
                reasons |= {
                    name: f"{name!r}: its embedding in {store.path} holds values that are not numbers" for name in odd
                }
                held = [video for video in held if video.video_id not in odd]
                found = _label_held(held, store, labellers) if held else []
            told = {video.video_id: answers for video, answers in zip(held, found, strict=True)}
        for video in part:
            if video.video_id in told:
                yield Labelled.of(video, told[video.video_id])
            else:
                reason = reasons.get(video.video_id, f"{video.path}: has no embedding in {store.path}; extract it")
                yield Failure(video.video_id, str(video.path), reason)


def _label_held(videos: Sequence[Video], store: FeatureStore, labellers: Sequence[Labeller]) -> list[list[Answer]]:
    return label_rows(videos, StorePart(store, tuple(video.video_id for video in videos)), labellers)


def write_table(path: Path, labelled: Iterable[Labelled], *, top: int, sets: bool = False) -> None:
    """Write one CSV row for each labelled video as they arrive: which seconds, the `top` labels, and who gave them.

    The columns are video_id, path, start, end, label, confidence, then label_2, confidence_2 and so on, unsure, by.
    If a run has thresholds for several labels, `label` is all above theirs, joined by ";", the likeliest first.
    Confidence is a probability of a run or of texts, a share of the neighbours' votes, or the cosine of an enrolled
    class; `by` says which. It is empty for "unknown". With `sets`, the last column, `set`, has the labels of the
    conformal set, joined by ";".
    """
    more = [f"{name}_{number}" for number in range(2, top + 1) for name in ("label", "confidence")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ("video_id", "path", "start", "end", "label", "confidence", *more, "unsure", "by", *["set"] * sets)
        )
        for one in labelled:
            video = one.video
            ranked = [(label, "" if score is None else f"{score:.6g}") for label, score in one.top(top)]
            ranked[0] = (one.label, ranked[0][1])  # of several labels all that are above their thresholds
            cells = [cell for pair in ranked for cell in pair]
            cells += [""] * (2 * top - len(cells))
            times = ("" if time is None else time for time in (video.start, video.end))
            writer.writerow(
                (
                    *(video.video_id, video.path, *times, *cells),
                    *("true" if one.unsure else "false", one.by or ""),
                    *[LABEL_SEPARATOR.join(one.label_set or ())] * sets,
                )
            )
