"""Auto: find which of several candidates suits a data set, judged on videos that they were not trained on."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.bank import Bank, require_finite
from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.folds import FOLDS
from framebank.heads.metrics import wilson_interval
from framebank.heads.ranking import best_class
from framebank.heads.training.candidates import Candidate, candidates_of, linear_recipe, with_steps
from framebank.heads.training.judging import CandidateGround, FoldPlaces
from framebank.heads.training.recipe import Recipe
from framebank.store.counts import counted
from framebank.store.errors import DataError

BUDGET = 50.0  # seconds, with the training of the chosen candidate
FEWEST_STEPS = 300  # of a temporal head; it is not tried with fewer
MOST_NEIGHBOURS = 30_000  # videos; the cosines between that many take seconds
SURE = 0.5  # of the training videos must be right in zero-shot, at least
NEAR = 0.99  # with such a cosine, the texts of two classes can hardly be told apart


@dataclass(frozen=True)
class TriedCandidate:
    """One candidate: its top-1 over `videos` held-out videos with the 95 % interval, or the reason why it has none."""

    name: str
    score: float | None
    interval: tuple[float, float] | None
    seconds: float
    videos: int = 0
    reason: str = ""


@dataclass(frozen=True)
class FoundRecipe:
    """The chosen recipe, what was tried, and the reason. `texts` says whether the texts help, "" if there are none."""

    recipe: Recipe
    chosen: str
    why: str
    texts: str
    judged_by: str
    tried: tuple[TriedCandidate, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything except the recipe as plain values."""
        values = asdict(self)
        del values["recipe"]
        values["texts_help"] = values.pop("texts")
        return {**values, "tried": [asdict(one) for one in self.tried]}


@dataclass(frozen=True)
class _Judged:
    candidate: Candidate
    recipe: Recipe
    right: Tensor  # (J,) whether the prediction for each judging video is right
    loss: float

    @property
    def is_plain(self) -> bool:
        return self.candidate.pools and not self.candidate.reads_texts

    @property
    def rank(self) -> tuple[float, float]:
        return float(self.right.float().mean()), -self.loss


def find_recipe(
    ground: CandidateGround,
    base: Recipe,
    *,
    budget: float = BUDGET,
    told: Callable[[TriedCandidate, int, int], None] = lambda one, done, total: None,
) -> FoundRecipe:
    """Try candidates on a ground for about `budget` seconds. Return the best one and what was tried.

    Validation videos judge if there are any; otherwise folds of the training videos do. Among the candidates that pool
    the mean and read no texts, the one with the highest top-1 is taken. If these are equal, the one with the least
    cross-entropy wins. A candidate that reads texts, or the order of the frames, is taken only if it is better by more
    than one standard error on the same videos. If every class has one video, nothing can be judged, and ridge is taken.
    After each candidate, `told` is called with it, the number tried so far and the total. DataError if there are fewer
    than two classes, or if a value is not a number.
    """
    deadline = time.perf_counter() + budget
    require_classes(ground.frames)
    for bank in (ground.frames, ground.val):
        if bank:
            require_finite(bank, where="the rows of the videos")
    parts = ground.parts()
    candidates = candidates_of(
        base,
        num_videos=len(ground.frames),
        num_frames=ground.frames.x.shape[1],
        has_texts=bool(ground.prompts_of),
    )
    if not parts:
        return _unjudged(ground, base)
    tried: list[TriedCandidate] = []
    judged: list[_Judged] = []
    for place, candidate in enumerate(candidates):
        later = sum(not other.pools for other in candidates[place + 1 :]) if not candidate.pools else 0
        left = (deadline - time.perf_counter()) / (1 + later)
        started = time.perf_counter()
        found, reason = _try(ground, candidate, parts, left=left, is_first=not judged)
        seconds = time.perf_counter() - started
        if found:
            judged.append(found)
        tried.append(_row(candidate, found, seconds=seconds, reason=reason))
        told(tried[-1], len(tried), len(candidates))
    best, why = _choose(judged, is_small=1 < len(parts) < FOLDS)
    target = ground.targets(parts)
    return FoundRecipe(
        recipe=best.recipe,
        chosen=best.candidate.name,
        why=why,
        texts=_texts_told(judged, ground.prompts_of),
        judged_by=_judges(ground, parts, len(target)),
        tried=tuple(tried),
    )


def _try(
    ground: CandidateGround, candidate: Candidate, parts: Sequence[FoldPlaces], *, left: float, is_first: bool
) -> tuple[_Judged | None, str]:
    """Judge a candidate in the seconds that are left, or return the reason why not. The first is always judged."""
    if left <= 0 and not is_first:
        return None, "no time was left; --budget gives more"
    if candidate.name in ("knn", "tip-adapter") and len(ground.frames) > MOST_NEIGHBOURS:
        return None, f"not tried with more than {MOST_NEIGHBOURS} videos"
    recipes, chosen = candidate.recipes, list(parts)
    try:
        if candidate.steps:
            recipe, chosen, needed = _planned(ground, candidate.recipes[0], chosen, left=left)
            if recipe is None:
                return None, f"would take about {math.ceil(needed)} s; --budget gives more"
            recipes = (recipe,)
        found = [_judge(ground, candidate, recipe, chosen) for recipe in recipes]
    except DataError as error:  # for example, a classifier needs more videos
        return None, str(error)
    return max(found, key=lambda one: one.rank), ""


def _planned(
    ground: CandidateGround, recipe: Recipe, parts: list[FoldPlaces], *, left: float
) -> tuple[Recipe | None, list[FoldPlaces], float]:
    """Return the recipe with all its steps or half of them, the parts to judge on, and the seconds that this takes."""
    videos, each = len(ground.frames), ground.seconds_of_a_step(recipe)
    full = recipe.epochs * math.ceil(videos / recipe.batch_size)
    needed = math.inf
    for steps in (full, full // 2):
        shorter = recipe if steps == full else with_steps(recipe, steps, num_videos=videos)
        for count in sorted({len(parts), min(3, len(parts)), min(2, len(parts))}, reverse=True):
            shares = [len(part.train) / videos for part in parts[:count]]
            needed = each * steps * (sum(shares) + 1)  # plus one training on all videos
            if needed <= left and steps >= min(full, FEWEST_STEPS):
                return shorter, parts[:count], needed
    return None, parts, needed


def _judge(ground: CandidateGround, candidate: Candidate, recipe: Recipe, parts: Sequence[FoldPlaces]) -> _Judged:
    settled = ground.settled(recipe)
    logits, target = ground.score(settled, parts), ground.targets(parts)
    loss = float(F.cross_entropy(logits.float(), target))
    return _Judged(candidate, settled, best_class(logits) == target, loss)


def _choose(judged: Sequence[_Judged], *, is_small: bool) -> tuple[_Judged, str]:
    plain, why = _choose_plain([one for one in judged if one.is_plain], is_small=is_small)
    name = plain.candidate.name
    gains = [(*_gain(one, plain), one) for one in judged if not one.is_plain]
    better = [(gain, error, one) for gain, error, one in gains if gain > error]
    if better:
        gain, error, one = max(better, key=lambda found: found[0])
        reads = "reads the texts" if one.candidate.reads_texts else "sees the order of the frames"
        return one, (
            f"{one.candidate.name} {reads}, and its top-1 is {100 * gain:.1f} points above {name} on the same videos, "
            f"more than the standard error of {100 * error:.1f}"
        )
    if gains:
        gain, error, one = max(gains, key=lambda found: found[0])
        above = f"{100 * gain:.1f} points above it, less than the standard error of {100 * error:.1f}"
        why += f"; {one.candidate.name} is {above if gain > 0 else 'not better'}"
    return plain, why


def _choose_plain(judged: Sequence[_Judged], *, is_small: bool) -> tuple[_Judged, str]:
    """Return the best of the candidates that pool the mean and read no texts, and the reason.

    With few folds, each training sees far fewer videos than there are. Then linear, which has nothing to choose, stays
    unless another candidate is better by more than one standard error.
    """
    *rest, best = sorted(judged, key=lambda one: one.rank)
    name = best.candidate.name
    linear = next((one for one in rest if one.candidate.name == "linear"), None)
    if is_small and linear:
        gain, error = _gain(best, linear)
        if gain <= error:
            return linear, f"each class has few videos, and {name} is not better than linear by a standard error"
    if rest and rest[-1].rank[0] == best.rank[0]:
        return best, f"{name} has the highest top-1, as {rest[-1].candidate.name} has, and the lower cross-entropy"
    return best, f"{name} has the highest top-1 of the ways that read the mean of the frames alone"


def _gain(one: _Judged, other: _Judged) -> tuple[float, float]:
    """Return how much higher the top-1 is on the videos that both were judged on, and the standard error of that."""
    count = min(len(one.right), len(other.right))
    difference = one.right[:count].double() - other.right[:count].double()
    return float(difference.mean()), float(difference.std(correction=0)) / math.sqrt(count)


def _row(candidate: Candidate, found: _Judged | None, *, seconds: float, reason: str) -> TriedCandidate:
    if not found:
        return TriedCandidate(candidate.name, None, None, round(seconds, 2), reason=reason)
    hits, count = int(found.right.sum()), len(found.right)
    return TriedCandidate(candidate.name, hits / count, wilson_interval(hits, count), round(seconds, 2), videos=count)


def _unjudged(ground: CandidateGround, base: Recipe) -> FoundRecipe:
    """Return the choice if every class has one video, so that no video can be held out.

    Zero-shot learns from no video, so the training videos can judge the texts. If zero-shot is surely right for half of
    them, Tip-Adapter adds the videos to the texts.
    """
    recipe = replace(linear_recipe(base, num_videos=len(ground.frames)), classifier="ridge", epochs=0)
    judged_by = "nothing: each class has one video"
    why = "no class has two videos of different sources, so that nothing can be judged"
    if not ground.prompts_of:
        return FoundRecipe(recipe, "ridge", f"{why}; ridge is taken", "", judged_by, ())
    started, every = time.perf_counter(), torch.arange(len(ground.frames))
    zero_shot = Candidate("zero-shot", (replace(recipe, classifier="text", scoring="embeddings"),))
    found = _judge(ground, zero_shot, zero_shot.recipes[0], [FoldPlaces(every, every)])
    row = _row(zero_shot, found, seconds=time.perf_counter() - started, reason="")
    texts = f"zero-shot, which learns from no video, is right in {100 * (row.score or 0):.1f} % of the training videos"
    if row.interval and row.interval[0] > SURE:
        options = {"alpha": 3.0, "beta": 1.0, "search": False}
        recipe = replace(recipe, classifier="tip-adapter", classifier_options=options, scoring="embeddings")
        return FoundRecipe(
            recipe, "tip-adapter", f"{why}; the texts are good, and tip-adapter is taken", texts, judged_by, (row,)
        )
    return FoundRecipe(recipe, "ridge", f"{why}; ridge is taken", texts, judged_by, (row,))


def _texts_told(judged: Sequence[_Judged], prompts_of: dict[str, ClassTexts]) -> str:
    """Return one sentence on whether the texts help, or "" if there are none."""
    with_texts = [one for one in judged if one.candidate.reads_texts]
    without = [one for one in judged if one.is_plain]
    if not with_texts or not without:
        return ""
    best, plain = (max(those, key=lambda one: one.rank) for those in (with_texts, without))
    gain, error = _gain(best, plain)
    helps = gain > error
    told = (
        f"the texts {'help' if helps else 'do not help'}: {best.candidate.name} with them is right in "
        f"{100 * best.rank[0]:.1f} %, {plain.candidate.name} without in {100 * plain.rank[0]:.1f} %"
    )
    unit = F.normalize(prompts_of["embeddings"].matrix.mean(0), dim=-1)  # (C, D)
    near = int(((unit @ unit.T).fill_diagonal_(-1).max(1).values >= NEAR).sum())
    if near:
        told += f"; the texts of {near} of {counted(len(unit), 'class', 'classes')} are nearly those of another"
    return told


def _judges(ground: CandidateGround, parts: Sequence[FoldPlaces], count: int) -> str:
    if parts[0].judge is None:
        return f"{counted(count, 'validation video')}"
    alone = len(ground.frames) - count
    left = f"; {counted(alone, 'video')} of classes of one source only train" if alone else ""
    return f"{len(parts)}-fold cross-validation over {counted(count, 'video')}{left}"


def require_classes(train: Bank) -> None:
    """Raise DataError if the training videos are of one class."""
    if len(train.target.unique()) < 2:
        raise DataError(
            f"all {counted(len(train), 'training video')} are of one class; expected two classes or more to tell apart"
        )
