"""Member choice: which candidates to average, from their logits for videos that they were not trained on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from framebank.heads.classifiers.folds import fold_numbers
from framebank.heads.confidence.scaling import FEWEST, PRIOR
from framebank.heads.ranking import best_class

MOST_MEMBERS = 3
STEP = 0.25  # between two temperatures that are tried, in log T
TEMPERATURES = tuple(math.exp(STEP * number) for number in range(-28, 19))  # 1/1100 to 90, as logits have any measure


@dataclass(frozen=True)
class ChosenMembers:
    """The places of the candidates to average, the one of least cross-entropy first, and the temperature of each."""

    places: tuple[int, ...]
    temperatures: tuple[float, ...]

    def scores(self, logits: Sequence[Tensor]) -> Tensor:
        """Return the mean of the probabilities, from the logits of every candidate, (J, C) each -> (J, C)."""
        pairs = zip(self.places, self.temperatures, strict=True)
        return torch.stack([(logits[place] / temperature).softmax(-1) for place, temperature in pairs]).mean(0)


@dataclass(frozen=True)
class AverageGain:
    """What an average is worth beside one candidate on the same N videos.

    `loss` is how much lower its cross-entropy is, in nats, `error` the standard error of that, and `top1` how much
    higher its top-1 is. `right` (N,) says which videos the average predicts right.
    """

    loss: float
    error: float
    top1: float
    right: Tensor

    @classmethod
    def of(cls, averaged: Tensor, alone: Tensor, target: Tensor) -> "AverageGain":
        """Compare probabilities (N, C) of the average and of the candidate, by the classes of the videos (N,)."""
        losses, others = (-_of_target(each, target).log() for each in (averaged, alone))
        right = best_class(averaged) == target
        more = right.double() - (best_class(alone) == target).double()
        error = float((others - losses).std(correction=0)) / math.sqrt(len(target))
        return cls(float((others - losses).mean()), error, float(more.mean()), right)


class MemberChoice:
    """Ensemble selection without replacement (Caruana et al. 2004, doi 10.1145/1015330.1015432).

    `logits` (J, C) of each candidate are for the same J videos, of classes `target` (J,) and sources `groups` (J,); no
    candidate was trained on the source of a video that it scores. Each candidate gets the temperature of least
    cross-entropy. The one of least cross-entropy comes first. Then the candidate is added whose probabilities lower the
    cross-entropy of the mean most, if they lower it, up to MOST_MEMBERS.
    """

    def __init__(self, logits: Sequence[Tensor], target: Tensor, groups: Tensor) -> None:
        self.logits, self.target, self.groups = logits, target, groups
        self._true = [_true_probabilities(each, target) for each in logits]  # (temperatures, J) of each

    def choose(self, places: Tensor | None = None) -> ChosenMembers:
        """Return the members that these videos (N,) choose, or all of them. There may be one member only."""
        places = torch.arange(len(self.target)) if places is None else places
        best = [self._best_temperature(true[:, places]) for true in self._true]
        true = torch.stack([each[number, places] for each, number in zip(self._true, best, strict=True)])  # (M, N)
        chosen = [int(true.log().mean(1).argmax())]
        while len(chosen) < min(MOST_MEMBERS, len(true)):
            others = [place for place in range(len(true)) if place not in chosen]
            with_each = torch.stack([true[[*chosen, place]].mean(0).log().mean() for place in others])
            if float(with_each.max()) <= float(true[chosen].mean(0).log().mean()):
                break
            chosen.append(others[int(with_each.argmax())])
        return ChosenMembers(tuple(chosen), tuple(TEMPERATURES[best[place]] for place in chosen))

    def gain_in_turn(self, over: int) -> "AverageGain | None":
        """Return what averages are worth beside the candidate at the place `over`.

        A video is scored by an average that was chosen without its source: the videos are divided into parts, and
        temperatures and members are chosen anew for each part, on all others. So is the temperature of the candidate
        alone. A video of a class of one source has no part and is not scored. None if there are too few videos, or too
        few sources of a class, to divide.
        """
        part_of = fold_numbers(self.target, self.groups)
        scored = part_of >= 0
        if int(part_of.max()) < 1 or int(scored.sum()) < FEWEST:
            return None
        averaged, alone = torch.zeros(2, *self.logits[0].shape)
        for part in range(int(part_of.max()) + 1):
            judged, others = part_of == part, (part_of != part).nonzero()[:, 0]
            own = TEMPERATURES[self._best_temperature(self._true[over][:, others])]
            rows = [each[judged] for each in self.logits]
            averaged[judged] = self.choose(others).scores(rows)
            alone[judged] = ChosenMembers((over,), (own,)).scores(rows)
        return AverageGain.of(averaged[scored], alone[scored], self.target[scored])

    @staticmethod
    def _best_temperature(true: Tensor) -> int:
        """Return the number of the temperature of least cross-entropy, held to 1 by the prior of `fit_scaling`."""
        held = torch.tensor([math.log(each) ** 2 / (2 * PRIOR**2) for each in TEMPERATURES])
        return int((-true.log().sum(1) + held).argmin())


def _true_probabilities(logits: Tensor, target: Tensor) -> Tensor:
    """Return the probability of the class of each video at each temperature: (J, C) -> (temperatures, J)."""
    raw = logits.float().log_softmax(-1)
    return torch.stack([_of_target((raw / each).softmax(-1), target) for each in TEMPERATURES])


def _of_target(scores: Tensor, target: Tensor) -> Tensor:
    """Return the probability of the class of each video: (J, C), (J,) -> (J,). Of 0 there would be no logarithm."""
    return scores.gather(1, target[:, None])[:, 0].clamp(min=1e-12)
