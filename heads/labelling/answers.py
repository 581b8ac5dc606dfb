"""Labelling: the answers of a model, neighbours or enrolled classes about a video, and the label that follows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from framebank.heads.labelling.calibrate import share_as_near
from framebank.heads.labelling.certainty import (
    doubt_of_cosines,
    doubt_of_labels,
    doubt_of_probabilities,
    doubt_of_votes,
)
from framebank.heads.labelling.enroll import UNKNOWN, prototypes
from framebank.heads.labelling.neighbours import pool_query
from framebank.heads.labelling.vote import vote
from framebank.heads.ranking import nearest_rows
from framebank.store.indexes.enrolment import Enrolment
from framebank.store.indexes.index import Hit, Index
from framebank.store.shard import Embeddings
from framebank.store.vectors import unit
from framebank.store.videos.video import LABEL_SEPARATOR, labels_in

# Who answers, and what its scores are. The first of them that passes gives the label.
MEASURES = {
    "enrolled": "cosine",
    "run": "probability",
    "fused": "mean of both",
    "texts": "probability",
    "neighbours": "share of votes",
}


@dataclass(frozen=True)
class Neighbour:
    """A video of an index that voted: its label, its cosine to the labelled video, and its seconds in a file."""

    video_id: str
    label: str
    cosine: float
    start: float | None = None
    end: float | None = None

    @classmethod
    def of(cls, hit: Hit) -> "Neighbour":
        """Return what a hit says as evidence."""
        return cls(hit.video_id, hit.label, hit.score, hit.start, hit.end)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names in its label."""
        return labels_in(self.label)


@dataclass(frozen=True)
class Answer:
    """The answer of one of MEASURES about a video: labels with scores, most likely first.

    It passes if `similarity`, the cosine that tells how well the video is known, is over `threshold`; `share` of the
    other classes' videos that set the threshold come as near. A run and texts have no such cosine and always pass: they
    know only the classes that they were given. `doubt` says in words why the first label is one among equals
    (`heads.certainty`), and is empty if it is not. `label_set` holds the labels of the conformal set, or is None if
    nobody asked for one. `neighbours` are the videos that voted. `span` is where in the video the first label shows
    best, in seconds, if that was asked for. `labels` are those above their thresholds, if a run of several labels has
    thresholds; they are first in `ranked`.
    """

    by: str
    ranked: tuple[tuple[str, float], ...]
    passes: bool = True
    similarity: float | None = None
    threshold: float | None = None
    share: float | None = None
    doubt: str = ""
    label_set: tuple[str, ...] | None = None
    neighbours: tuple[Neighbour, ...] = ()
    span: tuple[float, float] | None = None
    labels: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The label of a video by this answer: its first one, or all that are above their thresholds."""
        return LABEL_SEPARATOR.join(self.labels) or self.ranked[0][0]

    @property
    def unsure(self) -> bool:
        """Whether the first label is one among equals, or no answer passes."""
        return bool(self.doubt) or not self.passes


def decide(answers: Sequence[Answer]) -> tuple[str, list[Answer]]:
    """Return the label of a video, and the answers in order of precedence.

    An enrolled class that passes comes first, then a run, then texts, then the votes of neighbours that pass. If none
    passes, the label is "unknown". The answers that do not pass come last.
    """
    order = list(MEASURES)
    ranked = sorted(answers, key=lambda answer: (not answer.passes, order.index(answer.by)))
    return ranked[0].label if ranked[0].passes else UNKNOWN, ranked


def answer_of_scores(
    by: str, scores: np.ndarray, labels: Sequence[str], *, top: int, multi_label: bool = False
) -> list[Answer]:
    """Return the answer of a run or of texts with probabilities (V, C) about each video: its `top` likeliest labels."""
    values, order = (found.numpy() for found in nearest_rows(torch.from_numpy(scores), max(top, 2)))  # (V, K) each
    answers = []
    for places, best in zip(order.tolist(), values.tolist(), strict=True):
        doubt = doubt_of_labels(best) if multi_label else doubt_of_probabilities(best, num_classes=len(labels))
        ranked = tuple((labels[place], score) for place, score in zip(places, best, strict=True))
        answers.append(Answer(by, ranked[:top], doubt=doubt))
    return answers


def answer_above(
    by: str, scores: np.ndarray, labels: Sequence[str], *, top: int, thresholds: np.ndarray
) -> list[Answer]:
    """Return the same for a run of several labels with `thresholds` (C,): the labels above theirs come first.

    An answer without such a label does not pass.
    """
    above = scores > thresholds  # (V, C)
    answers = []
    for own, row in zip(above, scores, strict=True):
        order = np.lexsort((-row, ~own))  # stable: of equal scores the first class comes first
        ranked = tuple((labels[place], float(row[place])) for place in order[:top].tolist())
        given = tuple(labels[place] for place in order[: own.sum()].tolist())
        answers.append(Answer(by, ranked, passes=bool(given), labels=given))
    return answers


def answers_of_index(index: Index, embeddings: Embeddings, *, k: int) -> list[Answer]:
    """Return the answers of an index about a video: that of its enrolled classes, and that of its own videos' votes.

    An enrolled class passes by the cosine to the mean of its examples. The votes pass by the cosine of the nearest
    video with a label. If both are over their thresholds and that video has another class, the shares decide, because
    the two cosines cannot be compared. The class then passes only if the share of others that come as near to it is no
    larger than the share that come as near to the videos of the index. Without a threshold, because too few videos
    could set one, a class passes if it is nearer than that video, and votes always pass. Votes also always pass if
    nothing was enrolled or calibrated. DataError if no video has a label.
    """
    query = pool_query(index, embeddings)
    means = prototypes(index) if index.enrolment.labels else None
    return answers_of_hits(index, query, index.search_own(query, k), means=means)


def answers_of_hits(index: Index, query: np.ndarray, hits: Sequence[Hit], *, means: np.ndarray | None) -> list[Answer]:
    """Return the same as `answers_of_index`, for a query (1, D) and its nearest own videos.

    `means` (C, D) are the `prototypes` of the enrolled classes, or None if no class is enrolled.
    """
    if index.enrolment.is_empty:
        ranked = tuple(vote([(hit.label, hit.score) for hit in hits]))
        return [Answer("neighbours", ranked, doubt=_doubt_of(ranked))]
    nearest = next((hit for hit in hits if hit.label), None)
    if means is None:
        return [_voted(index.enrolment, hits)]
    enrolled = _enrolled(index, query, means, nearest=nearest.score if nearest else None)
    if nearest is None:
        return [enrolled]
    votes = _voted(index.enrolment, hits)
    label = enrolled.ranked[0][0]
    if _is_less_rare(enrolled, than=votes) and label not in index.video(nearest.video_id).labels:
        enrolled = replace(enrolled, passes=False)
    return [enrolled, votes]


def _voted(enrolment: Enrolment, hits: Sequence[Hit]) -> Answer:
    """Return the answer of the nearest own videos. DataError if none of them has a label."""
    ranked = tuple(vote([(hit.label, hit.score) for hit in hits]))
    nearest = next(hit.score for hit in hits if hit.label)
    passes = enrolment.nearest is None or nearest > enrolment.nearest
    share = share_as_near(enrolment.nearest_others, nearest)
    return Answer("neighbours", ranked, passes, nearest, enrolment.nearest, share, _doubt_of(ranked))


def _doubt_of(votes: Sequence[tuple[str, float]]) -> str:
    return doubt_of_votes([share for _, share in votes])


def _enrolled(index: Index, query: np.ndarray, means: np.ndarray, *, nearest: float | None) -> Answer:
    """Return the answer of the enrolled classes for a query (1, D): those that pass first, from the rarest on."""
    enrolment = index.enrolment
    thresholds = enrolment.thresholds
    cosines = dict(zip(enrolment.labels, (means @ unit(query)[0]).tolist(), strict=True))
    floors = {label: nearest if thresholds[label] is None else thresholds[label] for label in cosines}
    passing = {label: floor is None or cosines[label] > floor for label, floor in floors.items()}
    shares = {label: share_as_near(enrolment.others_of(label), cosines[label]) for label in cosines}
    order = sorted(
        cosines, key=lambda label: (not passing[label], shares[label] * passing[label], -cosines[label], label)
    )
    first = order[0]
    ranked = tuple((label, cosines[label]) for label in order)
    doubt = doubt_of_cosines([cosines[label] for label in order if passing[label]])
    return Answer("enrolled", ranked, passing[first], cosines[first], thresholds[first], shares[first], doubt)


def _is_less_rare(one: Answer, *, than: Answer) -> bool:
    """Return whether both answers are over a threshold, and a larger share of others comes as near to the first."""
    judged = all(answer.passes and answer.threshold is not None for answer in (one, than))
    return judged and (one.share or 0.0) > (than.share or 0.0)
