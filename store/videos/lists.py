"""Official lists of videos: their rows with name, class, split and times."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.formats.document import parse_json, shown
from framebank.store.formats.table import Row, Table, first_columns, parse_table
from framebank.store.formats.text import lines_of, read_text
from framebank.store.videos.labels import NUMBER, id_name_table
from framebank.store.videos.spelling import nfc
from framebank.store.videos.split_names import usual_split
from framebank.store.videos.video import LABEL_SEPARATOR, SPLIT_NAMES


@dataclass(frozen=True)
class ListedVideo:
    """One row of a list; a value that the list does not give is empty or None.

    `key` is the path or name of the video as the list writes it, `other_key` a second possible name. `label` is the
    name of its class. `codes` are its classes as the list numbers them: "12", Charades' "c092", a few-shot list's
    "train8". `start` and `end` are seconds of the video that the row was cut from. `line` is a row of a plain list as
    it stands: numbers at its end may be part of the name (`framebank.store.videos.row_names`).
    """

    key: str
    label: str = ""
    codes: tuple[str, ...] = ()
    split: str = ""
    start: float | None = None
    end: float | None = None
    other_key: str = ""
    line: str = ""


@dataclass(frozen=True)
class ListFile:
    """A list as text."""

    path: Path
    text: str

    @cached_property
    def lines(self) -> list[str]:
        """The lines that are not blank."""
        return lines_of(self.text, where=self.path)

    @cached_property
    def table(self) -> Table:
        """The list as a CSV with any separator."""
        return parse_table(self.path, self.text)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The first line as the columns of a CSV."""
        return first_columns(self.text)

    def rows(self) -> list[Row]:
        """The rows of a CSV with its columns; DataError if one is cut short."""
        self.table.require_full_rows()
        return list(self.table.rows)


@dataclass(frozen=True)
class Format:
    """A kind of list: whether a file is one, and its rows."""

    fits: Callable[[ListFile], bool]
    read: Callable[[ListFile], list[ListedVideo]]


def list_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that the names stand for: a name with a star stands for all that it matches (HMDB51 has one list
    for each class).

    DataError if it matches none.
    """
    found: list[Path] = []
    for path in paths:
        pattern = "*" in path.name and not path.exists()
        there = sorted(path.parent.glob(path.name)) if pattern else [path]
        if not there:
            raise DataError(f"{path}: matches no file")
        found += there
    return found


def read_list(path: Path) -> list[ListedVideo]:
    """Return the rows of an official list, of the first of `FORMATS` that it fits; DataError if it cannot be read.

    A row without a split takes the one in the name of the list ("trainlist01.txt", "base_train.txt"), if there is one.
    """
    file = _open(path)
    if _is_class_list(file):
        raise DataError(f"{path}: is a list of classes; expected a list of videos")
    name = format_of(file)
    rows = FORMATS[name].read(file)
    if not rows:
        raise DataError(f"{path}: lists no video")
    strange = next((row.label for row in rows if LABEL_SEPARATOR in row.label), None)
    if strange:
        raise DataError(f"{path}: the class {strange!r} has a ';', which stands between the labels of a video")
    return rows


def format_of(file: ListFile) -> str:
    """Return the name of the first of `FORMATS` that a list fits; "plain" fits all."""
    return next(name for name, kind in FORMATS.items() if kind.fits(file))


def is_class_list(path: Path) -> bool:
    """Whether a file lists classes and not videos: by its name ("classInd.txt", "labels.csv") or numbered names."""
    return _is_class_list(_open(path))


def split_in_name(path: Path) -> str:
    """Return the split that a file's name says in any place, "" where it says none or more than one."""
    words = re.findall("[a-z]+", re.sub("(?<=[a-z])(?=[A-Z])", " ", path.stem).lower())
    bare = {re.sub("(lists?|sets?|splits?|data|files?|videos?)$", "", word) for word in words}
    found = {SPLIT_NAMES[word] for word in bare if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else ""


def _open(path: Path) -> ListFile:
    if not path.exists():
        raise DataError(f"{path}: no such split file")
    if path.is_dir():
        raise DataError(
            f"{path}: is a folder; expected a list, or a pattern of some in quotes: '{path.name}/*split1.txt'"
        )
    return ListFile(path, nfc(read_text(path)))


def _is_class_list(file: ListFile) -> bool:
    if split_in_name(file.path):
        return False
    if re.search("label|class|categor", file.path.stem.lower()) or id_name_table(file.path, file.text):
        return True
    # A numbered video ("78687 12") is not a numbered class ("1 ApplyEyeMakeup").
    return bool(file.lines) and all(NUMBER.match(line) and re.search("[^\\W\\d]", line[1:]) for line in file.lines)


def _kinetics(file: ListFile) -> list[ListedVideo]:
    """label, youtube_id, time_start, time_end, split: the trimmed file is <id>_<start>_<end>.mp4, or <id>.mp4."""
    rows = []
    for line in file.rows():
        where, row = file.table.where(line), line.cells
        start, end = (_seconds_in(file.table, line, column) for column in ("time_start", "time_end"))
        split = usual_split(row.get("split", ""))
        if split and split not in SPLIT_NAMES.values():
            raise DataError(f"{where}: the split {split!r} is neither train, val nor test")
        key = f"{row['youtube_id']}_{int(start):06d}_{int(end):06d}"
        split = split or split_in_name(file.path)
        rows.append(ListedVideo(key, row.get("label", ""), (), split, start, end, other_key=row["youtube_id"]))
    return rows


def _charades(file: ListFile) -> list[ListedVideo]:
    split = split_in_name(file.path)
    return [
        ListedVideo(row["id"], codes=tuple(dict.fromkeys(code for code, _, _ in actions)), split=split)
        for row, actions in _charades_rows(file)
    ]


def read_charades_segments(path: Path) -> list[ListedVideo]:
    """Return one row for each action of a Charades list, with its times; DataError if it is another list.

    An action that outlasts its video ends with it; one that begins after it has no frame and is left out.
    """
    file = _open(path)
    if format_of(file) != "charades":
        raise DataError(f"{path}: is not a list of Charades; expected a CSV with the columns id, actions and length")
    split = split_in_name(path)
    return [
        ListedVideo(row["id"], codes=(code,), split=split, start=start, end=min(end, float(row["length"])))
        for row, actions in _charades_rows(file)
        for code, start, end in actions
        if start < min(end, float(row["length"]))
    ]


def _charades_rows(file: ListFile) -> list[tuple[dict[str, str], list[tuple[str, float, float]]]]:
    """The rows, each with its actions (code, start, end) of "c092 11.90 21.20;c147 0.00 12.60"."""
    rows = []
    for line in file.rows():
        where, row = file.table.where(line), line.cells
        actions = []
        for action in filter(None, row["actions"].split(";")):
            parts = action.split()
            if len(parts) != 3 or not re.fullmatch(r"c\d{1,18}", parts[0]):
                raise DataError(f"{where}: the action {action!r} is not a class, a start and an end")
            actions.append((parts[0], _seconds(parts[1], where=where), _seconds(parts[2], where=where)))
        _seconds_in(file.table, line, "length")
        rows.append((row, actions))
    return rows


def _something(file: ListFile) -> list[ListedVideo]:
    """Something-Something v2: the class is the template without its brackets; a test list has none."""
    found = parse_json(file.text, where=file.path, expected="expected a list of videos")
    if not isinstance(found, list) or not all(isinstance(row, dict) and "id" in row for row in found):
        raise DataError(f"{file.path}: expected a list of objects with an id")
    strange = next(
        (row for row in found if not all(isinstance(row.get(k, ""), str | int) for k in ("id", "template"))), None
    )
    if strange:
        raise DataError(f"{file.path}: lists {shown(strange)}; expected an id and a template that are strings")
    split = split_in_name(file.path)
    return [
        ListedVideo(str(row["id"]), str(row.get("template", "")).replace("[", "").replace("]", ""), split=split)
        for row in found
    ]


def _hmdb51(file: ListFile) -> list[ListedVideo]:
    """HMDB51's own, one for each class: 1 is for training, 2 for testing, 0 for neither."""
    label = re.sub(HMDB51_NAME, "", file.path.stem)
    rows = [line.rsplit(maxsplit=1) for line in file.lines]
    return [ListedVideo(key, label, (), {"1": "train", "2": "test", "0": ""}[use]) for key, use in rows]


def _few_shot(file: ListFile) -> list[ListedVideo]:
    """Few-shot lists: "train8/78687" is the split, the number that the class has in it, and the path."""
    rows = [line.partition("/") for line in file.lines]
    named = split_in_name(file.path)
    listed = [ListedVideo(key.lstrip("/"), "", (code,), code.rstrip("0123456789")) for code, _, key in rows]
    other = next((row.split for row in listed if named and row.split != named), None)
    if other:
        raise DataError(f"{file.path}: is named after {named}, but lists videos for {other}")
    return listed


def _plain(file: ListFile) -> list[ListedVideo]:
    """Paths ("Class/v.avi 1", "Class/v 408 0"), perhaps with the number of frames, perhaps with that of the class."""
    split = split_in_name(file.path)
    return [replace(without_numbers(line, count=None), split=split, line=line) for line in file.lines]


def without_numbers(line: str, *, count: int | None) -> ListedVideo:
    """Return a row of a plain list whose last `count` numbers are not part of the name; None for all numbers.

    The last of them is the class. Spaces, commas, semicolons or tabs come before each.
    """
    numbers = list(re.finditer(r"(?:\s*[,;]\s*|\s+)(\d{1,18})(?=(?:(?:\s*[,;]\s*|\s+)\d{1,18})*$)", line))
    taken = numbers if count is None else numbers[len(numbers) - count :]
    if not taken or taken[0].start() == 0:
        return ListedVideo(line.strip('"'))
    return ListedVideo(line[: taken[0].start()].strip('"'), "", (taken[-1][1],))


def _seconds_in(table: Table, row: Row, column: str) -> float:
    found = table.seconds(row, column)
    if found is None or found < 0:
        raise DataError(f"{table.where(row)}: {row.cells[column]!r} is not a number of seconds")
    return found


def _seconds(text: str, *, where: str) -> float:
    if not re.fullmatch(r"\d{1,18}(\.\d+)?", text.strip()):
        raise DataError(f"{where}: {text!r} is not a number of seconds")
    return float(text)


HMDB51_NAME = r"_test_split\d$"
FORMATS = {  # what a name tells comes first: a JSON of one line would be a million columns
    "something": Format(lambda file: file.path.suffix.lower() == ".json", _something),
    "kinetics": Format(lambda file: {"youtube_id", "time_start", "time_end"} <= set(file.columns), _kinetics),
    "charades": Format(lambda file: {"id", "actions", "length"} <= set(file.columns), _charades),
    "hmdb51": Format(
        lambda file: (
            re.search(HMDB51_NAME, file.path.stem) is not None
            and all(re.search(r"\S\s+[012]$", line) for line in file.lines)
        ),
        _hmdb51,
    ),
    "few_shot": Format(lambda file: all(re.match("(train|val|test)[0-9]+/.", line) for line in file.lines), _few_shot),
    "plain": Format(lambda file: True, _plain),
}
