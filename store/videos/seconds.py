"""The seconds that a cell of a list tells, such as 12.5, 1:30 or 0:01:30."""

import math
import re

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,6}):([0-5]?\d(?:\.\d*)?)")


def seconds_in(cell: str) -> float | None:
    """Return the length that a text tells in seconds, 0 or more; None if it tells none.

    >>> seconds_in("12.5"), seconds_in("1:30"), seconds_in("1:00:02.5"), seconds_in("long"), seconds_in("-1")
    (12.5, 90.0, 3602.5, None, None)
    """
    if NUMBER.fullmatch(cell):
        return found if 0 <= (found := float(cell)) < math.inf else None
    told = CLOCK.fullmatch(cell)
    return int(told[1] or 0) * 3600 + int(told[2]) * 60 + float(told[3]) if told else None
