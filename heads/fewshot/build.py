"""Building: a matcher from a recipe."""

import inspect

import torch
from torch import nn

from framebank.heads.fewshot.recipe import FewshotRecipe
from framebank.heads.matchers import MATCHERS
from framebank.heads.randomness import drawn_from
from framebank.store.errors import DataError


def build_matcher(recipe: FewshotRecipe, *, dim: int, num_classes: int) -> nn.Module:
    """Build what a recipe describes, drawn from its seed; DataError if an option cannot be.

    A matcher that tells the `num_classes` it is trained on apart, by a further loss, is told their number.
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
