"""Scaling: calibrate the probabilities of a trained run, fitted on validation videos."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.store.counts import counted
from framebank.store.errors import DataError, warn
from framebank.store.formats.document import Fields

VERSION = 1
LEAST, MOST = -3.0, 5.0  # of log T: a temperature from 1/20 to 148, as discriminant analysis needs with few videos
PRIOR = 1.0  # the standard deviation of log T that is assumed before any video is seen
STEPS = 60  # of the golden section; they narrow a width of 8 to 2e-12
FEWEST = 20  # validation videos
GAIN = 1.92  # of log-likelihood, in nats, that a temperature other than 1 needs: p < 5 % by the likelihood ratio
ROUNDING = 1e-5  # of a score, which may so lie outside 0 to 1
FOLDS = 10  # a scaling by class is fitted so many times for the scores, each time without one part of the videos
ROUNDED = 6  # an earlier version kept so many places of each score
HOLD = 1.0  # how much each class's scale and bias are held to the temperature: so many videos' worth


@dataclass(frozen=True)
class Scaling:
    """How the log-probabilities of C classes become calibrated ones: log p / temperature, made to sum to one.

    With `scales` and `biases` (C,), it is scale * log p + bias (vector scaling, Guo et al. 2017, arXiv 1706.04599).
    With several labels a video, log p is the logit of each. `scores` (N,) are 1 - p of the true class of each of the
    `videos` it was fitted on, and `classes` (N,) these classes: conformal sets are made by them. With `scales`, 1 - p
    of a video is that of a scaling which was fitted without it.
    """

    temperature: float
    videos: int
    scales: tuple[float, ...] = ()
    biases: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    classes: tuple[int, ...] = ()

    def apply(self, logits: Tensor, *, multi_label: bool = False) -> Tensor:
        """Return the scaled logits: (V, C) -> (V, C), of the same type."""
        raw = logits if multi_label else logits.log_softmax(-1)
        if not self.scales:
            return raw / self.temperature
        return raw * raw.new_tensor(self.scales) + raw.new_tensor(self.biases)

    def without_classes(self) -> "Scaling":
        """Return the part that also serves other classes than those it was fitted on: the temperature."""
        return Scaling(self.temperature, self.videos)

    def to_dict(self) -> dict[str, Any]:
        """Return it as the plain values that a checkpoint keeps."""
        return {
            "version": VERSION,
            "temperature": self.temperature,
            "videos": self.videos,
            "scales": list(self.scales),
            "biases": list(self.biases),
            "scores": list(self.scores),
            "classes": list(self.classes),
        }

    @classmethod
    def read(cls, said: Mapping[str, Any], *, num_classes: int, where: object) -> "Scaling":
        """Return what `to_dict` gave. DataError if the number of classes differs, or if a later version wrote it."""
        found = Fields.of(said, where=f"{where}: confidence")
        if found.whole("version") != VERSION:
            raise found.refuse("version", f"{VERSION}, which this framebank knows")
        temperature = found.number("temperature")
        if not 0 < temperature < math.inf:
            raise found.refuse("temperature", "a number above 0")
        scales, biases, scores = found.numbers("scales"), found.numbers("biases"), found.numbers("scores")
        classes = found.wholes("classes")
        if not len(scales) == len(biases) or len(scales) not in (0, num_classes):
            raise found.refuse("scales", f"a number for each of the {num_classes} classes")
        videos = found.whole("videos", least=1)
        if not all(-ROUNDING <= score <= 1 + ROUNDING for score in scores):
            raise found.refuse("scores", "a share from 0 to 1 for each video")
        if len(scores) != len(classes) or max(classes, default=0) >= num_classes:
            raise found.refuse("classes", "a class for each score")
        if all(score == round(score, ROUNDED) for score in scores):  # they may be less than they were
            scores = tuple(score + 0.5 * 10**-ROUNDED for score in scores)
        return cls(temperature, videos, scales, biases, scores, classes)


def fit_scaling(logits: Tensor, target: Tensor, *, by_class: bool = False, sources: Callable[[], str] = str) -> Scaling:
    """Return the scaling of least cross-entropy on validation videos: logits (V, C), target (V,) or (V, C).

    log T is held to 0 by a normal prior of deviation 1, so that few videos, all of which are right, do not make a run
    sure of everything; and T stays 1 unless another value is clearly better (GAIN). `by_class` fits a scale and a bias
    for each class too, held to the temperature as by HOLD videos; the scores for the sets are then made by FOLDS
    further fits, each without the videos that it scores. If the scaling may make a model surer, `sources` is asked for
    a sentence on sources that these videos share with those of the training, because such videos are too easy: then the
    temperature stays 1, and a DataWarning says so. DataError if there are fewer than FEWEST videos, or if they share
    sources and it is to be `by_class`.
    """
    logits, target = logits.detach().double().cpu(), target.cpu()
    if len(logits) < FEWEST:
        few = counted(len(logits), "validation video")
        raise DataError(f"there are {few} to fit a temperature by; expected {FEWEST} or more")
    found = _fit(logits, target, by_class=by_class)
    if (by_class or found.temperature < 1) and (note := sources()):
        if by_class:
            raise DataError(f"{note}; a scale for each class needs videos of other sources")
        warn(f"{note}: the temperature is not below 1")
        found = replace(found, temperature=1.0)
    if target.ndim == 2:
        return found
    scores = _held_out_scores(logits, target) if by_class else _scores(found, logits, target)
    return replace(found, scores=tuple(scores.tolist()), classes=tuple(target.tolist()))


def _fit(logits: Tensor, target: Tensor, *, by_class: bool) -> Scaling:
    """The scaling without the scores of its videos."""
    several, count = target.ndim == 2, len(logits)

    def cost(log_t: float) -> float:
        scaled = Scaling(math.exp(log_t), count).apply(logits, multi_label=several)
        return count * float(_cross_entropy(scaled, target)) + log_t**2 / (2 * PRIOR**2)

    lowest = _lowest(cost)
    temperature = math.exp(lowest) if cost(0.0) - cost(lowest) > GAIN else 1.0
    if not by_class:
        return Scaling(temperature, count)
    return Scaling(temperature, count, *_fit_classes(logits, target, 1 / temperature))


def _scores(scaling: Scaling, logits: Tensor, target: Tensor) -> Tensor:
    """1 - p of the true class of each video, (V,)."""
    return 1 - scaling.apply(logits).softmax(1).gather(1, target[:, None])[:, 0]


def _held_out_scores(logits: Tensor, target: Tensor) -> Tensor:
    """1 - p of the true class of each video by a scaling by class that was fitted without it, (V,).

    A scaling by class has two numbers for each class. On the videos that it was fitted on it is surer of the true class
    than on others, and sets made by those scores would be too small.
    """
    fold_of = torch.empty(len(target), dtype=torch.long)
    order = torch.randperm(len(target), generator=torch.Generator().manual_seed(0))
    order = order[target[order].argsort(stable=True)]  # each class goes to all folds in turn
    fold_of[order] = torch.arange(len(target)) % FOLDS
    scores = torch.empty(len(target), dtype=torch.double)
    for fold in range(FOLDS):
        own = fold_of == fold
        without = _fit(logits[~own], target[~own], by_class=True)
        scores[own] = _scores(without, logits[own], target[own])
    return scores


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    if target.ndim == 2:
        return F.binary_cross_entropy_with_logits(logits, target.double(), reduction="none").sum(1).mean()
    return F.cross_entropy(logits, target)


def _lowest(cost: Callable[[float], float]) -> float:
    """Return where a function with a single minimum is lowest, by golden section."""
    ratio = (math.sqrt(5) - 1) / 2
    low, high = LEAST, MOST
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = cost(left), cost(right)
    for _ in range(STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = cost(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = cost(right)
    return (low + high) / 2


def _fit_classes(logits: Tensor, target: Tensor, start: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    raw = logits if target.ndim == 2 else logits.log_softmax(-1)
    scales = torch.full((raw.shape[1],), start, dtype=torch.double, requires_grad=True)
    biases = torch.zeros(raw.shape[1], dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([scales, biases], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        held = HOLD * ((scales / start - 1).square().sum() + biases.square().sum())
        loss: Tensor = len(raw) * _cross_entropy(raw * scales + biases, target) + held
        loss.backward()
        return loss

    optimizer.step(closure)
    return tuple(scales.tolist()), tuple(biases.tolist())
