"""How to write an untrained matcher: its name or combine:NAME, and options for either, as in otam(smoothing=0.5)."""

import json
import re
from dataclasses import dataclass
from typing import Any

from torch import nn

from framebank.heads.fewshot.recipe import read_matcher_options
from framebank.heads.matchers import MATCHERS, READS_TEXT
from framebank.heads.options import parse_options, split_list
from framebank.store.errors import DataError

TRAINED = "trained:"  # before the name of a matcher from a run


@dataclass(frozen=True)
class MatcherName:
    """A matcher of MATCHERS, or "combine:" and the matcher that the texts are combined with; and the matcher's options.

    Options are checked against the constructor. DataError if the name is unknown, if the matcher does not have an
    option, or if a value has another type.
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        """Check the name, then the options. Numbers get the type of their argument, and options are sorted by name."""
        kind, _, metric = self.name.partition(":")
        known = self.name in MATCHERS or (kind == "combine" and metric in MATCHERS and metric != "combine")
        if not known:
            expected = f"expected one of {', '.join(untrained_matchers())}, or combine:<one>"
            raise DataError(f"the matcher {self.name!r} is not known; {expected}")
        read = read_matcher_options(kind, dict(self.options))
        object.__setattr__(self, "options", tuple(sorted(read.items())))

    def __str__(self) -> str:
        """Return the name as it is written; each matcher is written in one way only."""
        told = ", ".join(f"{option}={json.dumps(value)}" for option, value in self.options)
        return f"{self.name}({told})" if told else self.name

    @classmethod
    def parse(cls, written: str) -> "MatcherName":
        """Read what `str` writes. DataError if it is written in another way."""
        match = re.fullmatch(r"\s*([^()\s]+)\s*(?:\((.*)\))?\s*", written, flags=re.DOTALL)
        if not match:
            raise DataError(f"{written!r} is not a matcher; expected a name such as otam, or otam(smoothing=0.5)")
        name, inside = match.groups(default="")
        return cls(name, tuple(parse_options(split_list(inside)).items()))

    def build(self, dim: int) -> nn.Module:
        """Return the matcher for embeddings (D,) of this width. DataError if it has weights to train."""
        kind, _, metric = self.name.partition(":")
        given: dict[str, Any] = {"metric": MATCHERS[metric]} if metric else {}
        try:
            matcher = MATCHERS[kind](dim, **given, **dict(self.options))
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"the matcher {self} cannot be built: {' '.join(str(error).split())}") from error
        if next(matcher.parameters(), None) is not None:
            expected = f"expected one of {', '.join(untrained_matchers())}"
            raise DataError(f"the matcher {self.name!r} has weights to train; {expected}")
        return matcher.eval()


def untrained_matchers() -> tuple[str, ...]:
    """Return the names of the matchers that have nothing to train."""
    return tuple(name for name, matcher in MATCHERS.items() if not matcher.traits.has_weights)


def reads_text(written: str) -> bool:
    """Return whether a matcher, or the trained one of a run, scores by the texts of the classes."""
    return re.split("[:(]", written.removeprefix(TRAINED))[0] in READS_TEXT
