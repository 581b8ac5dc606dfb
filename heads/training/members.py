"""Members: the models that a run averages, as its checkpoint describes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from framebank.heads.model import Model
from framebank.heads.training.average import average_model
from framebank.heads.training.filling import ModelShape, filled_model
from framebank.heads.training.recipe import Recipe
from framebank.store.errors import DataError
from framebank.store.formats.document import Fields, shown

VERSION = 1
PART = "classifier.models."  # the tensors of member n have names that begin with this, n and a dot
OWN = ("classifier.temperatures", "classifier.weights")  # (M,) each


@dataclass(frozen=True)
class Member:
    """One model of an average: its name among the candidates, its recipe, its share and its temperature."""

    name: str
    recipe: Recipe
    weight: float
    temperature: float

    def to_dict(self) -> dict[str, Any]:
        """Return everything except the recipe as plain values."""
        return {"name": self.name, "weight": self.weight, "temperature": self.temperature}


def members_about(members: Sequence[Member]) -> dict[str, Any]:
    """Return what a checkpoint says of the members of a run; weights and temperatures are among its tensors."""
    return {
        "version": VERSION,
        "models": [{"name": member.name, "recipe": member.recipe.to_dict()} for member in members],
    }


def read_average(
    about: Fields, tensors: Mapping[str, Tensor], shape: ModelShape, *, recipe: Recipe, where: object
) -> tuple[tuple[Member, ...], Model]:
    """Return the members that `members_about` told, and their average with its tensors.

    `recipe` is that of the run, which is that of the first member. DataError if a later version wrote them, or if the
    members and the tensors do not fit each other.
    """
    if about.whole("version") != VERSION:
        raise about.refuse("version", f"{VERSION}, which this framebank knows")
    said = about.list("models")
    if len(said) < 2:
        raise about.refuse("models", "a list of two members or more")
    named = [_named(Fields.of(each, where=f"{where}: members"), where=where) for each in said]
    _require_alike([own for _, own in named], recipe, where=where)
    parts: dict[str, dict[str, Tensor]] = {f"{PART}{number}": {} for number in range(len(named))}
    for name, tensor in tensors.items():
        own = name.removeprefix(PART).partition(".")[2]
        part = name.removesuffix(f".{own}")
        if part in parts:
            parts[part][own] = tensor
        elif name not in OWN:
            raise DataError(f"{where}: holds the tensor {shown(name)}, otherwise than the model that it describes")
    missing = next((name for name in OWN if name not in tensors), None)
    if missing:
        raise DataError(f"{where}: lacks the tensor {shown(missing)}, otherwise than the model that it describes")
    pairs = zip(named, parts.values(), strict=True)
    models = [filled_model(own, part, shape, where=where) for (_, own), part in pairs]
    temperatures, weights = (tensors[name] for name in OWN)
    try:
        model = average_model(models, temperatures=temperatures, weights=weights)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error
    values = zip(named, weights.tolist(), temperatures.tolist(), strict=True)
    return tuple(Member(name, own, weight, temperature) for (name, own), weight, temperature in values), model


def _named(said: Fields, *, where: object) -> tuple[str, Recipe]:
    return said.text("name"), Recipe.of_run(said.fields("recipe").values, where=where)


def _require_alike(recipes: Sequence[Recipe], first: Recipe, *, where: object) -> None:
    """Raise DataError if the members do not read the same frames, or if one judges several labels."""
    if recipes[0] != first:
        raise DataError(f"{where}: its recipe is not that of its first member, as an average's is")
    for recipe in recipes:
        if recipe.is_multi_label or (recipe.stream, recipe.frames) != (first.stream, first.frames):
            raise DataError(f"{where}: averages models of several labels or of other frames; expected the same for all")
