"""Watching: how a caller hears of what a long call does, item by item."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Watch(Protocol):
    """Yield the items and show that they are done; `total` is how many there will be, `unit` what one is called."""

    def __call__(self, items: Iterable[T], *, total: int, unit: str, title: str | None = None) -> Iterator[T]:
        """Yield the items."""
        ...


def unwatched(items: Iterable[T], *, total: int, unit: str, title: str | None = None) -> Iterator[T]:
    """Yield the items and show nothing.

    >>> list(unwatched([1, 2], total=2, unit="video"))
    [1, 2]
    """
    yield from items
