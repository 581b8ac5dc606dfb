"""Intervals: the 95 % interval of a figure among the values of an evaluation, and its cell in a table."""

from collections.abc import Mapping
from typing import Any


def interval_of(values: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the 95 % interval of top-1, or of the mean average precision; None if the values have neither.

    >>> interval_of({"map": 0.5, "map_interval": [0.4, 0.6]})
    (0.4, 0.6)
    """
    low, high = values.get("top1_interval") or values.get("map_interval") or (None, None)
    return None if low is None or high is None else (low, high)


def between(interval: tuple[float, float] | None) -> str:
    """Return an interval in percent, and nothing for none.

    >>> between((0.912, 0.95))
    '91.2-95.0'
    """
    return f"{100 * interval[0]:.1f}-{100 * interval[1]:.1f}" if interval else ""
