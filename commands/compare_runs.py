"""The command compare-runs: two or more trained runs on the same videos."""

from pathlib import Path

import click

from framebank.commands.options import PATH, json_option
from framebank.commands.printing import print_report


@click.command("compare-runs", short_help="Say which of several evaluated runs is better.")
@click.argument("runs", nargs=-1, required=True, type=PATH)
@click.option(
    "--equivalent-within",
    type=click.FloatRange(0, min_open=True),
    metavar="POINTS",
    help="Also say whether they are equal within so many points.",
)
@click.option("--seed", default=0, help="Of the draws behind the intervals.")
@json_option
def compare_runs(runs: tuple[Path, ...], equivalent_within: float | None, seed: int, as_json: bool) -> None:
    """Say whether each further run is better than the first of RUNS, worse, or that the videos cannot tell.

    The runs were evaluated on the same videos; their predictions are compared video by video. Videos of one source
    (a column `group`, or UCF's _g01_ in the name) count together. A folder of runs named seed-0, seed-1, ... is one run
    with several seeds. Runs of several labels a video are compared by their mean average precision.

    \b
    framebank evaluate run-a --split test && framebank evaluate run-b --split test
    framebank compare-runs run-a run-b
    framebank compare-runs run-a run-b run-c --equivalent-within 1.0
    """
    if len(runs) < 2:
        raise click.UsageError("one run alone cannot be compared; expected RUN_A RUN_B")
    from framebank.library.figures.pairs import compare_runs as compared

    found = compared(*runs, seed=seed, equivalent_within=equivalent_within)
    print_report(found.to_dict(), as_json=as_json, lines=found.lines())
