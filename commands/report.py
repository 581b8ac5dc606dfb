"""The command report: one page that shows runs, or a store, to people."""

from pathlib import Path

import click

from framebank.commands.options import PATH, device_option, json_option
from framebank.commands.printing import print_report, progress


@click.command(short_help="Write one HTML page that shows runs, or a store.")
@click.argument("what", nargs=-1, required=True, type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--pictures", default=240, type=click.IntRange(0), help="At most so many videos are shown by a frame; 0 reads none."
)
@device_option
@json_option
def report(what: tuple[Path, ...], out: Path, pictures: int, device: str, as_json: bool) -> None:
    """Write OUT.html, one page that shows WHAT: evaluated runs, or one store. It needs no network and no other file.

    The first run is shown in full, further ones beside it. All must have been evaluated on the same videos.

    If OUT ends in .md, it is a model card of one run, with the figures as Hugging Face reads them.

    \b
    framebank evaluate run --split test
    framebank report run run.html
    framebank report run-a run-b two.html
    framebank report bank bank.html
    framebank report run run/README.md
    """
    from framebank.library.reporting.build import report as written

    found = written(*what, out=out, pictures=pictures, device=device, watch=progress)
    print_report(found.to_dict(), as_json=as_json, lines=found.lines())
