"""The command that trains a head on a store, by options or by a published recipe."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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
from framebank.commands.printing import Bar, BarOfParts, percent, print_report
from framebank.commands.tracking import TRACKERS, watching_trackers
from framebank.heads.training.recipe import MIN_STEPS, Recipe
from framebank.library.auto import is_auto, train_auto
from framebank.library.comparing.recipe_list import recipes
from framebank.library.training import SAVE_EVERY

if TYPE_CHECKING:
    from framebank.heads.training.auto import TriedCandidate
    from framebank.heads.training.loop import Epoch
    from framebank.store import FeatureStore

# What is no key of a recipe, as the library's call takes it.
GIVEN = (
    *("labels", "prompts", "templates", "texts", "lexicon", "split", "val_split", "device", "overwrite"),
    *("resume", "save_every"),
)


def _one_of(names: Sequence[str]) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """Check a name against the names of a table of framebank.heads."""

    def check(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
        if name is not None and name not in names:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(names)}")
        return name

    return check


def _list_recipes(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        click.echo("\n".join(recipes().lines()))
        context.exit()


@click.command(short_help="Train a head on a store and keep it as a run.")
@click.argument("store", type=PATH)
@click.argument("run", type=PATH)
@click.option(
    "--recipe", "recipe_name", help="A published recipe, such as actionclip, or a .toml file; other options change it."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set any key of the recipe, such as head.num_layers=2.",
)
@click.option("--head", callback=_one_of(HEADS), help=f"What pools the frames: mean, lstm ...  [{Recipe.head}]")
@click.option(
    "--init", type=click.Choice(["text-tower"]), help="Start the blocks of --head vivit from CLIP's text blocks."
)
@click.option(
    "--head-mix",
    help=f"The share of the frames' plain mean in the pooled embedding, or auto.  [{Recipe.head_mix:g}]",
)
@click.option(
    "--classifier", callback=_one_of((*CLASSIFIERS, *SCORERS)), help=f"text, linear ...  [{Recipe.classifier}]"
)
@click.option(
    "--loss",
    help=f"A loss of docs/methods.md, such as kl, or a sum: 'ce + 0.5 froster'.  [{Recipe.loss}; without texts: ce]",
)
@click.option("--shots", "--shot", type=click.IntRange(0), help="Train on K videos of each class; 0 means all.")
@text_options
@lexicon_option
@click.option(
    "--scoring",
    type=click.Choice(["probabilities", "embeddings"]),
    help=f"Average the templates' probabilities (ActionCLIP) or their embeddings (CLIP).  [{Recipe.scoring}]",
)
@click.option("--split", default="train", help="The split to train on, or all.")
@click.option("--val-split", help="Choose the epoch by this split.  [val, else a part of the training videos]")
@click.option(
    "--val-fraction",
    type=float,
    help=f"That part; 0 keeps the last epoch, and so do --shots.  [{Recipe.val_fraction:g}]",
)
@click.option(
    "--views",
    type=click.Choice(["random", "all", "first"]),
    help="Of several views and clips of a video: train on one drawn for each epoch, on all, or on the first.  "
    f"[{Recipe.views}]",
)
@click.option("--frames", type=click.IntRange(0), help="Use N of the stored frames of each video; 0 is all of them.")
@click.option(
    "--epochs",
    type=click.IntRange(0),
    help=f"Passes over the training videos.  [{Recipe.epochs}, or enough for {MIN_STEPS} steps]",
)
@click.option("--batch-size", type=click.IntRange(1), help=f"Videos of a step.  [{Recipe.batch_size}]")
@click.option(
    "--lr",
    type=float,
    help=f"AdamW's, after a rise over a tenth of the steps, before a cosine fall.  [{Recipe.lr:g}]",
)
@click.option("--weight-decay", type=float, help=f"AdamW's, on matrices.  [{Recipe.weight_decay:g}]")
@click.option("--label-smoothing", type=float, help=f"With --loss ce and its like.  [{Recipe.label_smoothing:g}]")
@click.option(
    "--frame-dropout", type=float, help=f"Leave a frame out of a step with this chance.  [{Recipe.frame_dropout:g}]"
)
@click.option("--frame-norm/--no-frame-norm", default=None, help="Make each frame's embedding unit before the head.")
@click.option(
    "--seed", type=int, help=f"Draws the weights, the order, the shots and the validation videos.  [{Recipe.seed}]"
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "auto"]),
    help="The head computes in fp32, in bf16, or in bf16 where the hardware has it; losses and scores are fp32.  "
    f"[{Recipe.precision}]",
)
@device_option
@click.option(
    "--list", is_flag=True, is_eager=True, expose_value=False, callback=_list_recipes,
    help="Print the published recipes, with papers and when to use each, and stop.",
)  # fmt: skip
@click.option("--budget", help="How long to try ways for where none is named, such as 5m.  [50s]")
@click.option("--tensorboard", is_flag=True, help="Also write a log for TensorBoard into RUN.")
@click.option(
    "--track",
    multiple=True,
    type=click.Choice(tuple(TRACKERS)),
    help="Also write the epochs there; may be given twice.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing run.")
@click.option("--resume", is_flag=True, help="Go on from the last state that a killed training of this run kept.")
@click.option(
    "--save-every",
    type=click.FloatRange(0),
    help=f"Seconds between two states of the training, which are kept after an epoch.  [{SAVE_EVERY:g}]",
)
@json_option
def train(
    store: Path,
    run: Path,
    recipe_name: str | None,
    settings: tuple[str, ...],
    head_mix: str | None,
    budget: str | None,
    tensorboard: bool,
    track: tuple[str, ...],
    as_json: bool,
    **choices: Any,
) -> None:
    """Train a head on STORE and keep it in the folder RUN, with its log and recipe.

    Where no option says how to train, several ways are tried on videos that they were not trained on. The best is the
    run. Where one does, the rest is as its help says in brackets.

    \b
    framebank train bank run
    framebank train bank run --head transformer
    framebank train bank probe --head mean --classifier linear
    framebank train bank mit --recipe mitx --set head.num_layers=2
    torchrun --nproc-per-node 4 -m framebank.cli train bank run --head mit     one process for each GPU
    """
    given = {name: choices.pop(name) for name in GIVEN}
    prompts, templates, texts, lexicon = (given[name] for name in ("prompts", "templates", "texts", "lexicon"))
    keys = pairs(settings)
    require_once(keys, {**choices, "head_mix": head_mix, "templates": templates, "texts": texts})
    require_keys(keys)
    if head_mix and head_mix != "auto":
        choices["head_mix"] = _read_share(head_mix)
    if recipe_name:
        require_recipe(recipe_name)
    if choices["loss"]:
        require_losses(choices["loss"])
    require_alone(prompts, labels=given["labels"], templates=templates, texts=texts)

    from framebank.library.stores import open_store

    bank = open_store(store)  # what is wrong with it is told before torch is loaded
    found = {name: value for name, value in choices.items() if value is not None}
    if not (recipe_name or keys or lexicon or head_mix or tensorboard or track) and is_auto(found):
        del given["lexicon"]
        _train_auto(bank, run, found, budget=budget, as_json=as_json, **given)
        return
    if budget:
        raise click.UsageError("--budget is for a training that finds its head; give no option that says how to train")

    from framebank.heads.training.distributed import Ranks
    from framebank.library.training import recipe_of
    from framebank.library.training import train as fit

    recipe = recipe_of(recipe_name, found, keys)
    if lexicon and not recipe.reads_lexicon:
        raise click.UsageError(f"the classifier {recipe.classifier!r} reads no lexicon; --lexicon is for attributes")
    if not recipe.reads_texts and (prompts or templates or texts):
        raise click.UsageError(
            f"the classifier {recipe.classifier!r} reads no texts; --prompts, --templates, --texts are"
        )
    bar = BarOfParts(per="epoch", unit="step", facts=epoch_facts)
    trained = fit(
        bank,
        run,
        recipe=recipe,
        **given,
        head_mix="auto" if head_mix == "auto" else None,
        watch=watching_trackers(run, bar.watch, {*track, *["tensorboard"] * tensorboard}),
        tell=bar.tell,
    )
    if Ranks().is_first:
        lines = [*trained.lines(), _next(bank, run)]
        print_report(trained.to_dict(), as_json=as_json, lines=lines)


def _train_auto(
    bank: "FeatureStore", run: Path, keys: dict[str, Any], *, split: str, as_json: bool, **options: Any
) -> None:
    manifest, steps = bank.split(split), BarOfParts(per="epoch", unit="step", facts=epoch_facts)
    with Bar(unit="method") as bar:

        def told(one: "TriedCandidate", done: int, total: int) -> None:
            bar.move(done, total)
            bar.show(**{one.name: one.reason if one.score is None else percent(one.score)})

        watched: dict[str, Any] = {"told": told, "watch": steps.watch, "tell": steps.tell}
        trained = train_auto(bank, manifest, run, keys=keys, split=split, **watched, **options)
    print_report(trained.to_dict(), as_json=as_json, lines=[*trained.lines(), _next(bank, run)])


def _next(bank: "FeatureStore", run: Path) -> str:
    if bank.manifest.split_named("test") in bank.manifest.split_sizes:
        return f"next: framebank evaluate {run}"
    return (
        f"next: framebank label VIDEO --run {run}; `evaluate` needs videos in a split that the run was not trained on"
    )


def epoch_facts(epoch: "Epoch", number: int, total: int) -> dict[str, str]:
    """Return what a progress bar says of an epoch."""
    validation = {} if math.isnan(epoch.val_score) else {"validation": percent(epoch.val_score)}
    return {"epoch": f"{epoch.number} of {total}", "loss": f"{epoch.loss:.3f}", **validation}


def _read_share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.UsageError(f"--head-mix is {text!r}; expected a number from 0 to 1, or auto") from None
