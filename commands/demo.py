"""The command that shows the whole chain."""

from pathlib import Path

import click

from framebank.commands.options import PATH, device_option, json_option
from framebank.commands.printing import called_as, print_report, progress


@click.command(short_help="Run the whole chain on a small rendered world.")
@click.option(
    "--out", default=Path("demo-out"), type=PATH, help="The folder for the videos, store, runs, index and picture."
)
@click.option("--seed", default=0, help="Another seed draws another world of clips.")
@device_option
@json_option
def demo(out: Path, seed: int, device: str, as_json: bool) -> None:
    """Run the whole chain on a small world of rendered videos and a tiny CLIP, both part of this package.

    \b
    framebank demo --out demo-out
    """
    from framebank.demo.tour import Tour
    from framebank.store.files.place import owning

    click.get_current_context().with_resource(owning(out, what="demo"))
    tour = Tour(out, seed=seed, device=device)
    tour.run(progress)
    print_report(tour.report(), as_json=as_json, lines=tour.lines(program=called_as()))
