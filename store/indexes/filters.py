"""Filters: the videos that match an expression such as "label in ('surfing', 'archery') and split = 'train'"."""

import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache, partial
from itertools import zip_longest

import numpy as np

from framebank.store.counts import counted
from framebank.store.errors import DataError, near_names
from framebank.store.videos.columns import VideoColumns
from framebank.store.videos.seconds import NUMBER, seconds_in
from framebank.store.videos.spelling import nfc
from framebank.store.videos.split_names import split_among

Cell = str | float | None

TEXTS = ("video_id", "path", "label", "split")
TIMES = ("start", "end", "duration")
COLUMNS = (*TEXTS, *TIMES)
WORDS = ("and", "or", "not", "in", "like", "glob", "between", "is", "null")
MOST_LETTERS = 10_000
MOST_KNOWN = 64  # filters whose answers are kept
KEY = '"row of the list"'  # no column of the user is called so: their names have no blanks
NULL = re.compile(r'"(label|split)" is (not )?null')  # of a video that has none they are '', and not null
IN_BRACKETS = re.compile(r'(?<!\bin )\( ("\w+"|null) \)')
EQUALS_NULL = re.compile(r"(?:=|<>) null\b|\bnull (?:[=!<])")
COLUMN_FIRST = re.compile(r'(?P<column>"\w+") (?:[<>]=?|(?:not )?between \?\d+ and) \?\d+')
VALUE_FIRST = re.compile(r'\?\d+ [<>]=? (?P<column>"\w+")')
TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*'|\"[^\"]*\")|(?P<number>-?\d+(?:\.\d*)?|-?\.\d+)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign><=|>=|<>|!=|==|[<>=(),]))"
)
EXPECTED = "expected something like label in ('surfing', 'archery') and split = 'train'"


class Filters:
    """The videos of an index in a database in memory, which is made for the first filter and answers the later ones.

    A filter compares columns with quoted texts and numbers, by =, !=, <, <=, >, >=, in, like, glob, between and is
    null, joined by and, or, not and brackets. Its columns are COLUMNS and those that the list of the store has beside
    them. `split` also equals the usual names of a split, such as 'validation' of "val". `duration` is the length in
    seconds of a video, or of the part that it is. For a whole video, a column of the list with this name is preferred
    to what the index knows, where it holds a length. Which of two is less is asked of two numbers or of two texts: no
    text is more than a number.
    """

    def __init__(self, videos: VideoColumns) -> None:
        self.videos = videos
        own = {name.lower(): name for name in videos.extra_names if name.lower() not in COLUMNS}
        self.columns = (*COLUMNS, *own.values())
        self._known: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def fitting(self, expression: str) -> np.ndarray:
        """Return the places (N,) int64 of the videos that match an expression, ascending.

        SQLite evaluates it. Values are bound as parameters, and a name that is not a column is refused, so nothing else
        can be run. DataError if the expression is wrong, or if nothing matches.
        """
        with self._lock:
            if expression not in self._known:
                found = self._places(expression)
                if len(self._known) >= MOST_KNOWN:
                    self._known.pop(next(iter(self._known)))
                self._known[expression] = found
            return self._known[expression]

    def _places(self, expression: str) -> np.ndarray:
        condition, values = _parsed(expression, self.columns)
        condition = _of_one_type(_without_brackets(condition), values)
        condition = NULL.sub(lambda found: f"\"{found[1]}\" {'!=' if found[2] else '='} ''", condition)
        try:
            asked = f"select group_concat({KEY}) from videos where {condition}"  # noqa: S608 - of checked names
            (found,) = self._database.execute(asked, values).fetchone()
        except (sqlite3.Error, OverflowError) as error:
            raise DataError(f"the filter {expression!r} cannot be read ({error}); {EXPECTED}") from error
        if found is None:
            told = expression.lower()
            hint = self._unknown_durations() if "duration" in told else ""
            if EQUALS_NULL.search(condition):
                hint += "; nothing equals null: expected `is null` or `is not null`"
            if "split" in told:
                hint += f"; the splits are {', '.join(sorted(set(self.videos.splits) - {''})) or 'not told'}"
            raise DataError(f"no video of the {len(self.videos)} fits the filter {expression!r}{hint}")
        return np.sort(np.array(str(found).split(","), dtype=np.int64))

    def _unknown_durations(self) -> str:
        (count,) = self._database.execute("select count(*) from videos where duration is null").fetchone()
        mend = "" if self.videos.durations else "; `framebank index STORE INDEX --update` finds the durations"
        hint = f"; the duration of {counted(count, 'video')} is not known{mend}" if count else ""
        cells = (self.videos.extra or {}).get("duration", ())
        odd = next((cell for cell in cells if cell and seconds_in(cell) is None), None)
        told = f"; the column `duration` of the list holds {odd!r}; expected seconds, such as 12.5, or 1:30 or 0:01:30"
        return hint + (told if odd else "")

    @cached_property
    def _database(self) -> sqlite3.Connection:
        database = sqlite3.connect(":memory:", check_same_thread=False)
        read_as = lru_cache(partial(split_among, there=set(map(nfc, self.videos.splits))))
        database.create_collation("splits", partial(_order, read_as))
        kinds = {**dict.fromkeys(COLUMNS, ""), "split": " collate splits"}
        own = " numeric"  # '01' means the number where a cell of the user is one
        names = ", ".join(_quoted(name) + kinds.get(name, own) for name in self.columns)
        asked = ", ".join("?" for _ in (KEY, *self.columns))
        database.execute(f"create table videos ({KEY} integer primary key, {names})")
        rows = zip(range(len(self.videos)), *self._cells(), strict=True)
        database.executemany(f"insert into videos values ({asked})", rows)  # noqa: S608 - its own question marks
        return database

    def _cells(self) -> list[Iterable[Cell]]:
        """Return the cells of each column."""
        videos, extra = self.videos, self.videos.extra or {}
        nothing: Sequence[float | None] = [None] * len(videos)
        start, end = zip(*videos.times, strict=True) if videos.times else (nothing, nothing)
        texts = [map(nfc, column) for column in (videos.ids, videos.paths, videos.labels, videos.splits)]
        own: list[Iterable[Cell]] = [*texts, start, end, told_durations(videos)]
        return own + [map(_value, extra[name]) for name in self.columns[len(COLUMNS) :]]


def told_durations(videos: VideoColumns) -> list[float | None]:
    """Return the seconds of each video, (V,): of its part, of the user's column, or of its rows; None if unknown.

    A cell of the column that is not a length, such as 'long', tells nothing.
    """
    times = videos.times or [(None, None)] * len(videos)
    found = [None if end is None else end - (start or 0.0) for start, end in times]
    extra = videos.extra or {}
    for known in (map(seconds_in, extra.get("duration", ())), videos.durations or ()):
        found = [cell if own is None else own for own, cell in zip_longest(found, known)]
    return found


def _order(read_as: Callable[[str], str], one: str, other: str) -> int:
    """Return -1, 0 or 1 as SQLite wants it for two names of splits."""
    one, other = read_as(one), read_as(other)
    return (one > other) - (one < other)


def _number_or_text(value: str | float, *, of_time: bool) -> str | float:
    """Return what a value of a filter is compared as: a number if its text means one."""
    if not isinstance(value, str):
        return value
    meant = seconds_in(value) if of_time else _value(value)
    return value if meant is None else meant


def _value(cell: str) -> Cell:
    """Return what a cell of a column of the user stands for: a number, a text, or None if it is empty."""
    if not cell:
        return None
    return float(cell) if NUMBER.fullmatch(cell) else nfc(cell)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _parsed(expression: str, columns: Sequence[str]) -> tuple[str, list[str | float]]:
    """Return the condition, with ?1, ?2, ... for the values, and the values. DataError if it is not a filter."""
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
            parts.append(_name(token["name"], expression, columns))
        elif token["sign"]:
            parts.append(token["sign"])
        else:
            values.append(float(token["number"]) if token["number"] else _unquoted(token["text"]))
            parts.append(f"?{len(values)}")
    return " ".join(parts), values


def _without_brackets(condition: str) -> str:
    """Return a condition in which no column alone stands in brackets, but for the list of an `in`."""
    while (bare := IN_BRACKETS.sub(r"\1", condition)) != condition:
        condition = bare
    return condition


def _of_one_type(condition: str, values: list[str | float]) -> str:
    """Return a condition that compares the order of numbers with numbers alone, and that of texts with texts.

    SQLite takes each text to be more than each number. Values in quotes that mean a number become one.
    """

    def asked(found: re.Match[str]) -> str:
        column = found["column"]
        if column.strip('"') in TEXTS:
            return found[0]
        places = [int(place) - 1 for place in re.findall(r"\?(\d+)", found[0])]
        for place in places:
            values[place] = _number_or_text(values[place], of_time=column.strip('"') in TIMES)
        wanted = "=" if isinstance(values[places[0]], str) else "!="
        return found[0].replace(column, f"iif(typeof({column}) {wanted} 'text', {column}, null)")

    return VALUE_FIRST.sub(asked, COLUMN_FIRST.sub(asked, condition))


def _name(name: str, expression: str, columns: Sequence[str]) -> str:
    if name.lower() in WORDS:
        return name.lower()
    known = {column.lower(): column for column in columns}
    if name.lower() not in known:
        raise DataError(
            f"the filter {expression!r} names {name!r}, which is no column{near_names(name, columns)}; expected one of "
            f"{', '.join(columns)}, and texts in quotes, such as 'surfing'"
        )
    return _quoted(known[name.lower()])


def _unquoted(text: str) -> str:
    return nfc(text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1])
