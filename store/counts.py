"""Counts: numbers with their nouns, as whoever reads them says them."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return "1 video", "2 videos" or "0 videos"; a noun that takes more than an s brings its plural."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
