"""Training: a head on the rows of a store, kept as a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.trained_run import TrainedRun
from framebank.library.watch import Watch, unwatched

if TYPE_CHECKING:
    from framebank.heads.recipe import Recipe
    from framebank.store import FeatureStore


def train(
    bank: "FeatureStore | str | Path",
    folder: str | Path,
    *,
    recipe: "Recipe | str | Path | None" = None,
    head: str | None = None,
    classifier: str | None = None,
    loss: str | None = None,
    shots: int | None = None,
    split: str = "train",
    val_split: str | None = None,
    labels: str | Path | None = None,
    prompts: str | Path | None = None,
    templates: str | None = None,
    texts: str | None = None,
    settings: "dict[str, Any] | None" = None,
    overwrite: bool = False,
    device: str = "auto",
    watch: Watch = unwatched,
    **keys: Any,
) -> TrainedRun:
    """Train a head on a split of a store and keep it as a run in `folder`.

    `recipe` is the name of a published one ("actionclip"), a .toml file or a Recipe; `head`, `classifier`, `loss`,
    `shots` and any further key of a recipe (`epochs=20`, `lr=1e-3`) go over it, and `settings` reach options
    ({"head.num_layers": 2}). Without a recipe: the transformer of ActionCLIP on texts, by its KL loss. `labels` is a
    file of the classes, `prompts` one of `framebank prompts`. DataError where the folder holds something already and
    `overwrite` is not given, a key is not known, or the split has no labels.

    >>> import framebank as fb
    >>> run = fb.train("demo-out/store", "run", head="mean", classifier="linear", loss="ce")   # doctest: +SKIP
    >>> run.evaluate(split="test").top1                                                        # doctest: +SKIP
    0.775
    """
    from framebank.library.opening import open_store
    from framebank.store import LabelSet

    store, folder = open_store(bank), Path(folder)
    manifest = store.split(split)

    from framebank.extract.encoder import resolve_device
    from framebank.heads.folder import require_free
    from framebank.heads.job import TrainingJob
    from framebank.library.texts import prompt_banks, tower_of

    given = {"head": head, "classifier": classifier, "loss": loss, "shots": shots, **keys}
    chosen = recipe_of(recipe, {name: value for name, value in given.items() if value is not None}, settings or {})
    require_free(folder, what="run", overwrite=overwrite)
    where = resolve_device(device)
    found = None
    if chosen.reads_texts:
        if chosen.text == "context" and not prompts:
            templates = "bare"
        found = prompt_banks(
            store,
            manifest,
            labels=Path(labels) if labels else None,
            prompts=Path(prompts) if prompts else None,
            templates=templates or (None if prompts else chosen.templates or None),
            texts=texts or (None if prompts else chosen.texts),
            device=device,
            watch=watch,
        )[0]
    job = TrainingJob(
        store,
        manifest,
        chosen,
        val_split=val_split,
        labels=LabelSet.read(labels) if labels else None,
        prompts=found,
        tower=tower_of(store, device=device),
        device=where,
    )
    log = list(watch(job.epochs(), total=job.recipe.epochs, unit="epoch"))
    return TrainedRun(folder, job.save(folder, log=log), device)


def recipe_of(recipe: "Recipe | str | Path | None", choices: dict[str, Any], settings: dict[str, Any]) -> "Recipe":
    """Return a recipe with some of its keys and options set; DataError for a key that is none."""
    from framebank.heads.recipe import Recipe, read_recipe, with_choices

    start = recipe if isinstance(recipe, Recipe) else read_recipe(recipe) if recipe else None
    texts = {name: _as_text(value) for name, value in settings.items()}
    return Recipe.from_choices(with_choices(start.to_dict() if start else {}, choices), settings=texts)


def _as_text(value: object) -> str:
    """A value as --set takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_as_text, value))}]"
    return str(value)
