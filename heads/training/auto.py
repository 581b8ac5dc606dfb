"""Auto: find which of several candidates suits a data set, judged on videos that they were not trained on."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from framebank.heads.bank import Bank, require_finite
from framebank.heads.confidence.scaling import FEWEST, Scaling, fit_scaling
from framebank.heads.metrics import wilson_interval
from framebank.heads.training.averaging import AVERAGE, JudgedAverage, MemberCandidate, choose_average
from framebank.heads.training.candidates import (
    GENTLE_LR,
    Candidate,
    candidates_of,
    linear_recipe,
    residual_recipe,
    with_steps,
)
from framebank.heads.training.choosing import KEPT, JudgedCandidate, choose, tell_texts
from framebank.heads.training.judging import CandidateGround, FoldPlaces
from framebank.heads.training.members import Member
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.steps_choice import WHITENED, StepsChoice
from framebank.store.counts import counted
from framebank.store.errors import DataError

MOST_SCORES = 2_000_000  # of a candidate, that are kept to choose an average by
BUDGET = 50.0  # seconds, with the training of the chosen candidate
FEWEST_STEPS = 300  # of a temporal head; it is not tried with fewer
FEWEST_PARTS = 2  # that judge a candidate, of those that were planned
MOST_NEIGHBOURS = 30_000  # videos; the cosines between that many take seconds
SURE = 0.5  # of the training videos must be right in zero-shot, at least


@dataclass(frozen=True)
class TriedCandidate:
    """One candidate: its top-1 over `videos` held-out videos with the 95 % interval, or the reason why it has none."""

    name: str
    score: float | None
    interval: tuple[float, float] | None
    seconds: float
    videos: int = 0
    reason: str = ""  # of one that was judged: why its steps are whitened


@dataclass(frozen=True)
class FoundRecipe:
    """The chosen recipe, what was tried, and the reason. `texts` says whether the texts help, "" if there are none.

    If an average is chosen, `members` are what it averages. `recipe` is the one that is best alone. `scaling` makes its
    probabilities as often right as they say, by folds; it is None if validation videos judge, which the training asks.
    """

    recipe: Recipe
    chosen: str
    why: str
    texts: str
    judged_by: str
    tried: tuple[TriedCandidate, ...]
    members: tuple[Member, ...] = ()
    scaling: Scaling | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return everything except the recipe as plain values."""
        return {
            "tried": [asdict(one) for one in self.tried],
            "chosen": self.chosen,
            "members": [member.to_dict() for member in self.members],
            "why": self.why,
            "texts_help": self.texts,
            "judged_by": self.judged_by,
        }


def find_recipe(
    ground: CandidateGround,
    base: Recipe,
    *,
    budget: float = BUDGET,
    told: Callable[[TriedCandidate, int, int], None] = lambda one, done, total: None,
) -> FoundRecipe:
    """Try candidates on a ground for about `budget` seconds. Return the best one and what was tried.

    Validation videos judge if there are any; otherwise folds of the training videos do. `choose` says which candidate
    is taken alone, and `choose_average` whether the average of several is taken in its place. If every class has one
    video, nothing can be judged: ridge is taken, or text-residual if the texts are good. After each candidate, `told`
    is called with it, the number tried so far and the total. DataError if there are fewer than two classes, or if a
    value is not a number.
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
    held: list[MemberCandidate] = []
    for place, candidate in enumerate(candidates):
        later = sum(not other.pools for other in candidates[place + 1 :]) if not candidate.pools else 0
        left = (deadline - time.perf_counter()) / (1 + later)
        started = time.perf_counter()
        found, reason = _try(ground, candidate, parts, left=left, is_first=not held)
        seconds = time.perf_counter() - started
        if found:
            held.append(found)
        right = found.judged.right if found else None
        tried.append(_row(candidate.name, right, seconds=seconds, reason=reason))
        told(tried[-1], len(tried), len(candidates))
    judged, num_classes = [one.judged for one in held], ground.frames.num_classes
    best, why = choose(judged, num_classes=num_classes)
    recipe, chosen = best.recipe, best.name
    unjudged = next(one for one in candidates if one.name == KEPT).recipes[0]
    started, every = time.perf_counter(), slice(None, None, _stride(ground, parts))
    target, groups = ground.targets(parts), ground.judge_groups(parts)
    if best.is_plain and all(one.name != KEPT for one in judged) and ground.can_fit(unjudged):
        recipe, chosen = unjudged, KEPT
        why = f"the folds have too few videos for {KEPT}, which is kept; of those judged, {best.name} is best"
        average = JudgedAverage(reason=f"the folds have too few videos to compare it with {KEPT}")
    else:
        average = choose_average(held, best, target=target[every], groups=groups[every], left=deadline - started)
    right, seconds = average.gain.right if average.gain else None, time.perf_counter() - started
    tried.append(_row(AVERAGE, right, seconds=seconds, reason=average.reason))
    told(tried[-1], len(tried), len(tried))
    whitened = next((one.reason for one in tried if one.name == chosen and recipe.steps == WHITENED), "")
    compared = "; ".join(filter(None, (whitened, average.why(chosen))))
    alone = next((one.logits for one in held if one.judged.name == chosen), None)
    logits = average.logits if average.is_better else alone
    return FoundRecipe(
        recipe=recipe,
        chosen=AVERAGE if average.is_better else chosen,
        why=compared if average.is_better else "; ".join(filter(None, (why, compared))),
        texts=tell_texts(judged, ground.prompts_of, num_classes=num_classes),
        judged_by=_judges(ground, parts, len(target)),
        tried=tuple(tried),
        members=average.members if average.is_better else (),
        scaling=None if ground.val else _scaling(ground, logits, target[every], parts=parts),
    )


def _scaling(
    ground: CandidateGround, logits: Tensor | None, target: Tensor, *, parts: Sequence[FoldPlaces]
) -> Scaling | None:
    """Return the scaling of logits by the folds that judged them; None if there are fewer than FEWEST of them."""
    if logits is None or len(logits) < FEWEST:
        return None
    return fit_scaling(logits, target[: len(logits)], sources=lambda: ground.shared_sources_note(parts, len(logits)))


def _stride(ground: CandidateGround, parts: Sequence[FoldPlaces]) -> int:
    """Return 1 if the logits of every judging video are kept, or n if those of every n-th are."""
    return math.ceil(len(ground.targets(parts)) * ground.frames.num_classes / MOST_SCORES)


def _try(
    ground: CandidateGround, candidate: Candidate, parts: Sequence[FoldPlaces], *, left: float, is_first: bool
) -> tuple[MemberCandidate | None, str]:
    """Judge a candidate in the seconds that are left, or return the reason why not. The first is always judged."""
    if left <= 0 and not is_first:
        return None, "no time was left; --budget gives more"
    if candidate.name in ("knn", "tip-adapter") and len(ground.frames) > MOST_NEIGHBOURS:
        return None, f"not tried with more than {MOST_NEIGHBOURS} videos"
    recipes, chosen, started = candidate.recipes, list(parts), time.perf_counter()
    try:
        if candidate.steps:
            count = len(recipes)
            planned, chosen, needed = _planned(ground, recipes[0], chosen, left=left / count)
            if planned is None:
                return None, f"would take about {math.ceil(needed * count)} s; --budget gives more"
            recipes = tuple(replace(recipe, epochs=planned.epochs) for recipe in recipes)
        stride = _stride(ground, parts)
        each = left / len(recipes) if candidate.steps else math.inf
        found = [_judge(ground, candidate, recipe, chosen, stride=stride, left=each) for recipe in recipes]
    except DataError as error:  # for example, a classifier needs more videos
        return None, str(error)
    best = min(found, key=lambda one: one.judged.loss)
    needed = best.seconds * (sum(len(part.train) for part in chosen) / len(ground.frames) + 1)
    if not candidate.contender or time.perf_counter() - started + needed > left:
        return best, ""
    contender = replace(candidate.contender, epochs=best.judged.recipe.epochs)
    other = _judge(ground, candidate, contender, chosen, stride=stride)
    pair, groups = (best.judged.losses, other.judged.losses), ground.judge_groups(chosen).numpy()
    choice = StepsChoice.of(*pair, groups, what="held-out video")
    return (other, f"its steps are whitened; {choice.why}") if choice.chosen == WHITENED else (best, "")


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


def _judge(
    ground: CandidateGround,
    candidate: Candidate,
    recipe: Recipe,
    parts: Sequence[FoldPlaces],
    *,
    stride: int = 1,
    left: float = math.inf,
) -> MemberCandidate:
    """Judge a recipe on the parts; on FEWEST_PARTS of them if the others and the training would not end in time.

    A busy machine may take much longer for a step than it took when the parts were planned. Parts that train together,
    as those of a linear probe do, are one round: all of them are judged.
    """
    started, settled = time.perf_counter(), ground.settled(recipe)
    scored: list[Tensor] = []
    seconds = 0.0
    used: list[FoldPlaces] = []
    for some in ground.rounds(settled, parts):
        needed = seconds * (len(some[0].train) / len(ground.frames) + 1)  # plus one training on all videos
        if len(used) >= FEWEST_PARTS and time.perf_counter() - started + needed > left:
            break
        scored.append(ground.score(settled, some))
        used += some
        share = sum(len(part.train) for part in used) / len(ground.frames)
        seconds = (time.perf_counter() - started) / share  # of a training on all videos
    logits = torch.cat(scored)
    judged = JudgedCandidate.of(candidate, settled, logits, ground.targets(used))
    return MemberCandidate(judged, logits[::stride].float().clone(), seconds)


def _row(name: str, right: Tensor | None, *, seconds: float, reason: str) -> TriedCandidate:
    took = round(seconds, 4)
    if right is None:
        return TriedCandidate(name, None, None, took, reason=reason)
    hits, count = int(right.sum()), len(right)
    return TriedCandidate(name, hits / count, wilson_interval(hits, count), took, videos=count, reason=reason)


def _unjudged(ground: CandidateGround, base: Recipe) -> FoundRecipe:
    """Return the choice if every class has one video, so that no video can be held out.

    Zero-shot learns from no video, so the training videos can judge the texts. If it is surely right for half of them,
    the texts are moved a little towards the videos. Ridge does not bring each channel to a spread of one, which a few
    videos do not tell.
    """
    plain = linear_recipe(base, num_videos=len(ground.frames))
    recipe = replace(plain, classifier="ridge", classifier_options={"standardise": False}, epochs=0)
    judged_by = "nothing: each class has one video"
    why = "no class has two videos of different sources, so that nothing can be judged"
    if not ground.prompts_of:
        return FoundRecipe(recipe, "ridge", f"{why}; ridge is taken", "", judged_by, ())
    started, every = time.perf_counter(), torch.arange(len(ground.frames))
    zero_shot = Candidate("zero-shot", (replace(plain, classifier="text", scoring="embeddings", epochs=0),))
    found = _judge(ground, zero_shot, zero_shot.recipes[0], [FoldPlaces(every, every)]).judged
    row = _row(zero_shot.name, found.right, seconds=time.perf_counter() - started, reason="")
    texts = f"zero-shot, which learns from no video, is right in {100 * (row.score or 0):.1f} % of the training videos"
    if row.interval and row.interval[0] > SURE:
        gentle = residual_recipe(base, num_videos=len(ground.frames), lr=GENTLE_LR)
        taken = f"{why}; the texts are good, and text-residual is taken"
        return FoundRecipe(gentle, "text-residual", taken, texts, judged_by, (row,))
    return FoundRecipe(recipe, "ridge", f"{why}; ridge is taken", texts, judged_by, (row,))


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
            f"there is one class only, of {counted(len(train), 'training video')}; expected two classes or more"
        )
