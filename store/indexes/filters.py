"""Filters: the videos that match an expression such as "label in ('surfing', 'archery') and split = 'train'"."""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing

from framebank.store.errors import DataError, near_names
from framebank.store.videos.spelling import nfc
from framebank.store.videos.video import Video

COLUMNS = ("video_id", "path", "label", "split", "start", "end", "duration")
WORDS = ("and", "or", "not", "in", "like", "glob", "between", "is", "null")
MOST_LETTERS = 10_000
TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*'|\"[^\"]*\")|(?P<number>-?\d+(?:\.\d*)?|-?\.\d+)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign><=|>=|<>|!=|==|[<>=(),]))"
)
EXPECTED = "expected something like label in ('surfing', 'archery') and split = 'train'"


def fitting(videos: Sequence[Video], expression: str) -> list[int]:
    """Return the places of the videos that match an expression, ascending.

    It compares columns with quoted texts and numbers, by =, !=, <, <=, >, >=, in, like, glob, between and is null,
    joined by and, or, not and brackets. `duration` is the length in seconds of a part of a video, and null for a whole
    video. SQLite evaluates the expression in memory. Values are bound as parameters, and a name that is not a column is
    refused, so nothing else can be run. DataError if the expression is wrong, or if nothing matches.
    """
    condition, values = _parsed(expression)
    rows = [(place, *_cells(video)) for place, video in enumerate(videos)]
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    asked = ", ".join("?" for _ in ("place", *COLUMNS))
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"create table videos (place integer primary key, {names})")
        database.executemany(f"insert into videos values ({asked})", rows)  # noqa: S608 - its own question marks
        try:
            found = database.execute(f"select place from videos where {condition} order by place", values)  # noqa: S608 - of checked names
            places = [int(place) for (place,) in found]
        except (sqlite3.Error, OverflowError) as error:
            raise DataError(f"the filter {expression!r} cannot be read ({error}); {EXPECTED}") from error
    if not places:
        hint = "; duration is known for parts of videos alone" if "duration" in expression.lower() else ""
        raise DataError(f"no video of the {len(rows)} fits the filter {expression!r}{hint}")
    return places


def _cells(video: Video) -> tuple[str | float | None, ...]:
    duration = None if video.end is None else video.end - (video.start or 0.0)
    texts = [nfc(text) for text in (video.video_id, str(video.path), video.label, video.split)]
    return *texts, video.start, video.end, duration


def _parsed(expression: str) -> tuple[str, list[str | float]]:
    """Return the condition with a ? for each value, and the values. DataError for anything that is not a filter."""
    if not expression.strip() or len(expression) > MOST_LETTERS:
        told = "is empty" if not expression.strip() else f"has {len(expression)} characters"
        raise DataError(f"the filter {told}; {EXPECTED}")
    parts: list[str] = []
    values: list[str | float] = []
    at, text = 0, expression.rstrip()
    while at < len(text):
        token = TOKEN.match(text, at)
        if token is None:
            raise DataError(f"the filter {expression!r} cannot be read at {text[at:].strip()[:20]!r}; {EXPECTED}")
        at = token.end()
        if token["name"]:
            parts.append(_name(token["name"], expression))
        elif token["sign"]:
            parts.append(token["sign"])
        else:
            parts.append("?")
            values.append(float(token["number"]) if token["number"] else _unquoted(token["text"]))
    return " ".join(parts), values


def _name(name: str, expression: str) -> str:
    if name.lower() in WORDS:
        return name.lower()
    if name.lower() not in COLUMNS:
        raise DataError(
            f"the filter {expression!r} names {name!r}, which is no column{near_names(name, COLUMNS)}; expected one of "
            f"{', '.join(COLUMNS)}, and texts in quotes, such as 'surfing'"
        )
    return f'"{name.lower()}"'


def _unquoted(text: str) -> str:
    return nfc(text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1])
