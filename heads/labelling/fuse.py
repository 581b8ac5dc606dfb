"""Fuse: the labels that texts and the votes of neighbours give to one video, joined."""

from collections.abc import Sequence

from framebank.heads.labelling.answers import Answer
from framebank.heads.labelling.certainty import doubt_of_votes
from framebank.heads.labelling.table import Labelled
from framebank.store.videos.labels import class_text

HALF = 0.5  # of the score is the probability by the texts, the rest is the share of the votes


def with_fused(labelled: Labelled) -> Labelled:
    """Return a video with one more answer, "fused", if texts and neighbours both say something about it.

    The score of a label is the mean of its probability by the texts and its share of the votes; names that are written
    in several ways are one label. An enrolled class that passes and a run still come first.
    """
    by = {answer.by: answer for answer in labelled.answers if answer.passes and answer.ranked}
    if "texts" not in by or "neighbours" not in by:
        return labelled
    ranked = _mean(by["texts"].ranked, by["neighbours"].ranked)
    texts, votes = by["texts"], by["neighbours"]
    fused = Answer(
        "fused",
        ranked,
        doubt=doubt_of_votes([score for _, score in ranked]),
        neighbours=tuple(one for one in votes.neighbours if class_text(ranked[0][0]) in map(class_text, one.labels)),
        span=texts.span,
    )
    return Labelled.of(labelled.video, [*labelled.answers, fused])


def _mean(texts: Sequence[tuple[str, float]], votes: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    names: dict[str, str] = {}
    scores: dict[str, float] = {}
    for ranked in (texts, votes):
        for name, score in ranked:
            key = class_text(name)
            names.setdefault(key, name)
            scores[key] = scores.get(key, 0.0) + HALF * score
    return tuple((names[key], score) for key, score in sorted(scores.items(), key=lambda one: (-one[1], one[0])))
