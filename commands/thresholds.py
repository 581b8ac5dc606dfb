"""The command thresholds: from which probability on a video has each of several labels."""

from pathlib import Path

import click

from framebank.commands.options import PATH, device_option, json_option
from framebank.commands.printing import print_report


@click.command(short_help="Fit above which probability a video has each label.")
@click.argument("run", type=PATH)
@click.option("--store", type=PATH, help="The store to fit on.  [the one the run was trained on]")
@click.option("--split", default="val", help="Its videos, which the run was not trained on.")
@click.option(
    "--precision",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of right labels among those given.  [the best F1 of each label]",
)
@click.option("--off", is_flag=True, help="Take them out: the label is the likeliest one again.")
@device_option
@json_option
def thresholds(
    run: Path, store: Path | None, split: str, precision: float | None, off: bool, device: str, as_json: bool
) -> None:
    """Fit a threshold for each label on videos that RUN was not trained on, and keep them in RUN.

    RUN was trained on videos of several labels. label, predict and label-store then give a video all labels that are
    likelier than their thresholds, joined by ";", and evaluate says what these labels are worth.

    \b
    framebank thresholds run --split val
    framebank thresholds run --precision 0.9
    framebank evaluate run --split test
    """
    if off and precision is not None:
        raise click.UsageError("--off takes the thresholds out and --precision fits them; give one of them")
    from framebank.library.figures.thresholds import fit_thresholds

    found = fit_thresholds(run, store, split, precision=precision, off=off, device=device)
    again = f"next: framebank evaluate {run}; its figures of before are removed"
    print_report(found.to_dict(), as_json=as_json, lines=[*found.lines(), again])
