"""Compare: several recipes on one store, in one table."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.names import require_keys, require_recipe
from framebank.commands.options import (
    PATH,
    device_option,
    json_option,
    lexicon_option,
    pairs,
    require_alone,
    require_once,
    split_option,
    text_options,
)
from framebank.commands.printing import BarOfParts, print_report

if TYPE_CHECKING:
    from framebank.heads.evaluation.compare import Trial


@click.command(short_help="Train several recipes and put them in one table.")
@click.argument("store", type=PATH)
@click.argument("out", type=PATH)
@click.option("--recipes", "names", default="all", help="Names or .toml files, with commas between them.  [all]")
@click.option("--seeds", default=3, type=click.IntRange(1), help="How often each is trained, with the seeds 0, 1, ...")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a key in every recipe, such as epochs=20."
)
@click.option(
    "--workers", default=1, type=click.IntRange(1), help="How many are trained at the same time, each in a process."
)
@text_options
@lexicon_option
@click.option("--train-split", default="train", help="The split to train on, or all.")
@split_option
@device_option
@json_option
def compare(
    store: Path,
    out: Path,
    names: str,
    seeds: int,
    settings: tuple[str, ...],
    workers: int,
    lexicon: Path | None,
    train_split: str,
    split: str,
    device: str,
    as_json: bool,
    **texts: Any,
) -> None:
    """Train recipes on STORE with the same videos, texts and seeds; write one table and one plot into OUT.

    OUT gets compare.json, compare.csv, compare.md, compare.png and a run for each recipe and seed.

    \b
    framebank compare bank table --recipes actionclip,a5,linear-probe --seeds 3
    """
    keys = pairs(settings)
    require_once(keys, texts)
    if "seed" in keys:
        raise click.UsageError("--set seed does not work here: a comparison uses the seeds 0, 1, ...; expected --seeds")
    require_keys(keys)
    for name in [] if names == "all" else filter(None, map(str.strip, names.split(","))):
        require_recipe(name)
    require_alone(texts["prompts"], labels=texts["labels"], templates=texts["templates"], texts=texts["texts"])

    from framebank.library.stores import open_store

    bank = open_store(store)  # what is wrong with it is told before torch is loaded

    from framebank.library.comparing.comparison import compare_recipes, read_recipes
    from framebank.store import DataError

    wanted = "all" if names == "all" else [name.strip() for name in names.split(",") if name.strip()]
    if lexicon and not any(recipe.reads_lexicon for recipe in read_recipes(wanted, keys).values()):
        raise click.UsageError("none of the recipes reads a lexicon; --lexicon is for the classifier attributes")
    bar = BarOfParts(per="trial", unit="epoch", facts=_facts)
    found = compare_recipes(
        bank,
        out,
        wanted,
        seeds=seeds,
        settings=keys,
        split=split,
        train_split=train_split,
        lexicon=lexicon,
        workers=workers,
        device=device,
        **texts,
        watch=bar.watch,
        tell=bar.tell,
    )
    print_report(found.to_dict(), as_json=as_json, lines=found.lines())
    if not found.standings:
        raise DataError(f"{out}: no recipe could be trained on {store}; the reasons are above")


def _facts(trial: "Trial", number: int, total: int) -> dict[str, str]:
    last = f"{trial.recipe}, refused" if trial.refused else f"{trial.recipe}, seed {trial.seed}"
    return {"runs": f"{number} of {total}", "last": last}
