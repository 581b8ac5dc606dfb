"""The command duplicates."""

from pathlib import Path

import click

from framebank.commands.options import PATH, json_option
from framebank.commands.printing import print_report, progress


@click.command(short_help="List copies: stretches of two videos that show the same.")
@click.argument("store", type=PATH)
@click.argument("other", type=PATH, required=False, metavar="[STORE2]")
@click.option("--split", default="all", help="The split whose videos are compared, or all.")
@click.option(
    "--least", default=0.5, type=click.FloatRange(0, 1, min_open=True, max_open=True), help="The lowest score listed."
)
@json_option
def duplicates(store: Path, other: Path | None, split: str, least: float, as_json: bool) -> None:
    """List whole and partial copies among the videos of STORE, or between STORE and STORE2, in seconds.

    A copy may be encoded again, cropped a little, mirrored, up to a tenth faster or slower, or an excerpt inside a
    longer video. The stored rows are compared. No video is read. Extract with a fixed rate (`extract --fps 2` or more)
    to find excerpts.

    \b
    framebank duplicates bank
    framebank duplicates bank other-bank --least 0.8
    """
    from framebank.library.searching.duplicates import duplicates as find_duplicates

    found = find_duplicates(store, other, split=split, least=least, watch=progress)
    print_report(found.to_dict(), as_json=as_json, lines=found.lines())
