"""Commands that set labels by hand, and that compare a store with its folder."""

from pathlib import Path
from typing import Any

import click

from framebank.commands.options import PATH, json_option
from framebank.commands.printing import print_report
from framebank.library.drift import drift_lines
from framebank.store.counts import counted, first_lines, listed

SHOWN = 10  # of the values that were set


@click.command(short_help="Set labels, splits or groups of videos by hand.")
@click.argument("store", type=PATH)
@click.argument("file", type=PATH, required=False)
@click.option("--set", "settings", multiple=True, metavar="ID=VALUE", help="ID is a video_id, or a pattern: 'run/*'.")
@click.option("--column", default="label", help="What --set sets: label, split, or another column of the manifest.")
@click.option("--undo", is_flag=True, help="Undo the last change that was made by hand.")
@json_option
def relabel(store: Path, file: Path | None, settings: tuple[str, ...], column: str, undo: bool, as_json: bool) -> None:
    """Set labels or splits in STORE by hand, from FILE, a CSV of video_id and label or split, or with --set.

    A value that you set by hand stays when the folder is extracted again; `extract` says where the folder differs. An
    empty cell of FILE leaves a value as it is. STORE/history.csv has every change, with its time.

    \b
    framebank store relabel bank labels.csv
    framebank store relabel bank --set 'run/*=jogging' --set wave/a=waving
    framebank store relabel bank --set 'run/*=test' --column split
    framebank store relabel bank --undo
    """
    from framebank.store.features import read_manifest
    from framebank.store.upkeep.relabel import read_settings, read_values, relabel_store, require_column, undo_relabel

    if (file is not None) + bool(settings) + undo != 1:
        raise click.UsageError("give one of FILE, --set and --undo")
    unused: list[str] = []
    if undo:
        done = undo_relabel(store)
    else:
        require_column(column)
        manifest = read_manifest(store)
        if file:
            values, unused = read_values(file, manifest)
        else:
            values = read_settings(settings, manifest, column=column)
        done = relabel_store(store, values)
    changes = [
        {"video_id": name, "column": column, "old": done.before[name, column], "new": value}
        for (name, column), value in done.now.items()
    ]
    report = {"store": str(store), "undone": undo, "changed": changes, "same": done.same, "columns_not_used": unused}
    report["moved"] = list(done.moved)
    print_report(report, as_json=as_json, lines=_lines(report))


def _lines(report: dict[str, Any]) -> list[str]:
    changes = report["changed"]
    what = "set back" if report["undone"] else "set by hand"
    same = f", {report['same']} were the same before" if report["same"] else ""
    lines = [f"{counted(len(changes), 'value')} {what} in {report['store']}{same}"]
    told = (f"{one['video_id']}: {one['column']} {one['old'] or 'none'} -> {one['new'] or 'none'}" for one in changes)
    lines += first_lines(told, most=SHOWN)
    if report["moved"]:
        lines.append(
            f"moved since that change: {listed(report['moved'])}; the values are those of before, "
            "and `framebank extract` takes those of the folder"
        )
    if report["columns_not_used"]:
        lines.append(f"columns that were not used: {', '.join(report['columns_not_used'])}")
    return lines


@click.command(short_help="Show how the files of a store changed.")
@click.argument("store", type=PATH)
@click.argument("videos", nargs=-1, type=PATH)
@json_option
def status(store: Path, videos: tuple[Path, ...], as_json: bool) -> None:
    """Show how the files that STORE was made from have changed. The store stays as it is.

    With VIDEOS, as for `extract`, it also shows what is new in them, and which of their videos moved.

    \b
    framebank store status bank
    framebank store status bank videos/
    """
    from framebank.store.upkeep.status import store_status

    report = store_status(store, videos)
    print_report(report, as_json=as_json, lines=_status_lines(report))


def _status_lines(report: dict[str, Any]) -> list[str]:
    return [
        f"{counted(report['videos'], 'video')}: {report['same']} as embedded, {report['new']} new, "
        f"{report['failed']} failed before",
        *drift_lines(report["drift"], refreshed=False, pruned=False),
    ]
