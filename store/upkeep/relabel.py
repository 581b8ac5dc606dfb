"""Relabelling: labels, splits and groups set by hand, which no extraction changes, and which can be undone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from framebank.store.counts import listed
from framebank.store.errors import DataError, near_names
from framebank.store.formats.table import read_table
from framebank.store.upkeep.history import BY_HAND, NAME, History, Setting, with_value
from framebank.store.upkeep.repair import writing
from framebank.store.upkeep.rewrite import change_store
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.selection import matching
from framebank.store.videos.spelling import nfc
from framebank.store.videos.split_names import usual_splits

ID = "video_id"


@dataclass(frozen=True)
class Relabelled:
    """The values that were set: before and now, by video_id and column; and those that were the same before.

    `moved` are videos whose values come from before they moved.
    """

    before: Mapping[Setting, str]
    now: Mapping[Setting, str]
    same: int = 0
    moved: tuple[str, ...] = ()


def relabel_store(folder: Path, values: Mapping[Setting, str]) -> Relabelled:
    """Set values by hand, all of them or none; values that are the same already do not change.

    DataError, before anything is written, for a video that the store does not list, or an impossible value.
    """
    with writing(folder):
        manifest = Manifest.read_csv(folder / "manifest.csv")
        old = _old_values(folder, manifest, values)
        new = {key: value for key, value in values.items() if old[key] != value}
        before = {key: old[key] for key in new}
        if new:
            _write(folder, manifest, new, History.read(folder).with_set(new, before))
    return Relabelled(before, new, same=len(values) - len(new))


def undo_relabel(folder: Path) -> Relabelled:
    """Undo the last change by hand that was not undone; DataError if none is left."""
    with writing(folder):
        manifest = Manifest.read_csv(folder / "manifest.csv")
        try:
            known = History.read(folder)
            history, values = known.undone()
        except DataError as error:
            raise DataError(f"{folder}: {error}") from error
        there = {video.video_id for video in manifest.videos}
        values = {key: value for key, value in values.items() if key[0] in there}
        before = _old_values(folder, manifest, values)
        _write(folder, manifest, values, history)
    moved = sorted(known.moved_since & {name for name, _ in values})
    return Relabelled(before, values, moved=tuple(moved))


def read_settings(texts: Sequence[str], manifest: Manifest, *, column: str = "label") -> dict[Setting, str]:
    """Return the values of "ID=VALUE" texts; ID is an id or a pattern; the later of two for one video counts.

    DataError for a text without "=", or whose ID meets no video.
    """
    require_column(column)
    known = {video.video_id: video for video in manifest.videos}
    found: dict[Setting, str] = {}
    for text in texts:
        marks = [place for place, letter in enumerate(text) if letter == "="]
        if not marks:
            raise DataError(f"{text!r} sets nothing; expected ID=VALUE, such as 'run/*=jogging'")
        exact = next((place for place in marks if text[:place] in known), marks[0])  # an id may have a "=" itself
        try:
            met = matching([text[:exact]], known)
        except DataError as error:
            raise DataError(f"{text!r}: the store {error}") from error
        found |= {(name, column): nfc(text[exact + 1 :]).strip() for name in met}
    return _with_splits(found, manifest, where="--set")


def read_values(path: Path, manifest: Manifest) -> tuple[dict[Setting, str], list[str]]:
    """Return the values in a CSV of video_id and any of label, split and group, and its unused columns.

    An empty cell leaves a value as it is. DataError for a file without these columns, or an unknown video.
    """
    table = read_table(path, wanted=(ID,))
    used = [name for name in table.columns if name in BY_HAND]
    if ID not in table.columns or not used:
        got = listed(table.columns, most=10) or "none"
        raise DataError(f"{path}: its columns are {got}; expected {ID} and any of {', '.join(BY_HAND)}")
    known = {video.video_id for video in manifest.videos}
    found: dict[Setting, str] = {}
    for row in table.rows:
        name = nfc(row.cells[ID])
        if name not in known:
            raise DataError(f"{table.where(row)}: there is no video {name!r}{near_names(name, known)}")
        for column in used:
            value = nfc(row.cells[column]).strip()
            if value and found.setdefault((name, column), value) != value:
                raise DataError(
                    f"{table.where(row)}: the {column} of {name!r} is {value!r}, but different in an earlier line"
                )
    return _with_splits(found, manifest, where=path), [name for name in table.columns if name not in (ID, *used)]


def _with_splits(values: Mapping[Setting, str], manifest: Manifest, *, where: object) -> dict[Setting, str]:
    """Return the values with the names of splits as a CSV of videos has them, or as the store has them already."""
    given = {value for (_, column), value in values.items() if column == "split"}
    read_as = usual_splits(given, where=where, there=manifest.split_sizes)
    return {key: read_as[value] if key[1] == "split" else value for key, value in values.items()}


def require_column(column: str) -> None:
    """Refuse a column that cannot be set by hand: DataError."""
    if column not in BY_HAND:
        raise DataError(f"the column {column!r} cannot be set by hand; expected one of {', '.join(BY_HAND)}")


def _old_values(folder: Path, manifest: Manifest, values: Mapping[Setting, str]) -> dict[Setting, str]:
    videos = {video.video_id: video for video in manifest.videos}
    strange = next((name for name, _ in values if name not in videos), None)
    if strange is not None:
        raise DataError(f"{folder}: has no video {strange!r}{near_names(strange, videos)}")
    return {(name, column): str(getattr(videos[name], column)) for name, column in values}


def _write(folder: Path, manifest: Manifest, values: Mapping[Setting, str], history: History) -> None:
    videos = {video.video_id: video for video in manifest.videos}
    for (name, column), value in values.items():
        videos[name] = with_value(videos[name], column, value)
    texts = {"manifest.csv": Manifest(tuple(videos.values())).text(), NAME: history.text()}
    change_store(folder, texts=texts)
