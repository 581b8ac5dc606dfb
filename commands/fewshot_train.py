"""The command that trains a matcher by episodes: fewshot-train."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.fewshot_options import matcher_option, shot_option
from framebank.commands.names import MATCHERS, require_matcher
from framebank.commands.options import PATH, device_option, json_option, require_alone, text_options
from framebank.commands.printing import BarOfParts, percent, print_report
from framebank.heads.fewshot.recipe import FewshotRecipe

if TYPE_CHECKING:
    from framebank.heads.fewshot.loop import Stage


@click.command(name="fewshot-train", short_help="Train a matcher by episodes.")
@click.argument("store", type=PATH)
@click.argument("run", type=PATH)
@click.option(
    "--matcher",
    default=FewshotRecipe.matcher,
    help="trx, hyrsm, hyrsm++, clip-fsar, ma-clip, gghm, sloshnet, linear.",
)
@matcher_option
@click.option("--way", default=FewshotRecipe.way, type=click.IntRange(2), help="Classes of an episode.")
@shot_option
@click.option("--query", default=FewshotRecipe.query, type=click.IntRange(1), help="Queries of each class.")
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
    "--frames",
    default=FewshotRecipe.frames,
    type=click.IntRange(0),
    help="Use N of the stored frames of each video, 8 as in the papers; 0 means all.",
)
@text_options
@click.option("--steps", default=FewshotRecipe.steps, type=click.IntRange(1), help="Steps of training.")
@click.option("--episodes", default=FewshotRecipe.episodes, type=click.IntRange(1), help="Episodes of a step.")
@click.option(
    "--lr",
    default=FewshotRecipe.lr,
    help="Learning rate of AdamW: up over a tenth of the steps, then a cosine fall.",
)
@click.option("--weight-decay", default=FewshotRecipe.weight_decay, help="Weight decay of AdamW, on matrices.")
@click.option(
    "--val-every", default=FewshotRecipe.val_every, type=click.IntRange(1), help="Steps between two validations."
)
@click.option(
    "--val-episodes",
    default=FewshotRecipe.val_episodes,
    type=click.IntRange(1),
    help="Episodes of a validation, always the same.",
)
@click.option("--seed", default=FewshotRecipe.seed, help="Decides the first weights and the episodes.")
@device_option
@click.option("--overwrite", is_flag=True, help="Replace an existing matcher.")
@json_option
def fewshot_train(
    store: Path,
    run: Path,
    class_splits: tuple[Path, ...],
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
    texts = {name: choices.pop(name) for name in ("labels", "prompts", "templates", "texts")}
    require_alone(texts["prompts"], labels=texts["labels"], templates=texts["templates"], texts=texts["texts"])

    from framebank.heads.matchers import READS_TEXT
    from framebank.library.episodes.training import fewshot_train as train

    if choices["matcher"] not in READS_TEXT and any(texts.values()):
        raise click.UsageError(
            f"the matcher {choices['matcher']!r} reads no texts; --labels, --prompts, --templates, --texts are for "
            f"those that do: {', '.join(READS_TEXT)}"
        )
    bar = BarOfParts(per="stage", unit="step", facts=_facts)
    trained = train(store, run, class_splits=class_splits, **texts, **choices, watch=bar.watch, tell=bar.tell)
    splits = (f"--class-split {path}" for path in class_splits)
    then = " ".join(["next: framebank fewshot", f"{store}", f"--run {run}", *splits])
    print_report(trained.to_dict(), as_json=as_json, lines=[*trained.lines(), then])


def _facts(stage: "Stage", number: int, total: int) -> dict[str, str]:
    validation = {} if math.isnan(stage.val_accuracy) else {"validation": percent(stage.val_accuracy)}
    return {"loss": f"{stage.loss:.3f}", **validation}
