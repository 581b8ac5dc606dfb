"""Tell: how a long function reports its progress."""

from collections.abc import Callable
from typing import TypeAlias

# Called after each step of the work, with the number of steps done and the total.
Tell: TypeAlias = Callable[[int, int], None]


def tell_nobody(done: int, total: int) -> None:
    """Do nothing: the default for callers that do not ask for progress."""


def tell_after(tell: Tell, *, before: int, total: int) -> Tell:
    """Return a Tell for one part of a larger work. It adds `before` to its count and reports `total`."""
    return lambda done, _: tell(before + done, total)
