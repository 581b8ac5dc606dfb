"""The command suspects: videos whose label may be wrong."""

from pathlib import Path

import click

from framebank.commands.options import PATH, json_option
from framebank.commands.printing import print_report, progress


@click.command(short_help="List videos whose label may be wrong.")
@click.argument("store", type=PATH)
@click.option("--split", default="all", help="The split whose labels are checked, or all.")
@click.option("--csv", "csv_path", type=PATH, help="Write all of them here.")
@click.option("--no-copies", is_flag=True, help="Leave out copies of one recording that have different labels.")
@json_option
def suspects(store: Path, split: str, csv_path: Path | None, no_copies: bool, as_json: bool) -> None:
    """List the videos of STORE whose label may be wrong, the surest first, with a likelier label.

    Each video is judged by the stored rows of the others. No video is read, and no label is changed: look at the
    videos, then use `framebank store relabel`.

    \b
    framebank suspects bank
    framebank suspects bank --split train --csv suspects.csv
    """
    from framebank.library.asking.suspects import suspects as find_suspects

    found = find_suspects(store, split=split, copies=not no_copies, watch=progress)
    if csv_path:
        found.write(csv_path)
    told = [f"-> {csv_path}"] if csv_path else []
    print_report(found.to_dict(), as_json=as_json, lines=[*found.lines(), *told])
