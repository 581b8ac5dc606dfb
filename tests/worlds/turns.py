"""The order of the tests: the slow files first in what each test process is given."""

from collections.abc import Iterable
from itertools import groupby

import pytest


def slow_first(items: Iterable[pytest.Item], *, shares: int) -> list[pytest.Item]:
    """Return the tests as so many equal shares, each with its slow files first.

    xdist gives each process a share, and a process that is done takes tests from the end of another's share. So what is
    left for the last minute is quick, and no process waits long for another. A file stays whole, except at the border
    of two shares.
    """
    files = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]
    slow = [tests for tests in files if any(item.get_closest_marker("slow") for item in tests)]
    quick = [item for tests in files if not any(item.get_closest_marker("slow") for item in tests) for item in tests]
    size = -(-sum(map(len, files)) // shares)
    order: list[pytest.Item] = []
    for number in range(shares):
        own = [item for tests in slow[number::shares] for item in tests]
        room = max(size - len(own), 0)
        order += own + quick[:room]
        quick = quick[room:]
    return order + quick
