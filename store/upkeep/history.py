"""History: the labels, splits and groups that were set by hand, each change with its time, old and new value."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from framebank.store.errors import DataError
from framebank.store.files.replacing import current
from framebank.store.formats.records import read_records
from framebank.store.videos.video import Video

NAME = "history.csv"
COLUMNS = ("change", "time", "action", "video_id", "column", "old", "new")

# What can be set by hand.
BY_HAND = tuple(one.name for one in fields(Video) if one.name in ("label", "split", "group"))

CHANGED = (*BY_HAND, "video_id")  # a move or a removal is of the video itself

Setting = tuple[str, str]  # a video_id and a column


def with_value(video: Video, column: str, value: str) -> Video:
    """Return a video with another label, split or group; DataError where the value cannot be one."""
    changed: dict[str, Any] = {column: value}
    return replace(video, **changed)


@dataclass(frozen=True)
class Change:
    """One line: a change of one column of one video. Lines with the same `number` were written together.

    `action` is "set" or "undo"; "move", where `new` is the video's other video_id; or "remove".
    """

    number: int
    time: str
    action: str
    video_id: str
    column: str
    old: str
    new: str


@dataclass
class _Active:
    """A change by hand that was not undone, under the name that its video has now."""

    number: int
    video_id: str
    column: str
    old: str
    new: str


@dataclass(frozen=True)
class History:
    """The changes of a store, in their order."""

    changes: tuple[Change, ...] = field(default=())

    @classmethod
    def read(cls, folder: Path) -> "History":
        """Return the history in a store's folder, empty if there is none; DataError if it cannot be read."""
        path = current(folder, NAME)
        if not path.exists():
            return cls()
        found = read_records(path, COLUMNS, what="a history of changes")
        rest = [found.column(name) for name in COLUMNS[1:]]
        changes = tuple(Change(*row) for row in zip(found.wholes(COLUMNS[0]), *rest, strict=True))
        strange = next((one for one in changes if one.action not in _STEPS or one.column not in CHANGED), None)
        if strange:
            raise DataError(
                f"{path}: cannot be read as a history of changes: it has {strange.action!r} of a "
                f"{strange.column!r}; expected {', '.join(_STEPS)} of {', '.join(CHANGED)}"
            )
        return cls(changes)

    @property
    def by_hand(self) -> dict[Setting, str]:
        """The value of each column of each video that was set by hand and not undone."""
        return {(one.video_id, one.column): one.new for one in self._active()}

    def with_set(self, values: Mapping[Setting, str], old: Mapping[Setting, str]) -> "History":
        """Return this history with values that are set by hand now."""
        return self._with("set", ((*key, old[key], new) for key, new in values.items()))

    def with_moved(self, renamed: Mapping[str, str]) -> "History":
        """Return this history with the new video_ids of some videos."""
        known = {one.video_id for one in self._active()}
        return self._with("move", ((old, "video_id", old, new) for old, new in renamed.items() if old in known))

    def with_removed(self, video_ids: Iterable[str]) -> "History":
        """Return this history without removed videos: their values set by hand are forgotten."""
        known = {one.video_id for one in self._active()}
        return self._with("remove", ((one, "video_id", one, "") for one in video_ids if one in known))

    def undone(self) -> tuple["History", dict[Setting, str]]:
        """Return this history with the last change by hand undone, and the values that are to be set again for it.

        DataError if no change is left to undo.
        """
        active = self._active()
        if not active:
            raise DataError("there is no change by hand left to undo")
        last = max(one.number for one in active)
        earlier = {(one.video_id, one.column): one.new for one in active if one.number < last}
        undone = [one for one in active if one.number == last]
        values = {(one.video_id, one.column): earlier.get((one.video_id, one.column), one.old) for one in undone}
        rows = [(one.video_id, one.column, one.new, values[one.video_id, one.column]) for one in undone]
        return self._with("undo", rows), values

    @property
    def moved_since(self) -> frozenset[str]:
        """The videos that have got their video_id since the last change by hand that was not undone."""
        last = max((one.number for one in self._active()), default=0)
        return frozenset(one.new for one in self.changes if one.action == "move" and one.number > last)

    def text(self) -> str:
        """Return the CSV that `read` reads."""
        out = io.StringIO()
        rows = [(one.number, one.time, one.action, one.video_id, one.column, one.old, one.new) for one in self.changes]
        csv.writer(out, lineterminator="\n").writerows([COLUMNS, *rows])
        return out.getvalue()

    def _with(self, action: str, rows: Iterable[tuple[str, str, str, str]]) -> "History":
        number = self.changes[-1].number + 1 if self.changes else 1
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return History((*self.changes, *(Change(number, now, action, *row) for row in rows)))

    def _active(self) -> list[_Active]:
        """Return the changes by hand that hold, in their order."""
        active: list[_Active] = []
        for (number, action), lines in groupby(self.changes, key=lambda change: (change.number, change.action)):
            active = _STEPS[action](active, number, list(lines)) if action in _STEPS else active
        return active


def _set(active: list[_Active], number: int, lines: Sequence[Change]) -> list[_Active]:
    return active + [_Active(number, one.video_id, one.column, one.old, one.new) for one in lines]


def _undo(active: list[_Active], number: int, lines: Sequence[Change]) -> list[_Active]:
    last = max((one.number for one in active), default=0)
    return [one for one in active if one.number < last]


def _move(active: list[_Active], number: int, lines: Sequence[Change]) -> list[_Active]:
    renamed = {one.video_id: one.new for one in lines}
    for one in active:
        one.video_id = renamed.get(one.video_id, one.video_id)
    return active


def _remove(active: list[_Active], number: int, lines: Sequence[Change]) -> list[_Active]:
    gone = {one.video_id for one in lines}
    return [one for one in active if one.video_id not in gone]


_STEPS: dict[str, Callable[[list[_Active], int, Sequence[Change]], list[_Active]]] = {
    "set": _set,
    "undo": _undo,
    "move": _move,
    "remove": _remove,
}
