"""The command that trains a matcher by episodes: fewshot-train."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.encoder_options import prompt_banks
from framebank.commands.fewshot_options import matcher_option, shot_option
from framebank.commands.fewshot_plan import with_class_splits
from framebank.commands.names import MATCHERS, require_matcher
from framebank.commands.options import PATH, device_option, json_option, require_alone, text_options
from framebank.commands.printing import Bar, percent, print_report
from framebank.store.counts import counted

if TYPE_CHECKING:
    from framebank.heads.fewshot.loop import Stage
    from framebank.store import Manifest


@click.command(name="fewshot-train", short_help="Train a matcher by episodes.")
@click.argument("store", type=PATH)
@click.argument("run", type=PATH)
@click.option(
    "--matcher",
    default="trx",
    help="trx, hyrsm, hyrsm++, clip-fsar, ma-clip, gghm, sloshnet, linear.",
)
@matcher_option
@click.option("--way", default=5, type=click.IntRange(2), help="Classes of an episode.")
@shot_option
@click.option("--query", default=5, type=click.IntRange(1), help="Queries of each class.")
@click.option("--split", default="train", help="The split to train on, or all; of the classes with --class-split.")
@click.option("--val-split", help="Keep the step that is best on this split.  [val, or without one the last step]")
@click.option(
    "--class-split",
    "class_splits",
    multiple=True,
    type=PATH,
    help="The split of each class: JSON, CSV, or official few-shot lists or their folder.",
)
@click.option(
    "--frames", default=0, type=click.IntRange(0), help="Use N of the stored frames of each video; 0 means all."
)
@text_options
@click.option("--steps", default=1000, type=click.IntRange(1), help="Steps of training.")
@click.option("--episodes", default=4, type=click.IntRange(1), help="Episodes of a step.")
@click.option("--lr", default=1e-4, help="Learning rate of AdamW: up over a tenth of the steps, then a cosine fall.")
@click.option("--weight-decay", default=0.01, help="Weight decay of AdamW, on matrices.")
@click.option("--val-every", default=100, type=click.IntRange(1), help="Steps between two validations.")
@click.option("--val-episodes", default=200, type=click.IntRange(1), help="Episodes of a validation, always the same.")
@click.option("--seed", default=0, help="The seed of the first weights and of the episodes.")
@device_option
@click.option("--overwrite", is_flag=True, help="Replace an existing matcher.")
@json_option
def fewshot_train(
    store: Path,
    run: Path,
    split: str,
    val_split: str | None,
    class_splits: tuple[Path, ...],
    labels: Path | None,
    prompts: Path | None,
    templates: str | None,
    texts: str | None,
    device: str,
    overwrite: bool,
    as_json: bool,
    **choices: Any,
) -> None:
    """Train a matcher on episodes of STORE and keep it in the folder RUN, with its log and recipe.

    Train on some classes, choose the step on others (--val-split), and recognise a third set of classes.

    \b
    framebank fewshot-train bank run --matcher trx --class-split lists/ssv2_full
    framebank fewshot-train bank run --matcher ma-clip --option metric=bi-mhm --shot 5
    framebank fewshot bank --run run --class-split lists/ssv2_full
    """
    require_matcher(choices["matcher"], known=MATCHERS)
    require_alone(prompts, labels=labels, templates=templates, texts=texts)

    from framebank.extract.encoders.encoder import resolve_device
    from framebank.heads.fewshot.job import FewshotJob
    from framebank.heads.fewshot.recipe import FewshotRecipe
    from framebank.heads.matchers import READS_TEXT
    from framebank.heads.training.folder import taking
    from framebank.store import FeatureStore, Manifest

    recipe = FewshotRecipe(**choices)
    features = FeatureStore(store)
    train, val = _videos(features.manifest, split, val_split, class_splits=class_splits, where=store)
    click.get_current_context().with_resource(taking(run, what="matcher", overwrite=overwrite))
    bank = None
    if recipe.matcher in READS_TEXT:
        kind = texts or (None if prompts else "names")
        both = Manifest((*train.videos, *val.videos))
        bank = prompt_banks(
            features, both, labels=labels, prompts=prompts, templates=templates, texts=kind, device=device
        )[0]
    elif labels or prompts or templates or texts:
        raise click.UsageError(
            f"the matcher {recipe.matcher!r} reads no texts; --labels, --prompts, --templates, --texts are for those "
            f"that do: {', '.join(READS_TEXT)}"
        )
    started = time.perf_counter()
    job = FewshotJob(features, train, recipe, val=val, prompts=bank, device=resolve_device(device))
    for note in job.notes:
        click.echo(note, err=True)
    log = []
    with Bar(unit="step") as bar:
        for stage in job.stages(tell=bar.move):
            log.append(stage)
            bar.show(loss=f"{stage.loss:.3f}", **_validation(stage))
    trained = job.save(run, log=log)
    report = {
        "run": str(run),
        "seconds": round(time.perf_counter() - started, 2),
        "loss": log[-1].loss,
        **trained.trained_on,
        "recipe": recipe.to_dict(),
    }
    then = " ".join(
        ["framebank fewshot", f"{store}", f"--run {run}", *(f"--class-split {path}" for path in class_splits)]
    )
    print_report(report, as_json=as_json, lines=_lines(report, then=then))


def _videos(
    manifest: "Manifest", split: str, val_split: str | None, *, class_splits: tuple[Path, ...], where: Path
) -> "tuple[Manifest, Manifest]":
    """The videos to train on, and those to choose the step by; DataError if a video is in both."""
    from framebank.store import DataError, Manifest

    if class_splits:
        manifest, _ = with_class_splits(manifest, class_splits, where=where)
    try:
        train = manifest.split(split).labelled()
        wanted = val_split or ("val" if "val" in manifest.split_sizes else None)
        val = manifest.split(wanted).labelled() if wanted else Manifest(())
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    ids = {video.video_id for video in train.videos}
    both = next((video.video_id for video in val.videos if video.video_id in ids), None)
    if both:
        raise DataError(
            f"{where}: {both!r} is in the split {split} and in {wanted}; name two splits that share no video"
        )
    return train, val


def _validation(stage: "Stage") -> dict[str, str]:
    return {} if math.isnan(stage.val_accuracy) else {"validation": percent(stage.val_accuracy)}


def _lines(report: dict[str, Any], *, then: str) -> list[str]:
    val = "no validation videos: the last step is kept"
    if report["val_accuracy"] is not None:
        also = report["val_classes_also_trained"]
        val = (
            f"best {report['val_way']}-way accuracy {percent(report['val_accuracy'])}, on "
            f"{counted(report['val_classes'], 'validation class', 'validation classes')} ({also} of them trained on)"
        )
    recipe = report["recipe"]
    return [
        f"{recipe['matcher']}, {recipe['way']}-way {recipe['shot']}-shot, on "
        f"{counted(report['train_videos'], 'video')} of "
        f"{counted(report['train_classes'], 'class', 'classes')} in {report['seconds']:.1f} s -> {report['run']}",
        f"loss {report['loss']:.4f}, {val}",
        f"next: {then}",
    ]
