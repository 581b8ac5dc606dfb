"""The type of matchers: how to call their class, and what it states about itself."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import nn


@dataclass(frozen=True)
class MatcherTraits:
    """What a matcher states about itself.

    reads_text    it scores by the texts of the classes, and is of no use without
    fits_support  it averages the frames and learns from the support; it is asked for many queries at once, so that it
                  learns once for them
    has_weights   it has to be trained by episodes before it is of use
    """

    reads_text: bool = False
    fits_support: bool = False
    has_weights: bool = False


class MatcherClass(Protocol):
    """A class of MATCHERS, called with the width and its own options.

    Its module is called as framebank.heads.matchers says. Its options are the keyword-only arguments of its
    constructor.
    """

    @property
    def traits(self) -> MatcherTraits:
        """What the matcher states about itself."""
        ...

    def __call__(self, dim: int, *args: Any, **options: Any) -> nn.Module:
        """Build the matcher for embeddings (D,)."""
        ...


@runtime_checkable
class HasMatcherTraits(Protocol):
    """A matcher that states its traits."""

    @property
    def traits(self) -> MatcherTraits:
        """What the matcher states about itself."""
        ...


def traits_of(matcher: nn.Module) -> MatcherTraits:
    """Return the traits of a built matcher. A module without traits has the default ones."""
    return matcher.traits if isinstance(matcher, HasMatcherTraits) else MatcherTraits()
