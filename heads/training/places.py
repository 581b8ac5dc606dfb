"""Places: how many places of each frame a recipe's head tells apart."""

from dataclasses import replace

from framebank.heads.bank import PLACED
from framebank.heads.temporal import HEADS
from framebank.heads.training.recipe import Recipe


def with_places(recipe: Recipe, streams: str) -> Recipe:
    """Return the recipe with the number of places of a frame in its stream, for a head that tells them apart.

    `streams` is that of the spec of a store, such as "frame,tokens:7".
    """
    full = next((part for part in streams.split(",") if part.partition(":")[0] == recipe.stream), "")
    if recipe.stream not in PLACED or not HEADS[recipe.head].traits.reads_places or "places" in recipe.head_options:
        return recipe
    side = full.partition(":")[2].partition(":")[0]
    if not side.isdecimal():
        return recipe
    return replace(recipe, head_options={**recipe.head_options, "places": int(side) ** 2})
