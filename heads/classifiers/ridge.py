"""RidgeClassifier: a linear probe in closed form."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ChoosesOptions, ClassifierTraits, Fitted
from framebank.heads.classifiers.folds import FOLDS, held_parts
from framebank.heads.classifiers.least_squares import FewRows, RowSums, least_squares
from framebank.heads.classifiers.targets import held_out, label_matrix
from framebank.heads.ranking import best_class
from framebank.store.errors import DataError

PENALTIES = tuple(10.0 ** (power / 2) for power in range(-8, 7))  # 1e-4 to 1e3, for each video
SCALES = tuple(10.0 ** (power / 10) for power in range(21))  # 1 to 100
PENALTY, SCALE = 1.0, 10.0  # if no video can be held out


@final
class RidgeClassifier(nn.Module, Fitted, ChoosesOptions):
    """Regularised least squares, one class against all others (Rifkin and Klautau 2004, JMLR 5:101-141).

    Unit embeddings are regressed on 1 for a video of the class and -1 for another. They are centred, and each channel
    is brought to a spread of one over the training videos; without `standardise`, all channels are scaled by the same
    factor. If `standardise` is None, both are tried, and the one with the lower cross-entropy on the held-out videos is
    taken: a few videos do not tell the spread of a channel. The bias is not penalised. Each view and clip is a row. The
    penalty of the squared weights is `penalty` for each row. If it is 0, it is chosen. With validation videos, it is
    the penalty with their highest top-1, the greatest one if equal. Without them, folds of the training videos judge
    (`fold_numbers`), and then all videos are fitted. With five folds, the penalties whose top-1 is within one standard
    error of the highest (Breiman et al. 1984) are compared, and the one with the least cross-entropy is taken, because
    top-1 alone cannot tell many of them apart. With fewer folds, which learn from far fewer videos, it is the one with
    the highest top-1, then with the least cross-entropy. The output becomes logits by the scale with the least cross-
    entropy on the same videos. With one video for each class nothing can be held out: penalty 1, scale 10, all channels
    scaled by the same factor.

    It needs no epoch (`epochs = 0`). Its weights (C, D) and bias (C,) are parameters: with epochs, they and a head
    before it are trained further from there. A video may have several labels; then the penalty with the least
    cross-entropy is taken.
    """

    traits = ClassifierTraits(chooses=True)

    def __init__(
        self,
        dim: int,
        num_classes: int,
        texts: ClassTexts | None = None,
        *,
        penalty: float = 0.0,
        standardise: bool | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= penalty < math.inf:
            raise DataError(f"penalty is {penalty}; expected more than 0, or 0 to have it chosen")
        self.penalty = penalty
        self.standardise = standardise
        self.chosen = penalty  # `fit` sets it if none was given
        self.standardised = bool(standardise)  # and this
        self.weight = nn.Parameter(torch.zeros(num_classes, dim))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    @property
    def chosen_options(self) -> Mapping[str, Any]:
        """The penalty in use."""
        return {"penalty": self.chosen}

    @torch.no_grad()
    def fit(
        self, pooled: Tensor, target: Tensor, *, val: tuple[Tensor, Tensor] | None, groups: Tensor | None = None
    ) -> None:
        """Take pooled (V, G, D), one row for each view and clip, target (V,) or (V, C), and the validation videos.

        `groups` (V,) are the numbers of the training videos' sources. No group is divided.
        """
        held = [] if val else _held_parts(target, groups)  # the videos that each part holds out, (V,)
        answers = 2 * label_matrix(target, len(self.bias)) - 1  # (V, C)
        none = torch.zeros(len(target), dtype=torch.bool)
        rows = F.normalize(pooled.double(), dim=-1).flatten(0, 1)  # (R, D)
        by_row = [each.repeat_interleave(pooled.shape[1], dim=0) for each in (answers, *held, none)]
        *left, whole = least_squares(rows, by_row[0], by_row[1:])
        parts = [(whole, val[0])] if val else [(one, pooled[own]) for one, own in zip(left, held, strict=True)]
        judged = val[1] if val else torch.cat([target[:0], *(target[own] for own in held)])
        found = _Found(self.penalty or PENALTY, SCALE, bool(self.standardise))
        if parts:
            found = self._choose(parts, judged, by_folds=not val and target.ndim == 1)
        self.chosen, self.standardised = found.penalty, found.standardise
        weight, bias = next(whole.solve((found.penalty,), standardise=found.standardise))
        self.weight.copy_(found.scale * weight)
        self.bias.copy_(found.scale * bias)

    def _choose(self, parts: Sequence[tuple[RowSums | FewRows, Tensor]], target: Tensor, *, by_folds: bool) -> "_Found":
        """Return what is best on the held-out videos of all parts, target (V,) or (V, C).

        A part has the rows to learn from, and the pooled videos that are held out of it.
        """
        asked = (False, True) if self.standardise is None else (self.standardise,)
        found = [self._choose_penalty(parts, target, standardise=one, by_folds=by_folds) for one in asked]
        return min(found, key=lambda one: one.loss)

    def _choose_penalty(
        self, parts: Sequence[tuple[RowSums | FewRows, Tensor]], target: Tensor, *, standardise: bool, by_folds: bool
    ) -> "_Found":
        penalties = (self.penalty,) if self.penalty else PENALTIES
        hits = torch.zeros(len(penalties), dtype=torch.double)
        losses = torch.zeros(len(penalties), len(SCALES), dtype=torch.double)  # summed over the videos
        owns = target.split([len(held) for _, held in parts])
        for (rows, held), own in zip(parts, owns, strict=True):
            unit = F.normalize(held.double(), dim=-1)
            solved = rows.solve(penalties, standardise=standardise)
            for place, (weight, bias) in enumerate(solved):  # one at a time: many videos and classes are large
                logits = F.linear(unit, weight, bias).mean(1)  # (V, C)
                each = [len(held) * _cross_entropy(scale * logits, own) for scale in SCALES]
                losses[place] += torch.tensor(each, dtype=torch.double)
                hits[place] += 0 if target.ndim == 2 else int((best_class(logits) == own).sum())
        found = []
        for penalty, right, row in zip(penalties, hits.tolist(), losses.tolist(), strict=True):
            loss, scale = min((loss / len(target), scale) for loss, scale in zip(row, SCALES, strict=True))
            score = -loss if target.ndim == 2 else right / len(target)
            found.append((score, _Found(penalty, scale, standardise, loss)))
        score, best = max(found, key=lambda one: (one[0], one[1].penalty))
        if by_folds:
            error = math.sqrt(score * (1 - score) / len(target)) if len(parts) == FOLDS else 0.0
            level = [one for own, one in found if own >= score - error]
            best = min(level, key=lambda one: (one.loss, -one.penalty))
        return best

    def forward(self, embeddings: Tensor) -> Tensor:
        """Score embeddings (B, D) -> logits (B, C)."""
        return F.linear(F.normalize(embeddings, dim=-1), self.weight, self.bias)


@dataclass(frozen=True)
class _Found:
    """A penalty, the scale of the logits, whether each channel has a spread of one, and the cross-entropy of that."""

    penalty: float
    scale: float
    standardise: bool
    loss: float = math.inf


def _cross_entropy(logits: Tensor, target: Tensor) -> float:
    if target.ndim == 2:
        return float(F.binary_cross_entropy_with_logits(logits, target.double()))
    return float(F.cross_entropy(logits, target))


def _held_parts(target: Tensor, groups: Tensor | None) -> list[Tensor]:
    """Return which videos each part holds out, (V,): folds, or one part if videos have several labels."""
    if target.ndim == 2:
        own = held_out(target, groups)
        return [own] if own.any() else []
    return held_parts(target, groups)
