"""Labelling: the ranked labels of one video, by a model, by its neighbours or by enrolled classes, and the answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from framebank.heads.enrolling import UNKNOWN, prototypes
from framebank.heads.model import Model
from framebank.heads.neighbours import as_batch, pool_query
from framebank.heads.predict import mean_over_groups
from framebank.heads.vote import vote
from framebank.store.index import Index
from framebank.store.shard import Embeddings
from framebank.store.vectors import unit

# Who answers, the first of them that passes giving the label, and what its scores are.
MEASURES = {"enrolled": "cosine", "run": "probability", "texts": "probability", "neighbours": "share of votes"}


@dataclass(frozen=True)
class Answer:
    """What one of MEASURES says of a video: labels with scores, most likely first.

    It passes where `similarity`, the cosine that tells how well the video is known, is over `threshold`. A run and
    texts have no such cosine, and always pass: they know the classes they were given and no others.
    """

    by: str
    ranked: tuple[tuple[str, float], ...]
    passes: bool = True
    similarity: float | None = None
    threshold: float | None = None


def decide(answers: Sequence[Answer]) -> tuple[str, list[Answer]]:
    """Return the label of a video, and the answers in the order in which they count.

    An enrolled class that passes comes first, then a run, then texts, then the votes of neighbours that pass; where
    none passes, the label is "unknown". Behind those that pass come those that do not.
    """
    order = list(MEASURES)
    ranked = sorted(answers, key=lambda answer: (not answer.passes, order.index(answer.by)))
    return ranked[0].ranked[0][0] if ranked[0].passes else UNKNOWN, ranked


@torch.inference_mode()
def label_by_model(
    model: Model, labels: Sequence[str], embeddings: Embeddings, *, num_frames: int = 0, multi_label: bool = False
) -> list[tuple[str, float]]:
    """Return every label with its probability, most probable first; `num_frames` is that of the model's recipe.

    With `multi_label`, as the recipe says, each label is judged by itself, and the probabilities need not sum to one.
    """
    logits = model(*as_batch(embeddings, num_frames=num_frames))  # (G, C)
    logits = mean_over_groups(logits, len(logits), multi_label=multi_label)[0]  # (C,)
    scores = logits.sigmoid() if multi_label else logits.softmax(-1)
    order = scores.argsort(descending=True, stable=True).tolist()
    return [(labels[position], float(scores[position])) for position in order]


def label_by_index(index: Index, embeddings: Embeddings, *, k: int) -> list[tuple[str, float]]:
    """Return the labels of the k nearest own videos with their share of the votes; DataError when there are fewer."""
    hits = index.search_own(pool_query(index, embeddings), k)
    return vote([(hit.label, hit.score) for hit in hits])


def answers_of_index(index: Index, embeddings: Embeddings, *, k: int) -> list[Answer]:
    """Return what the enrolled classes of an index say of a video and what the votes of its own videos say.

    An enrolled class passes by the cosine to the mean of its examples, the votes by that of the nearest video with a
    label. Without a threshold, for want of videos to set it, a class passes when it is nearer than that video, and
    votes always do, as where nothing was enrolled or calibrated. DataError where nobody has a label to give, or fewer
    than k videos are there to vote.
    """
    if index.enrolment.is_empty:
        return [Answer("neighbours", tuple(label_by_index(index, embeddings, k=k)))]
    query = pool_query(index, embeddings)
    hits = index.search_own(query, k)
    similarities = [hit.score for hit in hits if hit.label]  # nearest first
    answers = [_enrolled(index, query, nearest=next(iter(similarities), None))] if index.enrolment.labels else []
    if similarities or not answers:
        ranked = tuple(vote([(hit.label, hit.score) for hit in hits]))
        nearest, threshold = similarities[0], index.enrolment.nearest
        answers.append(Answer("neighbours", ranked, threshold is None or nearest > threshold, nearest, threshold))
    return answers


def _enrolled(index: Index, query: np.ndarray, *, nearest: float | None) -> Answer:
    """What the enrolled classes say of a query (1, D): those that pass first, the nearest of them before the others."""
    thresholds = index.enrolment.thresholds
    cosines = dict(zip(index.enrolment.labels, (prototypes(index) @ unit(query)[0]).tolist(), strict=True))
    floors = {label: nearest if thresholds[label] is None else thresholds[label] for label in cosines}
    passing = {label: floor is None or cosines[label] > floor for label, floor in floors.items()}
    order = sorted(cosines, key=lambda label: (not passing[label], -cosines[label], label))
    first = order[0]
    ranked = tuple((label, cosines[label]) for label in order)
    return Answer("enrolled", ranked, passing[first], cosines[first], thresholds[first])
