"""Counts: numbers with their nouns, and shortened lists, for messages."""

from collections.abc import Iterable


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return "1 video", "2 videos" or "0 videos". `plural` is for nouns that do not just take an s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Iterable[object], *, most: int = 5, mark: str = ", ") -> str:
    """Return "a, b, c", or "a, b, c, d, e and 4995 more", or "none" if there are none. `mark` separates the names."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return mark.join(texts[:most]) + more if texts else "none"


def first_lines(lines: Iterable[str], *, most: int) -> list[str]:
    """Return the first lines. If there are more, add a line that says how many, and that --json has all of them."""
    found = list(lines)
    more = [f"and {len(found) - most} more, which --json names"] if len(found) > most else []
    return [*found[:most], *more]
