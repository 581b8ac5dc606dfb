"""The command that checks whatever framebank wrote."""

import sys
from pathlib import Path

import click

from framebank.commands.options import PATH, json_option
from framebank.commands.printing import print_report
from framebank.store.counts import counted, listed

SHOWN = 5  # of the videos without an embedding


@click.command(short_help="Check a store, an index, a run or prompts.")
@click.argument("path", type=PATH)
@json_option
def verify(path: Path, as_json: bool) -> None:
    """Say what PATH is, read all of it and print a line for each fault; exit with 1 if there is one.

    PATH is a store, an index, a run of `train` or `fewshot-train`, or class embeddings of `prompts`. Files are compared
    with their digests, and with each other.

    \b
    framebank verify run
    """
    from framebank.store.files.kinds import kind_of

    kind_of(path)  # before its reader is loaded
    from framebank.library.verification import verify_path

    found = verify_path(path)
    report = {
        "kind": found.kind,
        "path": str(found.path),
        "checked": found.checked,
        "to_extract": list(found.to_extract),
        "faults": [{"path": str(fault.path), "what": fault.what} for fault in found.faults],
    }
    faults = [f"fault: {' '.join(fault.what.split())}" for fault in found.faults]
    right = f"{found.path}: looks right, {found.kind}: {', '.join(found.checked)}"
    count = counted(len(found.to_extract), "listed video")
    missing = f"{count} without an embedding, which `framebank extract` makes: {listed(found.to_extract, most=SHOWN)}"
    print_report(report, as_json=as_json, lines=faults or [right, *[missing] * bool(found.to_extract)])
    if found.faults:
        sys.exit(1)
