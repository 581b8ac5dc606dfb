"""Commands that measure accuracy: zeroshot and evaluate."""

from pathlib import Path
from typing import Any

import click

from framebank.commands.options import (
    PATH,
    device_option,
    json_option,
    prompts_option,
    require_alone,
    run_option,
    scoring_option,
    split_option,
    text_options,
)
from framebank.commands.printing import print_report, progress


@click.command(short_help="Recognise videos by the texts of their classes.")
@click.argument("store", type=PATH)
@split_option
@text_options
@scoring_option
@run_option
@device_option
@json_option
def zeroshot(
    store: Path,
    split: str,
    scoring: str,
    run_path: Path | None,
    device: str,
    as_json: bool,
    **texts: Any,
) -> None:
    """Recognise the videos of STORE by the texts of the classes alone.

    Names are scored and, if the labels file has them, descriptions, each with both ways of averaging. In JSON the
    figures of --texts and --scoring come first.

    \b
    framebank zeroshot bank --split test
    framebank zeroshot bank --labels classes.json --texts descriptions
    """
    require_alone(texts["prompts"], labels=texts["labels"], templates=texts["templates"], texts=texts["texts"])
    from framebank.library.evaluation import zeroshot as recognise

    report = recognise(store, split, **texts, scoring=scoring, run=run_path, device=device, watch=progress)
    print_report(report.to_dict(), as_json=as_json, lines=report.lines())


@click.command(short_help="Score a split of the videos with a trained run.")
@click.argument("run", type=PATH)
@click.option("--store", type=PATH, help="The store to score.  [the store of the run]")
@split_option
@prompts_option
@device_option
@json_option
def evaluate(run: Path, store: Path | None, split: str, prompts: Path | None, device: str, as_json: bool) -> None:
    """Score a split with RUN; write metrics.json and predictions.npz into it.

    \b
    framebank evaluate run --split test
    """
    from framebank.library.evaluation import evaluate as score

    report = score(run, store, split, prompts=prompts, device=device)
    print_report(report.to_dict(), as_json=as_json, lines=report.lines())
