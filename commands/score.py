"""Commands that give figures: zeroshot, train and evaluate."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from framebank.commands.options import (
    PATH,
    device_option,
    json_option,
    prompts_option,
    run_option,
    scoring_option,
    split_option,
    text_options,
)
from framebank.commands.printing import FIGURE_COLUMNS, figures, percent, print_report, progress, protocol_lines, table
from framebank.commands.wiring import open_split, prompt_banks


def _row_of(table: str) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """Check a name against a table of framebank.heads, when it is used: --help loads no torch."""

    def check(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
        from framebank import heads

        names = tuple(getattr(heads, table))
        if name is not None and name not in names:
            raise click.BadParameter(f"{name!r} is none of {', '.join(names)}")
        return name

    return check


@click.command()
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
    from framebank.extract.encoder import resolve_device
    from framebank.heads.evaluate import evaluate_zero_shot
    from framebank.heads.recipe import SCORINGS
    from framebank.heads.run import Run

    features, manifest = open_split(store, split)
    run = Run.read(run_path) if run_path else None
    reports = [
        evaluate_zero_shot(
            bank, features, manifest, split=split, scoring=way, device=resolve_device(device), run=run, folder=run_path
        )
        for bank in prompt_banks(features, manifest, device=device, classes=features.manifest.labels, **texts)
        for way in SCORINGS
    ]
    shown = ("texts", "scoring", "top1", "top5", "mean_class_accuracy", "top1_interval")
    first = next(report for report in reports if report["scoring"] == scoring)
    lines = table(
        ("texts", "scoring", *FIGURE_COLUMNS),
        [(report["texts"], report["scoring"], *figures(report)) for report in reports],
    )
    report = {**first, "scores": [{name: report[name] for name in shown} for report in reports]}
    print_report(report, as_json=as_json, lines=[*lines, *protocol_lines(first["made_by"])])


@click.command()
@click.argument("store", type=PATH)
@click.argument("run", type=PATH)
@click.option("--head", default="transformer", callback=_row_of("HEADS"), help="What pools the frames: mean, lstm ...")
@click.option("--classifier", default="text", callback=_row_of("CLASSIFIERS"), help="text or linear.")
@click.option("--loss", callback=_row_of("LOSSES"), help="kl, in the batch, or ce, over all classes.  [kl; linear: ce]")
@click.option("--shots", default=0, type=click.IntRange(0), help="Train on K videos of each class; 0 is all.")
@text_options
@scoring_option
@click.option("--split", default="train", help="The split to train on, or all.")
@click.option("--val-split", help="Choose the epoch by this split.  [val, else a part of the training videos]")
@click.option("--val-fraction", default=0.1, help="That part; 0 keeps the last epoch, and so do --shots.")
@click.option(
    "--views",
    type=click.Choice(["random", "all", "first"]),
    default="random",
    help="Of several views and clips of a video: train on one drawn for each epoch, on all, or on the first.",
)
@click.option(
    "--frames", default=0, type=click.IntRange(0), help="Use N of the stored frames of each video; 0 is all of them."
)
@click.option("--epochs", default=50, type=click.IntRange(1), help="Passes over the training videos.")
@click.option("--batch-size", default=64, type=click.IntRange(1), help="Videos of a step.")
@click.option("--lr", default=5e-4, help="AdamW's, after a rise over a tenth of the steps and before a cosine fall.")
@click.option("--weight-decay", default=0.2, help="AdamW's, on matrices.")
@click.option("--label-smoothing", default=0.0, help="With --loss ce.")
@click.option("--frame-dropout", default=0.0, help="Leave a frame out of a step with this chance.")
@click.option("--frame-norm/--no-frame-norm", default=True, help="Make each frame's embedding unit before the head.")
@click.option("--seed", default=0, help="Draws the weights, the order, the shots and the validation videos.")
@device_option
@click.option("--overwrite", is_flag=True, help="Replace a run that is already there.")
@json_option
def train(
    store: Path,
    run: Path,
    labels: Path | None,
    prompts: Path | None,
    templates: str | None,
    texts: str | None,
    split: str,
    val_split: str | None,
    loss: str | None,
    device: str,
    overwrite: bool,
    as_json: bool,
    **choices: Any,
) -> None:
    """Train a head on STORE and keep it in the folder RUN, with its log and recipe.

    \b
    framebank train bank run --head transformer
    framebank train bank probe --head mean --classifier linear
    framebank train bank four-shot --shots 4 --epochs 100
    """
    from framebank.extract.encoder import resolve_device
    from framebank.heads.job import TrainingJob, require_free
    from framebank.heads.recipe import Recipe
    from framebank.store import LabelSet

    recipe = Recipe(loss=loss or ("ce" if choices["classifier"] == "linear" else "kl"), **choices)
    features, manifest = open_split(store, split)
    require_free(run, overwrite=overwrite)
    bank = None
    if recipe.classifier == "text":
        kind = texts or (None if prompts else "names")
        bank = prompt_banks(
            features, manifest, labels=labels, prompts=prompts, templates=templates, texts=kind, device=device
        )[0]
    elif prompts or templates or texts:
        raise click.UsageError(
            f"the classifier {recipe.classifier!r} reads no texts; --prompts, --templates, --texts are"
        )
    started = time.perf_counter()
    job = TrainingJob(
        features,
        manifest,
        recipe,
        val_split=val_split,
        labels=LabelSet.read(labels) if labels else None,
        prompts=bank,
        device=resolve_device(device),
    )
    log = list(progress(job.epochs(), total=recipe.epochs, unit="epoch", show=lambda e: {"loss": f"{e.loss:.3f}"}))
    trained = job.save(run, log=log)
    seconds = round(time.perf_counter() - started, 2)
    report = {
        "run": str(run),
        "seconds": seconds,
        "loss": log[-1].loss,
        **trained.trained_on,
        "recipe": trained.recipe.to_dict(),
    }
    print_report(report, as_json=as_json, lines=_train_lines(report))


@click.command()
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
    features, manifest = open_split(store or Path(trained.store), split)
    if prompts:
        trained = trained.with_same_classes(PromptBank.read(prompts), where=prompts)
    report = evaluate_run(trained, features, manifest, split=split, device=resolve_device(device), folder=run)
    lines = table(
        ("head", "classifier", *FIGURE_COLUMNS), [(trained.recipe.head, trained.recipe.classifier, *figures(report))]
    )
    print_report(report, as_json=as_json, lines=[*lines, *protocol_lines(report["made_by"])])


def _train_lines(report: dict[str, Any]) -> list[str]:
    val = "no validation videos: the last epoch is kept"
    if report["val_top1"] is not None:
        val = f"best top-1 on {report['val_videos']} validation videos {percent(report['val_top1'])}"
    return [
        f"{report['recipe']['head']} + {report['recipe']['classifier']} on {report['train_videos']} videos of "
        f"{report['classes']} classes in {report['seconds']:.1f} s -> {report['run']}",
        f"loss {report['loss']:.4f}, {val}",
        f"next: framebank evaluate {report['run']}",
    ]
