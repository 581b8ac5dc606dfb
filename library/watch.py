"""Watching: how a caller follows the progress of a long call, item by item."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Watch(Protocol):
    """Yield the items and show progress. `total` is the number of items, and `unit` is the name of one item."""

    def __call__(self, items: Iterable[T], *, total: int, unit: str, title: str | None = None) -> Iterator[T]:
        """Yield the items."""
        ...


def unwatched(items: Iterable[T], *, total: int, unit: str, title: str | None = None) -> Iterator[T]:
    """Yield the items and show nothing.

    >>> list(unwatched([1, 2], total=2, unit="video"))
    [1, 2]
    """
    yield from items
