"""FewshotRecipe: the settings of one training by episodes, written beside its result, so that it can be repeated.

The matchers are loaded when a recipe is made. The defaults can be read without torch.
"""

import inspect
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from framebank import heads
from framebank.heads.options import KINDS, RECIPE_KINDS, is_of_kind, read_options
from framebank.heads.training.forms import EARLIER, FORMS, PUBLISHED, options_of_form
from framebank.store.errors import DataError
from framebank.store.formats.document import shown

# Arguments of a constructor that come from the training, not from an option.
GIVEN = ("dim", "num_classes")


@dataclass(frozen=True)
class FewshotRecipe:
    """What is trained, and how: a step is `episodes` episodes of `way` classes, `shot` videos and `query` queries each.

    `options` go to the matcher's constructor. The step is chosen on `val_episodes` episodes, drawn once, every
    `val_every` steps. `form` 1 is for a training from before the matchers were made equal to their authors' code.
    """

    matcher: str = "trx"
    options: dict[str, Any] = field(default_factory=dict)
    way: int = 5
    shot: int = 1
    query: int = 5  # of each class
    frames: int = 8  # how many of the stored frames of each video are used, evenly spread, as in papers; 0 is all

    steps: int = 1000
    episodes: int = 4
    lr: float = 1e-4
    weight_decay: float = 0.01
    warmup: float = 0.1
    val_every: int = 100
    val_episodes: int = 200
    seed: int = 0
    form: int = PUBLISHED

    def __post_init__(self) -> None:
        """Check each field. Convert options to the types of the matcher's constructor."""
        if self.matcher not in heads.MATCHERS:
            raise DataError(f"the matcher {self.matcher!r} is not known; expected one of {', '.join(heads.MATCHERS)}")
        if self.form not in FORMS:
            raise DataError(f"form is {self.form}; expected {EARLIER} or {PUBLISHED}")
        options = options_of_form(self.form, "matcher", self.matcher, self.options)
        object.__setattr__(self, "options", read_matcher_options(self.matcher, options))
        least = {"way": 2, "frames": 0, "seed": 0}
        for item in fields(self):
            if item.type is int and getattr(self, item.name) < least.get(item.name, 1):
                raise DataError(
                    f"{item.name} is {getattr(self, item.name)}; expected {least.get(item.name, 1)} or more"
                )
        if self.seed >= 2**63:
            raise DataError(f"seed is {self.seed}; expected less than 2**63")
        if not 0 < self.lr < math.inf:
            raise DataError(f"lr is {self.lr}; expected more than 0")
        if not 0 <= self.weight_decay < math.inf:
            raise DataError(f"weight_decay is {self.weight_decay}; expected 0 or more")
        if not 0 <= self.warmup < 1:
            raise DataError(f"warmup is {self.warmup}; expected at least 0 and less than 1")

    @classmethod
    def of_run(cls, found: Mapping[str, Any], *, where: object) -> "FewshotRecipe":
        """Build the recipe that a run keeps. What it does not name is as it was when no recipe named it."""
        return cls.from_dict({"form": EARLIER, "frames": 0, **found}, where=where)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any], *, where: object) -> "FewshotRecipe":
        """Build a recipe from its fields. DataError if a key is unknown, or if a value has another type."""
        kinds = {each.name: dict if each.default is MISSING else type(each.default) for each in fields(cls)}
        for name, value in found.items():
            if name not in kinds:
                raise DataError(f"{where}: a recipe of a matcher has no key {name!r}")
            if not is_of_kind(value, kinds[name]):
                raise DataError(f"{where}: {name} is {shown(value)}; expected {RECIPE_KINDS[kinds[name]]}")
        try:
            return cls(**found)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def options_of(matcher: str) -> tuple[str, ...]:
    """Return the names of the options of a matcher's constructor."""
    asked = inspect.signature(heads.MATCHERS[matcher]).parameters.values()
    return tuple(p.name for p in asked if p.annotation in KINDS and p.name not in GIVEN)


def read_matcher_options(matcher: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in the types of a matcher's constructor. DataError for an unknown option or another type."""
    has = options_of(matcher)
    strange = next((name for name in options if name not in has), None)
    if strange:
        raise DataError(f"the matcher {matcher!r} has no option {strange!r}; it has {', '.join(has) or 'none'}")
    return read_options("matcher", matcher, heads.MATCHERS[matcher], options)
