"""The command shots."""

from pathlib import Path

import click

from framebank.commands.options import PATH, json_option
from framebank.commands.printing import print_report, progress


@click.command(short_help="List the shots of the videos of a store.")
@click.argument("store", type=PATH)
@click.option("--split", default="all", help="The split whose videos are looked at, or all.")
@click.option("--csv", "csv_path", type=PATH, help="Write the shots to this file too, as CSV or JSON by its name.")
@json_option
def shots(store: Path, split: str, csv_path: Path | None, as_json: bool) -> None:
    """List where the shots of the videos of STORE begin and end, in seconds.

    A cut is where the rows before and the rows after show two different things. No video is read.

    \b
    framebank shots bank
    framebank shots bank --csv shots.csv
    """
    from framebank.library.searching.shots import shots as find_shots
    from framebank.store.spans.files import require_suffix, write_spans

    if csv_path:
        require_suffix(csv_path)
    found = find_shots(store, split=split, watch=progress)
    if csv_path:
        write_spans(csv_path, found.spans)
    print_report(found.to_dict(), as_json=as_json, lines=found.lines())
