"""Kept choice: what `auto` found, as the state of the training that follows keeps it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from framebank.heads.confidence.scaling import Scaling
from framebank.heads.model import Model
from framebank.heads.training.auto import FoundRecipe, TriedCandidate
from framebank.heads.training.average import MOST_FROM_ONE
from framebank.heads.training.checkpoint import read_checkpoint
from framebank.heads.training.loop import Epoch
from framebank.heads.training.members import Member
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.resume import STATE, WHAT, Keeping, below, log_in, log_tensor, named
from framebank.store.errors import DataError, parsing
from framebank.store.formats.document import Fields

FINISHED = "finished"  # the tensors of finished member n have names that begin with this, a dot, n and a dot
NAME = "choice of auto"  # the state of a training has the choice under this name


@dataclass(frozen=True)
class KeptChoice:
    """What was found, the same as plain `values`, and the member that was trained when the state was written.

    `finished` are the weights and the log of the members before that one, if these were trained in epochs. What is
    fitted without steps is fitted again: that takes seconds, and it may hold a row of each training video.
    """

    found: FoundRecipe
    values: Mapping[str, Any]
    member: int = 0
    finished: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, found: FoundRecipe) -> "KeptChoice":
        """Return what was just found, before any member is trained."""
        return cls(found, _plain(found))

    def keeping(self, folder: Path, member: int, *, seconds: float, resumes: bool) -> Keeping | None:
        """Return how the training of a member keeps its state. None for a member that the state has behind it."""
        if resumes and member < self.member:
            return None
        about = {NAME: {**self.values, "member": member}}
        goes_on = resumes and member == self.member
        return Keeping(folder, seconds=seconds, resumes=goes_on, about=lambda: about, more=self.finished)

    def finish(self, member: int, model: Model, log: Sequence[Epoch]) -> None:
        """Keep a trained member in the states of the members after it."""
        if log:
            tensors = named("model", model.state_dict().items()) | {"log": log_tensor(log, Epoch)}
            self.finished.update(named(f"{FINISHED}.{member}", tensors.items()))

    def take(self, member: int, model: Model, *, folder: Path) -> list[Epoch] | None:
        """Give a model the weights of a finished member and return its epochs; None if it is to be trained."""
        tensors = below(f"{FINISHED}.{member}", self.finished)
        if not tensors:
            return None
        with parsing(folder / STATE, what=WHAT):
            model.load_state_dict(below("model", tensors))
            model.eval()
            return log_in(tensors["log"], Epoch)


def read_choice(folder: Path, base: Recipe, *, keys: tuple[str, ...], num_classes: int) -> KeptChoice | None:
    """Return the choice that the state in a folder keeps, or None if there is no state.

    DataError if the state is that of a training of a recipe, or if one of the `keys` of the recipe is not as in `base`.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    state = read_checkpoint(path, what=WHAT)
    about = state.about
    if NAME not in about:
        raise DataError(
            f"{path}: is {WHAT} of a recipe; expected that recipe (--recipe) or its options, or no resume (--resume)"
        )
    said = about.fields(NAME)
    found = _found(said, num_classes=num_classes)
    for name in keys:
        theirs, mine = getattr(found.recipe, name), getattr(base, name)
        if theirs != mine:
            raise DataError(f"{path}: is {WHAT} with {name} {theirs}; expected {mine}, or no resume (--resume)")
    member, count = said.whole("member"), max(1, len(found.members))
    if member >= count:
        raise said.refuse("member", f"a whole number below {count}")
    finished = {name: one for name, one in state.tensors.items() if name.partition(".")[0] == FINISHED}
    return KeptChoice(found, said.values, member, finished)


def _plain(found: FoundRecipe) -> dict[str, Any]:
    values = {
        "recipe": found.recipe.to_dict(),
        "chosen": found.chosen,
        "why": found.why,
        "texts": found.texts,
        "judged_by": found.judged_by,
        "tried": [asdict(one) for one in found.tried],
        "members": [{**one.to_dict(), "recipe": one.recipe.to_dict()} for one in found.members],
        "scaling": found.scaling.to_dict() if found.scaling else {},
    }
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def _found(said: Fields, *, num_classes: int) -> FoundRecipe:
    def recipe_of(fields: Fields) -> Recipe:
        return Recipe.from_dict(dict(fields.fields("recipe").values), where=fields.where)

    scaling = said.fields("scaling")
    listed = [Fields.of(one, where=said.where) for one in said.list("members")]
    members = tuple(
        Member(one.text("name"), recipe_of(one), one.number("weight"), one.number("temperature")) for one in listed
    )
    if any(min(one.weight, one.temperature) <= 0 for one in members) or (
        members and abs(sum(one.weight for one in members) - 1) > MOST_FROM_ONE
    ):
        raise said.refuse("members", "weights above 0 that sum to one, and temperatures above 0")
    return FoundRecipe(
        recipe=recipe_of(said),
        chosen=said.text("chosen"),
        why=said.text("why"),
        texts=said.text("texts"),
        judged_by=said.text("judged_by"),
        tried=tuple(_tried(Fields.of(one, where=said.where)) for one in said.list("tried")),
        members=members,
        scaling=_scaling(scaling.values, num_classes=num_classes, where=scaling.where),
    )


def _scaling(said: Mapping[str, Any], *, num_classes: int, where: object) -> Scaling | None:
    return Scaling.read(said, num_classes=num_classes, where=where) if said else None


def _tried(said: Fields) -> TriedCandidate:
    name, seconds, videos = said.text("name"), said.number("seconds"), said.whole("videos")
    if said.values.get("score") is None:
        return TriedCandidate(name, None, None, seconds, videos, said.text("reason"))
    low, *rest = said.numbers("interval") or (0.0,)
    if len(rest) != 1:
        raise said.refuse("interval", "two numbers")
    return TriedCandidate(name, said.number("score"), (low, rest[0]), seconds, videos, said.text("reason"))
