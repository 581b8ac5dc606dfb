"""LabelSet: the classes in their order, with their descriptions."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from framebank.store.counts import counted, listed
from framebank.store.errors import DataError, warn
from framebank.store.formats.document import MAX_BYTES, Pairs, parse_json
from framebank.store.formats.table import Table, first_columns, parse_table
from framebank.store.formats.text import is_whole, lines_of, read_text
from framebank.store.formats.typed import typed, typed_init
from framebank.store.videos.spelling import nfc

ID_NAME = ("id", "name")
NUMBER = re.compile(r"c?\d{1,18}[ ,\t]+(?=\S)")  # UCF101's "1 ApplyEyeMakeup", Charades' "c000 Holding some clothes"

NUM_SHOWN = 5  # of the classes that are written in several ways

TEXT_KINDS = ("names", "descriptions")  # what stands for a class


@typed_init
@dataclass(frozen=True)
class LabelSet:
    """The class names in order, with the descriptions of those that have any."""

    names: tuple[str, ...]
    descriptions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that there is a class, and that each appears once."""
        if not self.names:
            raise DataError("a label set needs at least one class name")
        seen: dict[str, str] = {}
        for name in self.names:
            text = class_text(name)
            if not text:
                raise DataError(f"the class name {name!r} is blank")
            if text in seen:
                raise DataError(f"the class {name!r} is listed twice (first as {seen[text]!r})")
            seen[text] = name

    @classmethod
    def of(cls, labels: Sequence[str]) -> "LabelSet":
        """Return the classes in the labels of videos; one class may be written in several ways.

        "Walk", "walk" and "WALK" become the spelling that comes first, with a DataWarning.
        """
        forms = _forms(labels)
        warn_of_forms(labels)
        return cls(tuple(first for first, *_ in forms.values()))

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Return the position of a class; spelling in CamelCase, with underscores or in words is the same class."""
        return self.positions[class_text(name)]

    @cached_property
    def positions(self) -> dict[str, int]:
        """The position of each class by its text."""
        return {class_text(name): position for position, name in enumerate(self.names)}

    @property
    def described(self) -> bool:
        """Whether every class has a description."""
        return all(self.descriptions.get(name) for name in self.names)

    def require_covers(self, names: Sequence[str], *, mine: object, theirs: object) -> None:
        """Refuse labels that are not among the classes: DataError that names the first few."""
        positions = self.positions
        strange = sorted({name for name in names if class_text(name) not in positions})
        if strange:
            shown = listed(map(repr, strange), most=3)
            what = "a label" if len(strange) == 1 else "labels"
            raise DataError(f"{mine} has {counted(len(self), 'class', 'classes')} without {shown}, {what} of {theirs}")

    @classmethod
    @typed
    def read(cls, path: str | Path) -> "LabelSet":
        """Read a text file of names, one a line, or JSON: a list of names, or names with their descriptions."""
        path = Path(path)
        if not path.exists():
            raise DataError(f"{path}: no such labels file")
        text = nfc(read_text(path, what="a labels file", most=MAX_BYTES))
        try:
            labels = _from_json(text, path) if path.suffix == ".json" else cls(_from_lines(text, path))
        except DataError as error:
            raise error if str(error).startswith(str(path)) else DataError(f"{path}: {error}") from error
        return labels


def read_class_numbers(path: str | Path) -> dict[int, str]:
    """Read a class list as `LabelSet.read` does, by the numbers that lists of videos call the classes by.

    They are the numbers the file gives ("1 ApplyEyeMakeup", "c092 Drinking from a cup", the column id), or else the
    positions from 0. DataError if two classes have the same number.
    """
    path = Path(path)
    names = LabelSet.read(path).names
    numbers: list[int] = list(range(len(names)))
    if path.suffix != ".json":
        text = nfc(read_text(path))
        lines = lines_of(text, where=path)
        if table := id_name_table(path, text):
            given = [row.cells["id"] for row in table.rows]
            strange = next((number for number in given if not is_whole(number.strip())), None)
            if strange is not None:
                raise DataError(f"{path}: the id {strange!r} is not a number")
            numbers = [int(number) for number in given]
        elif all(NUMBER.match(line) for line in lines):
            numbers = [int(re.sub(r"\D.*", "", line.removeprefix("c"))) for line in lines]
    twice = [number for number, count in Counter(numbers).items() if count > 1]
    if twice:
        raise DataError(f"{path}: the number {twice[0]} stands for two classes")
    return dict(zip(numbers, names, strict=True))


def warn_of_forms(labels: Sequence[str]) -> None:
    """Warn about labels that are one class written in several ways, such as "Walk" and "walk"."""
    several = [forms for forms in _forms(labels).values() if len(forms) > 1]
    if several:
        shown = listed((", ".join(map(repr, forms)) for forms in several), most=NUM_SHOWN, mark="; ")
        classes = f"{counted(len(several), 'class', 'classes')} {'is' if len(several) == 1 else 'are'}"
        warn(f"{classes} written in several ways, which count as one class: {shown}")


def _forms(labels: Sequence[str]) -> dict[str, list[str]]:
    """The ways each class is written, by its text."""
    forms: dict[str, list[str]] = {}
    for label in dict.fromkeys(labels):
        forms.setdefault(class_text(label), []).append(label)
    return forms


def class_text(name: str) -> str:
    """Return a class name as words: "PlayingPiano", "playing_piano" and "Playing piano" are "playing piano".

    Names that differ in their Unicode form are one class.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", nfc(name).strip())
    return " ".join(words.replace("_", " ").lower().split())


def id_name_table(path: Path, text: str) -> Table | None:
    """Return a class list with the columns id and name as its table, as Kinetics' and ViFi-CLIP's; None for another."""
    if sorted(first_columns(text)) != sorted(ID_NAME):
        return None
    return parse_table(path, text)


def _from_lines(text: str, path: Path) -> tuple[str, ...]:
    lines = lines_of(text, where=path)
    if table := id_name_table(path, text):
        return tuple(row.cells["name"] for row in table.rows)
    numbered = all(NUMBER.match(line) for line in lines)
    return tuple(NUMBER.sub("", line, count=1) if numbered else line for line in lines)


def _from_json(text: str, path: Path) -> LabelSet:
    expected = "expected a list of names, or an object of name to list of descriptions"
    found = parse_json(text, where=path, expected=expected, pairs=True)
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        return LabelSet(tuple(found))
    if not isinstance(found, Pairs):
        raise DataError(f"{path}: holds a {type(found).__name__}; {expected}")
    if found.pairs and all(is_whole(str(number)) for _, number in found.pairs):  # Something-Something's name to number
        return LabelSet(tuple(name for name, _ in sorted(found.pairs, key=lambda pair: int(pair[1]))))
    descriptions = [(name, [given] if isinstance(given, str) else given) for name, given in found.pairs]
    for name, given in descriptions:
        if not isinstance(given, list) or not all(isinstance(one, str) and one.strip() for one in given):
            raise DataError(f"{path}: the descriptions of {name!r} are not a list of sentences; {expected}")
    return LabelSet(tuple(name for name, _ in descriptions), {name: tuple(given) for name, given in descriptions})
