"""The commands eval and results: the figures of named protocols, and the table of all that were made."""

import sys
from pathlib import Path
from typing import Any

import click

from framebank.commands.options import (
    PATH,
    device_option,
    json_option,
    lexicon_option,
    pairs,
    require_alone,
    text_options,
)
from framebank.commands.printing import print_report, progress, say


@click.command("eval", short_help="Score a store by a named protocol.")
@click.argument("store", type=PATH)
@click.option("--protocol", required=True, help="Its name, such as ucf101 or zero-shot-half, or a .toml file.")
@click.option("--lists", type=PATH, help="The folder of the official lists, where the protocol reads any.")
@click.option("--recipe", help="What a supervised protocol trains: a name or a .toml file.  [linear-probe]")
@click.option("--run", "run_path", type=PATH, help="Zero-shot: pool the frames with its head. Episodes: its matcher.")
@click.option("--matcher", "matchers", multiple=True, help="Episodes: score this one beside the baselines; repeat it.")
@click.option("--keep-runs", "runs", type=PATH, help="Keep the runs that are trained in this new folder.")
@click.option("--results", "results_path", type=PATH, default="results.jsonl", help="Add a line to this file.")
@text_options
@lexicon_option
@device_option
@json_option
def evaluate_by(
    store: Path,
    protocol: str,
    lists: Path | None,
    recipe: str | None,
    run_path: Path | None,
    matchers: tuple[str, ...],
    runs: Path | None,
    lexicon: Path | None,
    results_path: Path,
    device: str,
    as_json: bool,
    **texts: Any,
) -> None:
    """Score STORE by a named protocol: what is trained on, what is tested, and how it is averaged.

    ucf101 and hmdb51 train a recipe on each of the three official splits; ucf101-zero-shot and hmdb51-zero-shot score
    the three test lists by the texts of the classes; zero-shot-full every video of the store; zero-shot-half half of
    the classes, in ten draws; supervised takes the splits of the store itself; ucf101-base-to-novel learns half of the
    classes and tests the other half too; ucf101-episodes draws episodes. docs/figures.md lists all. Nothing is chosen
    on what is tested. What is not said of the texts is as the recipe has it. Each figure is one line of results.jsonl.

    \b
    framebank eval ucf --protocol ucf101 --lists ucfTrainTestlist --recipe ridge
    framebank eval ucf --protocol ucf101-zero-shot --lists ucfTrainTestlist
    framebank eval bank --protocol zero-shot-half
    framebank eval hmdb --protocol hmdb51-episodes --lists hmdb51-few-shot --matcher otam
    """
    require_alone(texts["prompts"], labels=texts["labels"], templates=texts["templates"], texts=texts["texts"])
    from framebank.library.figures.protocols import evaluate_protocol

    found = evaluate_protocol(
        store,
        protocol,
        lists=lists,
        recipe=recipe,
        run=run_path,
        matchers=matchers,
        **texts,
        lexicon=lexicon,
        results=results_path,
        runs=runs,
        device=device,
        watch=progress,
    )
    kept = [] if found.unwritten else [f"results    {results_path}"]
    print_report(found.to_dict(), as_json=as_json, lines=[*found.lines(), *kept])
    if found.unwritten:
        sys.exit(1)


@click.command(short_help="Show the figures that protocols gave.")
@click.argument("file", type=PATH, default="results.jsonl")
@click.option("--where", "conditions", multiple=True, metavar="KEY=PATTERN", help="Such as protocol=ucf101*.")
@click.option(
    "--format", "form", type=click.Choice(["text", "markdown", "latex", "csv"]), default="text", help="Of the table."
)
@json_option
def results(file: Path, conditions: tuple[str, ...], form: str, as_json: bool) -> None:
    """Print the results in FILE, which `framebank eval` wrote, as one table.

    \b
    framebank results results.jsonl --where protocol=ucf101 --format markdown
    """
    where = pairs(conditions, option="--where")
    from framebank.library.figures.results import results as read

    found = read(file, where)
    print_report(found.to_dict(), as_json=as_json, lines=[found.text(form)])
    if found.none and (as_json or form != "text"):
        say(found.none)
