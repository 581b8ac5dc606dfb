"""Candidates: the ways to recognise that `auto` tries, with steps, batch size and rate that suit the set's size."""

import math
from dataclasses import dataclass, replace
from typing import Any

from framebank.heads.training.recipe import Recipe

STEPS = 300  # enough for a linear layer on embeddings to settle
TEMPORAL_STEPS = 600  # enough for a temporal head to learn the order of a small set
RESIDUAL_LR = 1e-3  # of the vectors that are added to the texts
GENTLE_LR = 1e-4  # the same where the videos are few and the texts are good
PASSES = 10  # over a set that is too large to be seen in those steps


@dataclass(frozen=True)
class Candidate:
    """A named way to recognise, with its recipes. The recipe that is best on held-out videos stands for it.

    A `contender` stands for it only if it is clearly better on them than that recipe.
    """

    name: str
    recipes: tuple[Recipe, ...]
    contender: Recipe | None = None

    @property
    def pools(self) -> bool:
        """Whether it reads the mean of the frames, which does not depend on their order."""
        return self.recipes[0].head == "mean"

    @property
    def reads_texts(self) -> bool:
        """Whether it scores with the texts of the classes."""
        return self.recipes[0].reads_texts

    @property
    def steps(self) -> bool:
        """Whether it learns in steps, which take time."""
        return self.recipes[0].epochs > 0


def candidates_of(base: Recipe, *, num_videos: int, num_frames: int, has_texts: bool) -> list[Candidate]:
    """Return the candidates to try, the quickest first.

    `base` holds what they share (seed, frames, views). Temporal heads are tried if videos have several frames.
    """

    def fitted(classifier: str, **options: Any) -> Recipe:
        return _of(base, "mean", classifier, classifier_options=options, epochs=0)

    linear = linear_recipe(base, num_videos=num_videos)
    found = [
        Candidate("lda", (fitted("lda"),)),
        Candidate("linear", (linear,), contender=replace(linear, steps="whitened")),
        Candidate("ridge", (fitted("ridge", standardise=False), fitted("ridge", standardise=True))),
        Candidate("knn", tuple(fitted("knn", k=k, temperature=0.05) for k in (1, 5, 20))),
    ]
    if has_texts:
        found.append(Candidate("zero-shot", (fitted("text"),)))
        found.append(Candidate("tip-adapter", (fitted("tip-adapter"),)))
        rates = (RESIDUAL_LR, GENTLE_LR)
        residuals = tuple(residual_recipe(base, num_videos=num_videos, lr=rate) for rate in rates)
        found.append(Candidate("text-residual", residuals))
    if num_frames > 1:
        found += [
            Candidate(f"{head} + linear", (temporal_recipe(base, head, num_videos=num_videos),))
            for head in ("mit", "attentive")
        ]
    return found


def linear_recipe(base: Recipe, *, num_videos: int) -> Recipe:
    """Return the recipe of a linear classifier on the mean of the frames, with as many steps as it needs to settle."""
    decay = 1.0 if num_videos < 5000 else 0.1
    return with_steps(
        _of(base, "mean", "linear", batch_size=256, lr=3e-3, weight_decay=decay), STEPS, num_videos=num_videos
    )


def residual_recipe(base: Recipe, *, num_videos: int, lr: float) -> Recipe:
    """Return the recipe of the texts moved by a learned vector each (TaskRes), on the mean of the frames."""
    linear = linear_recipe(base, num_videos=num_videos)
    return replace(linear, classifier="text", text="residual", scoring="embeddings", lr=lr, weight_decay=0.0)


def temporal_recipe(base: Recipe, head: str, *, num_videos: int, steps: int = TEMPORAL_STEPS) -> Recipe:
    """Return the recipe of a temporal head with a linear classifier. Small sets have small batches: enough steps."""
    batch = 32 if num_videos < 2000 else 64 if num_videos < 10_000 else 256
    return with_steps(
        _of(base, head, "linear", batch_size=batch, lr=1e-3, weight_decay=0.05), steps, num_videos=num_videos
    )


def with_steps(recipe: Recipe, steps: int, *, num_videos: int) -> Recipe:
    """Return a recipe with enough epochs for that many steps, or with PASSES epochs if these give more steps."""
    each = math.ceil(num_videos / recipe.batch_size)
    return replace(recipe, epochs=max(PASSES if each * PASSES > steps else 1, math.ceil(steps / each)))


def _of(base: Recipe, head: str, classifier: str, **changes: Any) -> Recipe:
    scoring = "embeddings" if classifier in ("text", "tip-adapter") else base.scoring
    return replace(
        base, head=head, classifier=classifier, loss="ce", scoring=scoring, warmup=0.1, val_fraction=0.0, **changes
    )
