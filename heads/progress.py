"""Tell: how a function that takes long says how much of its work is done."""

from collections.abc import Callable
from typing import TypeAlias

# Called after each part of the work: how many parts are done, and of how many.
Tell: TypeAlias = Callable[[int, int], None]


def tell_nobody(done: int, total: int) -> None:
    """Say nothing: for callers that do not ask."""


def tell_after(tell: Tell, *, before: int, total: int) -> Tell:
    """Return a Tell for one part of a larger work: what it is told counts on from `before`, of `total`."""
    return lambda done, _: tell(before + done, total)
