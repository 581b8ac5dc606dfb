"""Building: a matcher from a recipe."""

import inspect

import torch
from torch import nn

from framebank.heads.fewshot.recipe import FewshotRecipe
from framebank.heads.matchers import MATCHERS
from framebank.heads.randomness import drawn_from
from framebank.store.errors import DataError


def build_matcher(recipe: FewshotRecipe, *, dim: int, num_classes: int) -> nn.Module:
    """Build what a recipe describes, with random weights from its seed. DataError if an option is impossible.

    `num_classes` is for a matcher that also learns to tell the training classes apart, by a further loss.
    """
    build = MATCHERS[recipe.matcher]
    counted = {"num_classes": num_classes} if "num_classes" in inspect.signature(build).parameters else {}
    with drawn_from(recipe.seed, device=torch.device("cpu")):
        try:
            return build(dim, **counted, **recipe.options)
        except (TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"the matcher {recipe.matcher!r} cannot be built with {recipe.options}: {reason}"
            ) from error
