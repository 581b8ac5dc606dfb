"""The command temperature: how sure a run may be of what it says."""

from pathlib import Path

import click

from framebank.commands.options import PATH, device_option, json_option
from framebank.commands.printing import print_report


@click.command(short_help="Make a run's probabilities as often right as they say.")
@click.argument("run", type=PATH)
@click.option("--store", type=PATH, help="The store to fit on.  [the one the run was trained on]")
@click.option("--split", default="val", help="Its videos, which the run was not trained on.")
@click.option("--by-class", is_flag=True, help="Fit a scale and a bias for each class too.")
@click.option("--off", is_flag=True, help="Take it out: tell the probabilities as the model gives them.")
@click.option("--on", is_flag=True, help="Put back what --off took out.")
@device_option
@json_option
def temperature(
    run: Path, store: Path | None, split: str, by_class: bool, off: bool, on: bool, device: str, as_json: bool
) -> None:
    """Fit how sure RUN may be on videos that it was not trained on, and keep it in RUN.

    `train` does this itself if it has 20 validation videos or more. label, predict, evaluate and export-head tell the
    probabilities that come of it. The likeliest class of a video stays the same, but with --by-class.

    \b
    framebank temperature run --split val
    framebank evaluate run --split test
    """
    if by_class + off + on > 1:
        raise click.UsageError("--by-class fits, --off takes out and --on puts back; give one of them")
    from framebank.library.figures.temperature import fit_temperature

    found = fit_temperature(run, store, split, by_class=by_class, off=off, on=on, device=device)
    again = f"next: framebank evaluate {run}; its figures of before are removed, because its probabilities may differ"
    print_report(found.to_dict(), as_json=as_json, lines=[repr(found), again])
