"""Commands that join, split and thin out stores, and one that shows a video in a store."""

from pathlib import Path
from typing import Any

import click

from framebank.commands.options import PATH, json_option, pairs
from framebank.commands.printing import print_report, table
from framebank.store.counts import counted, first_lines

SHOWN = 10  # of the videos that were removed


@click.command(short_help="Join several stores that were made alike.")
@click.argument("stores", nargs=-1, required=True, type=PATH)
@click.argument("out", type=PATH)
@json_option
def merge(stores: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Copy the videos of STORES, which were made in the same way, into the new or existing store OUT.

    Small shards become large ones, so you can merge a single store into a new one to compact it.

    \b
    framebank store merge monday tuesday week
    """
    from framebank.store.upkeep.merge import merge_stores

    merged = merge_stores(stores, out)
    report = {
        "store": str(out),
        "copied": merged.copied,
        "already_there": merged.already_there,
        "failed": merged.failed,
    }
    copied = counted(merged.copied, "video")
    line = f"{copied} copied, {merged.already_there} already there, {merged.failed} failed -> {out}"
    print_report(report, as_json=as_json, lines=[line])


@click.command(short_help="Copy a store into new ones, by split or label.")
@click.argument("store", type=PATH)
@click.argument("out", type=PATH)
@click.option("--by", type=click.Choice(["split", "label"]), help="Write a store OUT/NAME for each split or label.")
@click.option("--videos", type=PATH, help="A file of video_ids, one for each line: OUT is a store of these videos.")
@json_option
def split(store: Path, out: Path, by: str | None, videos: Path | None, as_json: bool) -> None:
    """Copy STORE into new stores, by split or label, or those of its videos that a file lists.

    \b
    framebank store split bank parts --by split
    framebank store split bank few --videos ids.txt
    """
    from framebank.store import FeatureStore
    from framebank.store.upkeep.merge import split_store
    from framebank.store.upkeep.subsets import parts_by, parts_listed

    if (by is None) == (videos is None):
        raise click.UsageError("expected one of --by and --videos")
    features = FeatureStore(store)
    parts = parts_listed(features, videos, out) if videos else parts_by(features.manifest, str(by), out)
    counts = split_store(features, parts)
    rows = [(str(folder), str(count), str(len(parts[folder]))) for folder, count in counts.items()]
    report = {
        "store": str(store),
        "stores": [{"store": folder, "videos": int(count), "listed": int(listed)} for folder, count, listed in rows],
    }
    print_report(report, as_json=as_json, lines=table(("store", "videos", "listed"), rows))


@click.command(short_help="Remove videos from a store.")
@click.argument("store", type=PATH)
@click.argument("patterns", metavar="[ID]...", nargs=-1)
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="label=run or split=val; of several, all must hold.",
)
@json_option
def rm(store: Path, patterns: tuple[str, ...], conditions: tuple[str, ...], as_json: bool) -> None:
    """Remove videos from STORE: their rows, and their lines in the manifest and in failed.csv.

    An ID can be a pattern in quotes, as in a shell. --where removes the videos that meet all conditions; IDs together
    with --where narrow them down. If an ID or a condition matches no video, nothing is removed.

    \b
    framebank store rm bank juggling/a juggling/b
    framebank store rm bank 'juggling/*'
    framebank store rm bank --where label=juggling --where split=val
    """
    from framebank.store.upkeep.merge import find_videos, remove_videos

    if not patterns and not conditions:
        raise click.UsageError("name the videos to remove: ids, patterns, or --where")
    chosen = find_videos(store, patterns, pairs(conditions, option="--where"))
    embedded = remove_videos(store, chosen)
    report = {"store": str(store), "removed": sorted(chosen), "embedded": embedded}
    line = f"{counted(len(chosen), 'video')} removed from {store}, {embedded} of them embedded"
    print_report(
        report, as_json=as_json, lines=[line, *first_lines((f"removed: {name}" for name in chosen), most=SHOWN)]
    )


@click.command(short_help="Print what a store holds for one video.")
@click.argument("store", type=PATH)
@click.argument("video_id", metavar="ID")
@json_option
def show(store: Path, video_id: str, as_json: bool) -> None:
    """Print what STORE holds for one video: where it comes from, and a line for each of its rows.

    \b
    framebank store show bank juggling/a
    """
    from framebank.store import FeatureStore
    from framebank.store.upkeep.subsets import describe_video

    report = describe_video(FeatureStore(store), video_id)
    print_report(report, as_json=as_json, lines=_show_lines(report))


def _show_lines(report: dict[str, Any]) -> list[str]:
    lines = [
        f"video      {report['video_id']}",
        f"path       {report['path']}",
        f"label      {report['label'] or 'none'}, split {report['split'] or 'none'}",
        f"state      {report['state']}" + (f": {report['reason']}" if report["reason"] else ""),
    ]
    if report["state"] != "embedded":
        return lines
    streams = ", ".join(f"{name} {tuple(shape)}" for name, shape in report["streams"].items())
    columns = ("timestamps", "indices", "views", "clips", "norms")
    cells = [
        (str(row), f"{seconds:.3f} s", str(frame), str(view), str(clip), f"{norm:.3f}")
        for row, (seconds, frame, view, clip, norm) in enumerate(zip(*(report[c] for c in columns), strict=True))
    ]
    header = ("row", "time", "frame", "view", "clip", "norm")
    return [*lines, f"decoder    {report['decoder']}", f"streams    {streams}", *table(header, cells)]
