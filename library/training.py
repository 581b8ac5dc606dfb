"""Training: a head on the rows of a store, kept as a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.auto import is_auto, train_auto
from framebank.library.trained_run import TrainedRun
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError

if TYPE_CHECKING:
    import torch

    from framebank.heads.training.job import TrainingJob
    from framebank.heads.training.lexicon import Lexicon
    from framebank.heads.training.recipe import Recipe
    from framebank.store import FeatureStore, LabelSet, Manifest, PromptBank


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
    labels: "LabelSet | Sequence[str] | str | Path | None" = None,
    prompts: "PromptBank | str | Path | None" = None,
    templates: "str | Sequence[str] | None" = None,
    texts: str | None = None,
    settings: "dict[str, Any] | None" = None,
    budget: str | float | None = None,
    overwrite: bool = False,
    device: str = "auto",
    watch: Watch = unwatched,
    **keys: Any,
) -> TrainedRun:
    """Train a head on a split of a store and keep it as a run in `folder`.

    `recipe` is the name of a published one ("actionclip"), a .toml file or a Recipe; `head`, `classifier`, `loss`,
    `shots` and any further key of a recipe (`epochs=20`, `lr=1e-3`) go over it, and `settings` reach options
    ({"head.num_layers": 2}). Where nothing says how to train, several ways are tried within the `budget` (seconds, or
    "5m"), judged by videos that they were not trained on, and the best is the run; its `choice` says what was tried.
    Where something does, what is not given is as in ActionCLIP: the transformer on texts, by its KL loss. `labels` are
    class names or a file of them, `prompts` what `fb.prompts` returned or a file of it. DataError where the folder
    holds a run (unless `overwrite` is given), an index or a store, a key is not known, or the split has no labels.

    >>> import framebank as fb
    >>> run = fb.train("demo-out/store", "run", head="mean", classifier="linear", loss="ce")   # doctest: +SKIP
    >>> print(run.evaluate(split="test"))                                                      # doctest: +SKIP
    """
    from framebank.library.stores import open_store

    store, folder = open_store(bank), Path(folder)
    manifest = store.split(split)

    from framebank.extract.encoders.encoder import resolve_device
    from framebank.heads.training.folder import taking

    given = {"head": head, "classifier": classifier, "loss": loss, "shots": shots, **keys}
    given = {name: value for name, value in given.items() if value is not None}
    chosen = recipe_of(recipe, given, settings or {})
    finds = recipe is None and not settings and is_auto(given)
    if budget is not None and not finds:
        raise DataError("budget is for a training that finds its head; expected none beside a recipe or its keys")
    if finds:
        return train_auto(
            store,
            manifest,
            folder,
            keys=given,
            budget=budget,
            val_split=val_split,
            labels=labels,
            prompts=prompts,
            templates=templates,
            texts=texts,
            overwrite=overwrite,
            device=device,
            watch=watch,
        )
    with taking(folder, what="run", overwrite=overwrite):
        job = training_job(
            store,
            manifest,
            chosen,
            val_split=val_split,
            labels=labels,
            prompts=prompts,
            templates=templates,
            texts=texts,
            device=resolve_device(device),
            watch=watch,
        )
        log = list(watch(job.epochs(), total=job.recipe.epochs, unit="epoch"))
        return TrainedRun(folder.absolute(), job.save(folder, log=log), device)


def training_job(
    store: "FeatureStore",
    manifest: "Manifest",
    recipe: "Recipe",
    *,
    device: "torch.device",
    val_split: str | None = None,
    labels: "LabelSet | Sequence[str] | str | Path | None" = None,
    prompts: "PromptBank | str | Path | None" = None,
    templates: "str | Sequence[str] | None" = None,
    texts: str | None = None,
    lexicon: "Lexicon | None" = None,
    chooses_head_mix: bool = False,
    watch: Watch = unwatched,
) -> "TrainingJob":
    """Return the training of a recipe on the videos of `manifest`, with its texts embedded where it reads any.

    What is not given of the texts is as the recipe has it. DataError where the texts do not cover the labels, are of
    another encoder, or are given for a classifier that reads none.
    """
    from framebank.heads.training.job import TrainingJob
    from framebank.library.texts import label_set, prompt_banks, tower_of

    bank = None
    if recipe.reads_texts:
        if recipe.text == "context" and not prompts:
            templates = "bare"  # it learns what else would stand around the names
        bank = prompt_banks(
            store,
            manifest,
            labels=labels,
            prompts=prompts,
            templates=templates or (None if prompts else recipe.templates or None),
            texts=texts or (None if prompts else recipe.texts),
            device=str(device),
            watch=watch,
        )[0]
    elif prompts or templates or texts:
        raise DataError(
            f"the classifier {recipe.classifier!r} reads no texts; expected no prompts, templates or texts for it"
        )
    return TrainingJob(
        store,
        manifest,
        recipe,
        val_split=val_split,
        labels=label_set(labels) if labels else None,
        prompts=bank,
        tower=tower_of(store, device=str(device)),
        lexicon=lexicon,
        chooses_head_mix=chooses_head_mix,
        device=device,
    )


def recipe_of(recipe: "Recipe | str | Path | None", choices: dict[str, Any], settings: dict[str, Any]) -> "Recipe":
    """Return a recipe with some of its keys and options set; DataError for a key that is none."""
    from framebank.heads.training.recipe import Recipe, read_recipe, with_choices

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
