"""Choosing: which of the judged candidates is taken, by calibrated cross-entropy on the videos that judged them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.class_texts import ClassTexts
from framebank.heads.metrics import wilson_interval
from framebank.heads.ranking import best_class
from framebank.heads.training.candidates import Candidate
from framebank.heads.training.recipe import Recipe
from framebank.store.counts import counted

ZERO_SHOT = "zero-shot"
KEPT = "lda"  # the candidate that stays unless another is surely better
VOTES = "knn"  # it keeps every video; of equals, a classifier with one vector a class is simpler to use
SCALES = torch.logspace(-2, 3, 61)  # logits are multiplied by one of them, so that all candidates are equally sure
NEAR = 0.99  # with such a cosine, the texts of two classes can hardly be told apart


@dataclass(frozen=True)
class JudgedCandidate:
    """A candidate and its recipe on the J videos that judge.

    `right` (J,) says which are predicted right. `losses` (J,) are the cross-entropies of these videos, in nats, with
    the logits multiplied by the number that makes their mean least.
    """

    candidate: Candidate
    recipe: Recipe
    right: Tensor
    losses: Tensor

    @classmethod
    def of(cls, candidate: Candidate, recipe: Recipe, logits: Tensor, target: Tensor) -> "JudgedCandidate":
        """Judge logits (J, C) by the classes of the videos (J,)."""
        return cls(candidate, recipe, best_class(logits) == target, calibrated_losses(logits, target))

    @property
    def name(self) -> str:
        """The candidate's name."""
        return self.candidate.name

    @property
    def is_plain(self) -> bool:
        """Whether it reads the mean of the frames and no texts."""
        return self.candidate.pools and not self.candidate.reads_texts

    @property
    def top1(self) -> float:
        """The share of the videos that is predicted right."""
        return float(self.right.float().mean())

    @property
    def loss(self) -> float:
        """The mean of the losses."""
        return float(self.losses.mean())


def calibrated_losses(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of each video at the scale of least mean: logits (J, C), target (J,) -> (J,).

    Least squares, votes and cosines are sure by different measures. The best scale makes them comparable.
    """
    logits = logits.detach().double().cpu()
    found = [F.cross_entropy(logits * scale, target.cpu(), reduction="none") for scale in SCALES.double()]
    return min(found, key=lambda losses: float(losses.mean()))


def gain(one: JudgedCandidate, other: JudgedCandidate) -> tuple[float, float]:
    """Return how much lower the loss of `one` is on the videos that judged both, and the standard error of that."""
    count = min(len(one.losses), len(other.losses))
    difference = other.losses[:count] - one.losses[:count]
    return float(difference.mean()), float(difference.std(correction=0)) / math.sqrt(count)


def texts_tell(judged: Sequence[JudgedCandidate], *, num_classes: int) -> bool:
    """Return whether zero-shot is surely better than guessing (95 %, Wilson), so that the texts tell the classes apart.

    If it is not, a way that reads texts learns all it knows from the videos, and its texts are of no use.
    """
    zero = next((one for one in judged if one.name == ZERO_SHOT), None)
    return zero is not None and wilson_interval(int(zero.right.sum()), len(zero.right))[0] > 1 / num_classes


def choose(judged: Sequence[JudgedCandidate], *, num_classes: int) -> tuple[JudgedCandidate, str]:
    """Return the candidate to take, and the reason.

    Top-1 on few videos cannot tell candidates apart: two videos decide. The cross-entropy uses how sure each answer is.
    KEPT, which learns well from few videos, stays unless the loss of another candidate is lower by more than one
    standard error on the same videos; then the one of the greatest gain is taken. If KEPT was not judged, the plain
    candidate of the least loss has its place. VOTES gives way to the linear classifier of the least loss, unless its
    own is lower by more than one standard error. A candidate that reads texts is taken only if `texts_tell`.
    """
    if not texts_tell(judged, num_classes=num_classes):
        judged = [one for one in judged if not one.candidate.reads_texts]
    plain = [one for one in judged if one.is_plain]
    kept = next((one for one in plain if one.name == KEPT), min(plain, key=lambda one: one.loss))
    gains = [(*gain(one, kept), one) for one in judged if one is not kept]
    better = [found for found in gains if found[0] > found[1]]
    if better:
        lower, error, best = max(better, key=lambda found: found[0])
        if best.name == VOTES and (level := _as_good(best, plain)):
            return level
        reads = "reads the texts" if best.candidate.reads_texts else "sees the order of the frames"
        what = "" if best.is_plain else f" {reads}, and"
        return best, (
            f"{best.name}{what} has a cross-entropy of {best.loss:.2f}, {lower:.2f} below {kept.name} on the same "
            f"videos, more than the standard error of {error:.2f}"
        )
    if not gains:
        return kept, f"{kept.name} alone was judged"
    return kept, f"no other way has a cross-entropy that is lower than the {kept.loss:.2f} of it by a standard error"


def _as_good(votes: JudgedCandidate, plain: Sequence[JudgedCandidate]) -> tuple[JudgedCandidate, str] | None:
    """Return the linear classifier of the least loss and the reason to take it, if `votes` is not surely better."""
    best = min((one for one in plain if one is not votes), key=lambda one: one.loss, default=None)
    if not best:
        return None
    lower, error = gain(votes, best)
    if lower > error:
        return None
    return best, (
        f"{votes.name} has the lowest cross-entropy, {votes.loss:.2f}, but that of {best.name} is {lower:.2f} above it "
        f"on the same videos, no more than the standard error of {error:.2f}; of equals the linear classifier is taken"
    )


def tell_texts(judged: Sequence[JudgedCandidate], prompts_of: dict[str, ClassTexts], *, num_classes: int) -> str:
    """Return one sentence on whether the texts help, or "" if there are none."""
    with_texts = [one for one in judged if one.candidate.reads_texts]
    without = [one for one in judged if one.is_plain]
    if not with_texts or not without:
        return ""
    best, plain = (min(those, key=lambda one: one.loss) for those in (with_texts, without))
    lower, error = gain(best, plain)
    told = (
        f"the texts {'help' if lower > error else 'do not help'}: {best.name} with them is right in "
        f"{100 * best.top1:.1f} % and has a cross-entropy of {best.loss:.2f}, {plain.name} without has "
        f"{100 * plain.top1:.1f} % and {plain.loss:.2f}"
    )
    if not texts_tell(judged, num_classes=num_classes):
        guessing = f"guessing one of {counted(num_classes, 'class', 'classes')}"
        told = f"the texts do not help: zero-shot, which reads them alone, is not surely better than {guessing}"
    unit = F.normalize(prompts_of["embeddings"].matrix.mean(0), dim=-1)  # (C, D)
    near = int(((unit @ unit.T).fill_diagonal_(-1).max(1).values >= NEAR).sum())
    if near:
        told += f"; the texts of {near} of {counted(len(unit), 'class', 'classes')} are nearly those of another"
    return told
