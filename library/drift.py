"""Lines that say how the files of a folder differ from the files that a store was made from."""

from collections.abc import Iterable, Mapping
from typing import Any

from framebank.store.counts import counted

SHOWN = 3  # names in one line; --json lists all of them


def drift_lines(
    drift: Mapping[str, Any], *, refreshed: bool, pruned: bool, refresh: str = "--refresh", prune: str = "--prune"
) -> list[str]:
    """Return one line for each kind of change of the files, or no line if nothing changed.

    `refresh` is what the reader can give to embed changed videos again. `prune` removes videos whose files are gone.
    """
    lines = []
    if drift["changed"]:
        what = "" if refreshed else f", {refresh} embeds them again; until then they keep their old rows"
        lines.append(f"changed: {len(drift['changed'])}{what} ({_some(drift['changed'])})")
    if drift["maybe_changed"]:
        what = "" if refreshed else f"; {refresh} embeds them again"
        lines.append(
            f"maybe changed: {len(drift['maybe_changed'])}, their files are newer than their rows, and an earlier "
            f"version kept nothing to compare{what} ({_some(drift['maybe_changed'])})"
        )
    if drift["moved"]:
        names = [f"{old} -> {new}" for old, new in drift["moved"].items()]
        lines.append(f"moved: {len(names)}, they keep their rows ({_some(names)})")
    kept = drift["in_empty_folders"]
    gone = [name for name in drift["gone"] if name not in set(kept)]
    if gone:
        what = "they were removed from the store" if pruned else f"{prune} removes them from the store"
        lines.append(f"gone: {len(gone)}, {what} ({_some(gone)})")
    if kept:
        lines.append(
            f"gone: {len(kept)}, their folder is empty, as where a disk is not mounted; {prune} removes them from the "
            f"store when the folder is removed too ({_some(kept)})"
        )
    if drift["unreadable"]:
        names = drift["unreadable"]
        lines.append(f"not looked at: {len(names)}, their files cannot be read ({_some(names)})")
    return [*lines, *_by_hand_lines(drift["set_by_hand"])]


def _by_hand_lines(found: Iterable[Mapping[str, str]]) -> list[str]:
    by_column: dict[str, list[str]] = {}
    for one in found:
        by_column.setdefault(one["column"], []).append(f"{one['video_id']}: {one['given']}")
    return [
        f"set by hand: {counted(len(names), 'video')} with another {column} here; what was set by hand stays "
        f"({_some(names)})"
        for column, names in by_column.items()
    ]


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
