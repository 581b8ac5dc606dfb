"""Compare: several recipes on one store, in one table."""

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.encoder_options import open_split, prompt_banks
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
from framebank.commands.printing import Bar, percent, print_report, table
from framebank.library.figures.pairs import RunPairs, pairs_of_recipes
from framebank.library.report import protocol_lines
from framebank.library.texts import tower_of
from framebank.store.counts import counted

if TYPE_CHECKING:
    from framebank.heads.evaluation.compare import Standing, Trial

COLUMNS = ("recipe", "score", "over seeds", "95 %", "class mean", "train s", "parameters")


@click.command(short_help="Train several recipes and put them in one table.")
@click.argument("store", type=PATH)
@click.argument("out", type=PATH)
@click.option("--recipes", "names", default="all", help="Names or .toml files, with commas between them.  [all]")
@click.option("--seeds", default=3, type=click.IntRange(1), help="How many times each is trained: seeds from 0 on.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a key in every recipe: epochs=20.")
@click.option("--workers", default=1, type=click.IntRange(1), help="How many are trained at once, in processes.")
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
        raise click.UsageError("--set seed is not for a comparison, which takes seeds from 0 on; expected --seeds")
    require_keys(keys)
    for name in [] if names == "all" else filter(None, map(str.strip, names.split(","))):
        require_recipe(name)
    require_alone(texts["prompts"], labels=texts["labels"], templates=texts["templates"], texts=texts["texts"])

    from framebank.extract.encoders.encoder import resolve_device
    from framebank.heads.evaluation.compare import Comparison, run_trials, standings, to_json
    from framebank.heads.evaluation.plot import draw_standings
    from framebank.heads.training.lexicon import Lexicon
    from framebank.heads.training.recipe import read_recipe, recipe_names
    from framebank.store import DataError, LabelSet
    from framebank.store.files.place import owning
    from framebank.store.files.replacing import replacing_together

    wanted = recipe_names() if names == "all" else [name.strip() for name in names.split(",") if name.strip()]
    recipes = {Path(name).stem: read_recipe(name).with_settings(keys) for name in wanted}
    if len(recipes) < len(wanted):
        raise DataError(f"--recipes {names}: two recipes have the same name; expected different names")
    if lexicon and not any(recipe.reads_lexicon for recipe in recipes.values()):
        raise click.UsageError("none of the recipes reads a lexicon; --lexicon is for the classifier attributes")
    features, train = open_split(store, train_split)
    phrases = Lexicon.read(lexicon, spec=features.spec, where=store) if lexicon else None
    _, test = open_split(store, split)
    bank, without = None, ""
    if any(recipe.reads_texts for recipe in recipes.values()):
        kind = texts["texts"] or (None if texts["prompts"] else "names")
        try:
            bank = prompt_banks(features, train, device=device, **{**texts, "texts": kind})[0]
        except DataError as error:
            if texts["prompts"] or texts["labels"] or all(recipe.reads_texts for recipe in recipes.values()):
                raise
            without = str(error)  # the recipes that read no texts can be trained
    classes = LabelSet.read(texts["labels"]) if texts["labels"] else LabelSet.of(train.labelled().labels)
    click.get_current_context().with_resource(owning(out, what="comparison"))
    if (out / "compare.json").exists():
        raise DataError(f"{out}: already holds a comparison; choose another folder")
    comparison = Comparison(
        features,
        train,
        test,
        split,
        bank.labels if bank else classes,
        resolve_device(device),
        out,
        prompts=bank,
        tower=tower_of(features, device=device),
        lexicon=phrases,
    )
    done = []
    with Bar(unit="epoch") as bar:
        for trial in run_trials(comparison, recipes, seeds=range(seeds), workers=workers, tell=bar.move):
            done.append(trial)
            last = f"{trial.recipe}, refused" if trial.refused else f"{trial.recipe}, seed {trial.seed}"
            bar.show(runs=f"{sum(not one.refused for one in done)} of {len(recipes) * seeds}", last=last)
    found = standings(done)
    made_by = [trial.report["made_by"] for trial in done if not trial.refused]
    told = next((facts for facts in made_by if facts.get("templates")), made_by[0] if made_by else None)
    facts = protocol_lines(told)[:-1] if told else []
    lines = table(COLUMNS, [_cells(standing) for standing in found])
    beside = pairs_of_recipes(out, [standing.recipe for standing in found])
    values = {**to_json(done), "pairs": beside.to_dict()["pairs"] if beside else []}
    refused = [f"not run: {trial.recipe}: {trial.refused}" for trial in done if trial.refused]
    refused += [without] * bool(without)
    undrawn = []
    with replacing_together(out) as part:
        (part / "compare.csv").write_text(_csv(done), encoding="utf-8")
        (part / "compare.md").write_text(_markdown(found, refused, facts), encoding="utf-8")
        (part / "compare.json").write_text(json.dumps(values, indent=1), encoding="utf-8")
        try:
            if found:
                draw_standings(found, part / "compare.png")
        except DataError as error:
            undrawn = [f"not drawn: {error}"]
    print_report(
        values,
        as_json=as_json,
        lines=[
            *lines,
            *_beside(beside),
            *facts,
            "",
            *refused,
            *undrawn,
            f"{counted(sum(not trial.refused for trial in done), 'run')} -> {out}",
        ],
    )
    if not found:
        raise DataError(f"{out}: no recipe could be trained on {store}; the reasons are above")


def _beside(pairs: RunPairs | None) -> list[str]:
    """The best recipe beside each other one, on the same videos and seeds."""
    if pairs is None:
        return []
    best = pairs.first.name
    rows = []
    for pair in pairs.pairs:
        low, high = pair.paired.interval
        ends = f"{100 * low:+.1f} to {100 * high:+.1f}"
        rows.append((pair.run.name, f"{100 * pair.paired.difference:+.1f}", ends, pair.paired.verdict))
    return ["", *table((f"beside {best}", "points", "95 %", "verdict"), rows)]


def _cells(standing: "Standing") -> tuple[str, ...]:
    low, high = standing.interval or (None, None)
    return (
        standing.recipe,
        percent(standing.score),
        f"+- {100 * standing.deviation:.1f} ({standing.seeds})",
        "-" if low is None or high is None else f"{100 * low:.1f}-{100 * high:.1f}",
        "-" if standing.mean_class_accuracy is None else percent(standing.mean_class_accuracy),
        f"{standing.seconds:.1f}",
        f"{standing.parameters:,}",
    )


def _markdown(found: "list[Standing]", refused: list[str], facts: list[str]) -> str:
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(_cells(standing) for standing in found)]
    body = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return "\n\n".join([body, *refused, *(fact for fact in facts if fact)]) + "\n"


def _csv(trials: "list[Trial]") -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    measured = ("top1", "map", "mean_class_accuracy", "videos_evaluated")
    writer.writerow(("recipe", "seed", *measured, "seconds", "parameters", "refused"))
    for trial in trials:
        metrics = [trial.report.get(name, "") for name in measured]
        writer.writerow((trial.recipe, trial.seed, *metrics, f"{trial.seconds:.3f}", trial.parameters, trial.refused))
    return text.getvalue()
