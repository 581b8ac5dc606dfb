"""Commands that give figures: zeroshot, train and evaluate."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from framebank.commands.printing import figures, print_report, protocol_lines, table
from framebank.commands.wiring import context_templates, open_split, prompt_banks, tower_of
from framebank.store.counts import counted

if TYPE_CHECKING:
    from framebank.store import FeatureStore, Manifest


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

    Names and, where the labels file has them, descriptions are scored, each both ways; the figures that come first in
    JSON are those of --texts and --scoring.

    \b
    framebank zeroshot bank --split test
    framebank zeroshot bank --labels classes.json --texts descriptions
    """
    require_alone(texts["prompts"], labels=texts["labels"], templates=texts["templates"], texts=texts["texts"])
    features, manifest = _open_labelled(store, split)

    from framebank.extract.encoder import resolve_device
    from framebank.heads.evaluate import evaluate_zero_shot, require_labels, zero_shot_hint
    from framebank.heads.recipe import SCORINGS
    from framebank.heads.run import Run

    require_labels(features, manifest, split=split, hint=zero_shot_hint(features))
    run = Run.read(run_path) if run_path else None
    tower = tower_of(features, device=device)
    if run and not texts["prompts"]:
        own = context_templates(run.recipe, templates=texts["templates"], texts=texts["texts"])
        texts = {**texts, "templates": own}
    reports = [
        evaluate_zero_shot(
            bank,
            features,
            manifest,
            split=split,
            scoring=way,
            device=resolve_device(device),
            run=run,
            folder=run_path,
            tower=tower,
        )
        for bank in prompt_banks(features, manifest, device=device, classes=features.manifest.labels, **texts)
        for way in SCORINGS
    ]
    shown = ("texts", "scoring", "top1", "top5", "mean_class_accuracy", "top1_interval", "map")
    first = next(report for report in reports if report["scoring"] == scoring)
    lines = table(
        ("texts", "scoring", *figures(first)),
        [(report["texts"], report["scoring"], *figures(report).values()) for report in reports],
    )
    report = {**first, "scores": [{name: report[name] for name in shown if name in report} for report in reports]}
    print_report(report, as_json=as_json, lines=[*lines, *protocol_lines(first["made_by"]), *_left_out(first)])


@click.command(short_help="Score a split of the videos with a trained run.")
@click.argument("run", type=PATH)
@click.option("--store", type=PATH, help="The store to score.  [the one the run was trained on]")
@split_option
@prompts_option
@device_option
@json_option
def evaluate(run: Path, store: Path | None, split: str, prompts: Path | None, device: str, as_json: bool) -> None:
    """Score a split with RUN; write metrics.json and predictions.npz into it.

    \b
    framebank evaluate run --split test
    """
    from framebank.extract.encoder import resolve_device
    from framebank.heads.evaluate import evaluate_run
    from framebank.heads.run import Run
    from framebank.store import DataError, PromptBank

    trained = Run.read(run)
    if not store and not Path(trained.store).is_dir():
        raise DataError(f"{run}: was trained on the store {trained.store}, which is not there; name it with --store")
    features, manifest = _open_labelled(store or Path(trained.store), split, run=run)
    if prompts:
        trained = trained.with_same_classes(PromptBank.read(prompts), where=prompts)
    report = evaluate_run(trained, features, manifest, split=split, device=resolve_device(device), folder=run)
    shown = {"head": trained.recipe.head, "classifier": trained.recipe.classifier, **figures(report)}
    lines = table(tuple(shown), [tuple(shown.values())])
    print_report(report, as_json=as_json, lines=[*lines, *protocol_lines(report["made_by"]), *_left_out(report)])


def _open_labelled(path: Path, split: str, run: Path | None = None) -> "tuple[FeatureStore, Manifest]":
    """A store and a split of it; where no video of the store has a label, that comes before which splits it has."""
    from framebank.store import FeatureStore

    store = FeatureStore(path)
    if not store.manifest.labels:
        from framebank.heads.evaluate import require_labels, zero_shot_hint

        hint = f"framebank predict {path} --run {run} --csv out.csv" if run else zero_shot_hint(store)
        require_labels(store, store.manifest, split="all", hint=hint)
    return open_split(path, split)


def _left_out(report: dict[str, Any]) -> list[str]:
    """How many videos of the split could not count, for want of a label."""
    without = report["videos_without_label"]
    return [f"left out   {counted(without, 'video')} without a label"] if without else []
