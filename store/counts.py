"""Counts: numbers with their nouns, and lists that end, as whoever reads them says them."""

from collections.abc import Iterable


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return "1 video", "2 videos" or "0 videos"; a noun that takes more than an s brings its plural."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Iterable[object], *, most: int = 5, mark: str = ", ") -> str:
    """Return "a, b, c", or "a, b, c, d, e and 4995 more"; "none" where there is none. The `mark` stands between."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return mark.join(texts[:most]) + more if texts else "none"


def first_lines(lines: Iterable[str], *, most: int) -> list[str]:
    """Return the first lines, and, where there are others, one that says how many, and that --json names them."""
    found = list(lines)
    more = [f"and {len(found) - most} more, which --json names"] if len(found) > most else []
    return [*found[:most], *more]
