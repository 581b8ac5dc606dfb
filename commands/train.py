"""Train: a head on a store, by options or by a published recipe."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.encoder_options import context_templates, open_split
from framebank.commands.names import CLASSIFIERS, HEADS, SCORERS, require_keys, require_losses, require_recipe
from framebank.commands.options import (
    PATH,
    device_option,
    json_option,
    lexicon_option,
    pairs,
    require_alone,
    require_once,
    text_options,
)
from framebank.commands.printing import Bar, percent, print_report, progress
from framebank.commands.tensorboard import tensorboard_of
from framebank.store.counts import counted

if TYPE_CHECKING:
    from framebank.heads.training.loop import Epoch


def _one_of(names: Sequence[str]) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """Check a name against those of a table of framebank.heads."""

    def check(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
        if name is not None and name not in names:
            raise click.BadParameter(f"{name!r} is none of {', '.join(names)}")
        return name

    return check


@click.command(short_help="Train a head on a store and keep it as a run.")
@click.argument("store", type=PATH)
@click.argument("run", type=PATH)
@click.option("--recipe", "recipe_name", help="A published one, such as actionclip, or a .toml file; then the rest.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any key; head.num_layers=2.")
@click.option("--head", callback=_one_of(HEADS), help="What pools the frames: mean, lstm ...  [transformer]")
@click.option(
    "--init", type=click.Choice(["text-tower"]), help="Start the blocks of --head vivit as those of CLIP's texts."
)
@click.option("--head-mix", help="The share of the frames' plain mean in the pooled embedding, or auto.  [0]")
@click.option("--classifier", callback=_one_of((*CLASSIFIERS, *SCORERS)), help="text, linear ...  [text]")
@click.option("--loss", help="One of framebank.heads.LOSSES, or a sum: 'ce + 0.5 froster'.  [kl; without texts: ce]")
@click.option("--shots", "--shot", type=click.IntRange(0), help="Train on K videos of each class; 0 is all.")
@text_options
@lexicon_option
@click.option(
    "--scoring",
    type=click.Choice(["probabilities", "embeddings"]),
    help="Average the templates' probabilities (ActionCLIP) or their embeddings (CLIP).  [probabilities]",
)
@click.option("--split", default="train", help="The split to train on, or all.")
@click.option("--val-split", help="Choose the epoch by this split.  [val, else a part of the training videos]")
@click.option("--val-fraction", type=float, help="That part; 0 keeps the last epoch, and so do --shots.  [0.1]")
@click.option(
    "--views",
    type=click.Choice(["random", "all", "first"]),
    help="Of several views and clips of a video: train on one drawn for each epoch, on all, or on the first.  [random]",
)
@click.option("--frames", type=click.IntRange(0), help="Use N of the stored frames of each video; 0 is all of them.")
@click.option("--epochs", type=click.IntRange(0), help="Passes over the training videos.  [50]")
@click.option("--batch-size", type=click.IntRange(1), help="Videos of a step.  [64]")
@click.option("--lr", type=float, help="AdamW's, after a rise over a tenth of the steps, before a cosine fall.  [5e-4]")
@click.option("--weight-decay", type=float, help="AdamW's, on matrices.  [0.2]")
@click.option("--label-smoothing", type=float, help="With --loss ce and its like.  [0]")
@click.option("--frame-dropout", type=float, help="Leave a frame out of a step with this chance.  [0]")
@click.option("--frame-norm/--no-frame-norm", default=None, help="Make each frame's embedding unit before the head.")
@click.option("--seed", type=int, help="Draws the weights, the order, the shots and the validation videos.  [0]")
@device_option
@click.option("--tensorboard", is_flag=True, help="Write a log for TensorBoard into RUN, beside log.csv.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is already there.")
@json_option
def train(
    store: Path,
    run: Path,
    recipe_name: str | None,
    settings: tuple[str, ...],
    labels: Path | None,
    prompts: Path | None,
    templates: str | None,
    texts: str | None,
    lexicon: Path | None,
    split: str,
    val_split: str | None,
    head_mix: str | None,
    device: str,
    tensorboard: bool,
    overwrite: bool,
    as_json: bool,
    **choices: Any,
) -> None:
    """Train a head on STORE and keep it in the folder RUN, with its log and recipe.

    \b
    framebank train bank run --head transformer
    framebank train bank probe --head mean --classifier linear
    framebank train bank mit --recipe mitx --set head.num_layers=2
    torchrun --nproc-per-node 4 -m framebank.cli train bank run      one process for each GPU
    """
    keys = pairs(settings)
    require_once(keys, {**choices, "head_mix": head_mix, "templates": templates, "texts": texts})
    require_keys(keys)
    if head_mix and head_mix != "auto":
        choices["head_mix"] = _read_share(head_mix)
    if recipe_name:
        require_recipe(recipe_name)
    if choices["loss"]:
        require_losses(choices["loss"])
    require_alone(prompts, labels=labels, templates=templates, texts=texts)
    features, manifest = open_split(store, split)

    from framebank.extract.encoders.encoder import resolve_device
    from framebank.heads.training.distributed import Ranks
    from framebank.heads.training.folder import taking
    from framebank.heads.training.lexicon import Lexicon
    from framebank.heads.training.recipe import Recipe, read_recipe, with_choices
    from framebank.library.training import training_job

    given = {name: value for name, value in choices.items() if value is not None}
    start = read_recipe(recipe_name).to_dict() if recipe_name else {}
    recipe = Recipe.from_choices(with_choices(start, given), settings=keys)
    if lexicon and not recipe.reads_lexicon:
        raise click.UsageError(f"the classifier {recipe.classifier!r} reads no lexicon; --lexicon is for attributes")
    phrases = Lexicon.read(lexicon, spec=features.spec, where=store) if lexicon else None
    ranks = Ranks()
    if ranks.is_first:
        click.get_current_context().with_resource(taking(run, what="run", overwrite=overwrite))
    own = ranks.start(resolve_device(device))
    if not recipe.reads_texts and (prompts or templates or texts):
        raise click.UsageError(
            f"the classifier {recipe.classifier!r} reads no texts; --prompts, --templates, --texts are"
        )
    started = time.perf_counter()
    job = training_job(
        features,
        manifest,
        recipe,
        val_split=val_split,
        labels=labels,
        prompts=prompts,
        templates=templates if prompts else context_templates(recipe, templates=templates, texts=texts),
        texts=texts,
        lexicon=phrases,
        chooses_head_mix=head_mix == "auto",
        device=own,
        watch=progress,
    )
    if head_mix == "auto":
        job.require_head_mix_choice()
    if not ranks.is_first:
        list(job.epochs(ranks))
        return
    for note in job.notes:
        click.echo(note, err=True)
    log = []
    with Bar(unit="step") as bar:
        epochs = job.epochs(ranks, tell=bar.move)
        for epoch in tensorboard_of(run, epochs) if tensorboard else epochs:
            log.append(epoch)
            bar.show(epoch=f"{epoch.number} of {recipe.epochs}", loss=f"{epoch.loss:.3f}", **_validation(epoch))
    ranks.stop()
    mixed = job.choose_head_mix() if head_mix == "auto" else None
    trained = job.save(run, log=log)
    seconds = round(time.perf_counter() - started, 2)
    scaling = trained.model.scaling  # without its scores, one for each validation video
    report = {
        "run": str(run),
        "seconds": seconds,
        "loss": log[-1].loss if log else None,
        **trained.trained_on,
        **({"confidence": {"temperature": scaling.temperature, "videos": scaling.videos}} if scaling else {}),
        "multi_label": recipe.is_multi_label,
        "head_mix_score": mixed.score if mixed else None,
        "recipe": trained.recipe.to_dict(),
    }
    print_report(report, as_json=as_json, lines=_train_lines(report))


def _validation(epoch: "Epoch") -> dict[str, str]:
    return {} if math.isnan(epoch.val_score) else {"validation": percent(epoch.val_score)}


def _read_share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.UsageError(f"--head-mix is {text!r}; expected a number from 0 to 1, or auto") from None


def _train_lines(report: dict[str, Any]) -> list[str]:
    kept = "the mean of the last epochs" if report["recipe"]["average"] else "the last epoch"
    val = f"no validation videos: {kept} is kept"
    if report["val_score"] is not None:
        what = "mAP" if report["multi_label"] else "top-1"
        judged = counted(report["val_videos"], "validation video")
        val = f"{what} on {judged} {percent(report['val_score'])} in epoch {report['epoch']}, which is kept"
    mix = []
    if report["head_mix_score"] is not None:
        share = f"{100 * report['recipe']['head_mix']:.0f} % of the frames' mean (head_mix), chosen on those videos"
        mix = [f"{share}: {percent(report['head_mix_score'])}"]
    return [
        f"{report['recipe']['head']} + {report['recipe']['classifier']} on "
        f"{counted(report['train_videos'], 'video')} of "
        f"{counted(report['classes'], 'class', 'classes')} in {report['seconds']:.1f} s -> {report['run']}",
        f"loss {report['loss']:.4f}, {val}" if report["loss"] is not None else "no epoch: nothing was trained by steps",
        *mix,
        f"next: framebank evaluate {report['run']}",
    ]
