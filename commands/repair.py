"""Commands that check and repair a store."""

import sys
from pathlib import Path

import click

from framebank.commands.options import PATH, json_option
from framebank.commands.printing import print_report
from framebank.store.counts import counted, first_lines, listed

SHOWN = 5  # of the videos to extract again, and of data without a checksum; a large store may have a million


@click.command("verify", short_help="Check all of a store and print a line for each fault.")
@click.argument("store", type=PATH)
@json_option
def verify_store(store: Path, as_json: bool) -> None:
    """Read all of STORE and print a line for each fault; exit with 1 if there is one.

    \b
    framebank store verify bank
    """
    from framebank.store.upkeep.verify import verify_store as verified

    verdict = verified(store)
    report = {
        "kind": "store",
        "path": str(store),
        "store": str(store),
        "shards": verdict.num_shards,
        "videos": verdict.num_videos,
        "failed": verdict.num_failed,
        "to_extract": list(verdict.to_extract),
        "unchecked": list(verdict.unchecked),
        "faults": [
            {
                **dict.fromkeys(("file", "path"), str(fault.path)),
                **dict.fromkeys(("problem", "what"), fault.problem),
                "videos": list(fault.video_ids),
            }
            for fault in verdict.faults
        ],
    }
    lines = [
        f"{counted(verdict.num_shards, 'shard')}, {counted(verdict.num_videos, 'video')}, {verdict.num_failed} failed, "
        f"{len(verdict.to_extract)} to extract, {counted(len(verdict.faults), 'fault')}",
        *[f"no checksum: {listed(verdict.unchecked, most=SHOWN)}"] * bool(verdict.unchecked),
        *[f"fault: {fault.problem}" for fault in verdict.faults],
    ]
    print_report(report, as_json=as_json, lines=lines)
    if verdict.faults:
        sys.exit(1)


@click.command(short_help="Move what is broken aside and list what to redo.")
@click.argument("store", type=PATH)
@json_option
def repair(store: Path, as_json: bool) -> None:
    """Move what is broken in STORE to STORE/broken and list what to extract again; exit with 1 if a fault is left.

    These are shards that cannot be read, videos whose values are not finite, and videos that are stored twice. Nothing
    is deleted; `framebank extract` with the same options then embeds what is missing.

    \b
    framebank store repair bank
    """
    from framebank.store.upkeep.repair import repair_store

    done = repair_store(store)
    report = {
        "store": str(store),
        "moved": [str(path) for path in done.moved],
        "dropped": list(done.dropped),
        "to_extract": list(done.to_extract),
        "left": [{"file": str(fault.path), "problem": fault.problem} for fault in done.left],
    }
    lines = [
        f"{counted(len(done.moved), 'shard')} moved, {counted(len(done.dropped), 'video')} dropped, "
        f"{len(done.to_extract)} to extract",
        *[f"moved to {store / 'broken'}: {path.name}" for path in done.moved],
        *[f"dropped: {video_id}" for video_id in done.dropped],
        *first_lines((f"to extract: {video_id}" for video_id in done.to_extract), most=SHOWN),
        *["next: framebank extract, with the same options as before, embeds them"] * bool(done.to_extract),
        *[f"left: {fault.problem}" for fault in done.left],
    ]
    print_report(report, as_json=as_json, lines=lines)
    if done.left:
        sys.exit(1)
