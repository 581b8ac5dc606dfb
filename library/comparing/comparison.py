"""Comparison of recipes: train several on one store with the same videos, texts and seeds, in one table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.heads.progress import Tell, tell_nobody
from framebank.library.checks import require_least, typed
from framebank.library.figures.pairs import RunPairs, pairs_of_recipes
from framebank.library.figures.report import protocol_lines
from framebank.library.stores import open_store
from framebank.library.table import csv_table, html_table, markdown_table, percent, table
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.heads.evaluation.compare import Standing, Trial
    from framebank.heads.training.recipe import Recipe
    from framebank.store import FeatureStore, LabelSet, Manifest, PromptBank

COLUMNS = ("recipe", "score", "over seeds", "95 %", "class mean", "train s", "parameters")
MEASURED = ("top1", "map", "mean_class_accuracy", "videos_evaluated")


@dataclass(frozen=True, repr=False)
class RecipeComparison:
    """The score of each recipe. It prints as the command `compare` does.

    `standings` are the recipes that could be trained, best first, each over its seeds. `trials` has each training, with
    the reason if a recipe was refused. `notes` say what else could not be done. `path` is the folder of the runs and of
    the tables. `pairs` compares the best recipe with each other one, on the same videos and seeds.
    """

    path: Path
    standings: tuple["Standing", ...]
    trials: tuple["Trial", ...]
    notes: tuple[str, ...] = ()
    pairs: RunPairs | None = None

    @property
    def refused(self) -> dict[str, str]:
        """The recipes that this store cannot serve, with the reasons."""
        return {trial.recipe: trial.refused for trial in self.trials if trial.refused}

    def to_dict(self) -> dict[str, Any]:
        """Return standings and trials as plain values."""
        from framebank.heads.evaluation.compare import to_json

        return {**to_json(self.trials), "pairs": self.pairs.to_dict()["pairs"] if self.pairs else []}

    def lines(self) -> list[str]:
        """Return the tables, what made the figures, and what could not be done, a line each."""
        done = counted(sum(not trial.refused for trial in self.trials), "run")
        beside = ["", *table(*self._beside(self.pairs))] if self.pairs else []
        return [*table(COLUMNS, self._rows()), *beside, *self._facts(), "", *self._left_out(), f"{done} -> {self.path}"]

    def markdown(self) -> str:
        """Return the tables in Markdown, what was left out, and what made the figures."""
        tables = [markdown_table(COLUMNS, self._rows())]
        if self.pairs:
            tables.append(markdown_table(*self._beside(self.pairs)))
        bodies = ["\n".join(lines) for lines in tables]
        return "\n\n".join([*bodies, *self._left_out(), *filter(None, self._facts())]) + "\n"

    def csv(self) -> str:
        """Return a CSV with one line for each training."""
        header = ("recipe", "seed", *MEASURED, "seconds", "parameters", "refused")
        rows = []
        for one in self.trials:
            metrics = [one.report.get(name, "") for name in MEASURED]
            rows.append((one.recipe, one.seed, *metrics, f"{one.seconds:.3f}", one.parameters, one.refused))
        return csv_table(header, rows)

    def _beside(self, pairs: RunPairs) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """The header and the rows of the best recipe beside each other one."""
        rows: list[tuple[str, ...]] = []
        for pair in pairs.pairs:
            low, high = pair.paired.interval
            ends = f"{100 * low:+.1f} to {100 * high:+.1f}"
            rows.append((pair.run.name, f"{100 * pair.paired.difference:+.1f}", ends, pair.paired.verdict))
        return (f"beside {pairs.first.name}", "points", "95 %", "verdict"), rows

    def _rows(self) -> list[tuple[str, ...]]:
        return [_cells(standing) for standing in self.standings]

    def _facts(self) -> list[str]:
        """Return how the figures were made, from a recipe that reads texts if there is one, without its hash."""
        made_by = [trial.report["made_by"] for trial in self.trials if not trial.refused]
        told = next((facts for facts in made_by if facts.get("templates")), made_by[0] if made_by else None)
        return protocol_lines(told)[:-1] if told else []

    def _left_out(self) -> list[str]:
        return [*(f"not run: {name}: {reason}" for name, reason in self.refused.items()), *self.notes]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        below = [*self._facts(), *self._left_out()]
        if not self.pairs:
            return html_table(COLUMNS, self._rows(), below=below)
        return html_table(COLUMNS, self._rows()) + html_table(*self._beside(self.pairs), below=below)


@typed
def compare_recipes(
    bank: "FeatureStore | str | Path",
    folder: str | Path,
    recipes: "str | Sequence[str | Path] | Mapping[str, Recipe]" = "all",
    *,
    seeds: int = 3,
    settings: "Mapping[str, Any] | None" = None,
    split: str = "test",
    train_split: str = "train",
    labels: "LabelSet | Sequence[str] | str | Path | None" = None,
    prompts: "PromptBank | str | Path | None" = None,
    templates: str | Sequence[str] | None = None,
    texts: str | None = None,
    lexicon: str | Path | None = None,
    workers: int = 1,
    device: str = "auto",
    watch: Watch = unwatched,
    tell: Tell = tell_nobody,
) -> RecipeComparison:
    """Train recipes on a store with the same videos, texts and seeds, and put them into one table.

    `recipes` are names of published recipes, .toml files, or Recipes by name; "all" means every published one. Each is
    trained `seeds` times on `train_split` and scored on `split`; `settings` are set in each ({"epochs": 20}). `workers`
    is how many are trained at once, in processes. `folder` gets compare.json, .csv, .md and .png, and a run for each
    recipe and seed. `tell` is called after each epoch. A recipe that the store cannot serve is left out, with a note.
    DataError if the folder holds a comparison, or if two recipes have the same name.

    >>> import framebank as fb
    >>> print(fb.compare_recipes("demo-out/store", "table", ["a5", "linear-probe"], seeds=1))  # doctest: +SKIP
    """
    require_least("seeds", seeds, 1)
    require_least("workers", workers, 1)
    store, folder = open_store(bank), Path(folder)
    train_split, split = map(store.manifest.split_named, (train_split, split))
    train, test = store.split(train_split), store.split(split)

    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.evaluation.compare import Comparison, run_trials, standings
    from framebank.heads.evaluation.evaluate import require_measurable, zero_shot_hint
    from framebank.heads.training.lexicon import Lexicon
    from framebank.library.texts import label_set, tower_of
    from framebank.store import LabelSet
    from framebank.store.files.kinds import refuse_inside_own
    from framebank.store.files.place import owning

    chosen = read_recipes(recipes, settings or {})
    if lexicon and not any(recipe.reads_lexicon for recipe in chosen.values()):
        raise DataError("none of the recipes reads a lexicon; it is for the classifier 'attributes'")
    phrases = Lexicon.read(lexicon, spec=store.spec, where=store.path) if lexicon else None
    given = {"labels": labels, "prompts": prompts, "templates": templates, "texts": texts}
    refuse_inside_own(folder, itself=True)
    with owning(folder, what="comparison"):
        if (folder / "compare.json").exists():
            raise DataError(f"{folder}: already holds a comparison; choose another folder")
        found, without = _texts(store, train, chosen, given, device=device, watch=watch)
        classes = found.labels if found else label_set(labels) if labels else LabelSet.of(train.labelled().labels)
        hint, mine = zero_shot_hint(store), "the set of classes" if labels or prompts else "the training videos"
        require_measurable(store, test, classes, split=split, hint=hint, mine=mine, multi_label=True)
        comparison = Comparison(
            store,
            train,
            test,
            split,
            classes,
            resolve_device(device),
            folder,
            prompts=found,
            tower=tower_of(store, device=device),
            lexicon=phrases,
        )
        trials = run_trials(comparison, chosen, seeds=range(seeds), workers=workers, tell=tell)
        done = list(watch(trials, total=len(chosen) * seeds, unit="trial"))
        found_standings = tuple(standings(done))
        pairs, unpaired = pairs_of_recipes(folder, {one.recipe: one.seeds for one in found_standings})
        of_videos = dict.fromkeys(note for trial in done for note in trial.notes)
        notes = (*((without,) if without else ()), *of_videos, *unpaired)
        made = RecipeComparison(folder, found_standings, tuple(done), notes, pairs)
        return _keep(made) if made.standings else made


def read_recipes(
    recipes: "str | Sequence[str | Path] | Mapping[str, Recipe]", settings: Mapping[str, Any]
) -> "dict[str, Recipe]":
    """Return recipes by name, with some keys set. DataError if two have the same name, or if a key is unknown."""
    from framebank.heads.training.recipe import read_recipe, recipe_names
    from framebank.library.training import setting_texts

    if isinstance(recipes, Mapping):
        return {name: recipe.with_settings(setting_texts(settings)) for name, recipe in recipes.items()}
    wanted = recipe_names() if recipes == "all" else [recipes] if isinstance(recipes, str) else list(recipes)
    if not wanted:
        raise DataError("no recipe is named; expected names such as a5 and linear-probe, or all")
    found = {Path(name).stem: read_recipe(name).with_settings(setting_texts(settings)) for name in wanted}
    if len(found) < len(wanted):
        told = ", ".join(map(str, wanted))
        raise DataError(f"of the recipes {told} two have the same name; expected different names")
    return found


def _texts(
    store: "FeatureStore",
    train: "Manifest",
    recipes: "Mapping[str, Recipe]",
    given: Mapping[str, Any],
    *,
    device: str,
    watch: Watch,
) -> "tuple[PromptBank | None, str]":
    """Return the texts of the classes if a recipe reads them; or none, and why, if others can be trained without."""
    from framebank.library.texts import prompt_banks

    reading = [recipe.reads_texts for recipe in recipes.values()]
    if not any(reading):
        return None, ""
    kind = given["texts"] or (None if given["prompts"] else "names")
    try:
        return prompt_banks(store, train, **{**given, "texts": kind}, device=device, watch=watch)[0], ""
    except DataError as error:
        if given["prompts"] or given["labels"] or all(reading):
            raise
        return None, str(error)


def _keep(made: RecipeComparison) -> RecipeComparison:
    """Write the tables and the plot, all of them or none. Return the comparison with a note on what failed."""
    from framebank.heads.evaluation.plot import draw_standings
    from framebank.store.files.replacing import replacing_together

    undrawn: list[str] = []
    with replacing_together(made.path) as part:
        (part / "compare.csv").write_text(made.csv(), encoding="utf-8")
        (part / "compare.md").write_text(made.markdown(), encoding="utf-8")
        (part / "compare.json").write_text(json.dumps(made.to_dict(), indent=1), encoding="utf-8")
        try:
            if made.standings:
                draw_standings(list(made.standings), part / "compare.png")
        except DataError as error:
            undrawn = [f"not drawn: {error}"]
    return replace(made, notes=(*made.notes, *undrawn))


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
