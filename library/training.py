"""Training: train a head on the rows of a store and keep it as a run."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.heads.progress import Tell, tell_nobody
from framebank.library.auto import is_auto, train_auto
from framebank.library.checks import typed
from framebank.library.searching.near_copies import warn_of_test_copies
from framebank.library.stores import open_store, warn_of_test_split
from framebank.library.trained_run import TrainedRun
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError, warn

if TYPE_CHECKING:
    import torch
    from torch import nn

    from framebank.heads.texts.text import LearnedText
    from framebank.heads.training.job import TrainingJob
    from framebank.heads.training.lexicon import Lexicon
    from framebank.heads.training.recipe import Recipe
    from framebank.store import FeatureStore, LabelSet, Manifest, PromptBank

SAVE_EVERY = 60.0  # seconds between two states of a training


@typed
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
    lexicon: str | Path | None = None,
    head_mix: float | str | None = None,
    settings: "dict[str, Any] | None" = None,
    budget: str | float | None = None,
    overwrite: bool = False,
    resume: bool = False,
    save_every: float | None = None,
    device: str = "auto",
    watch: Watch = unwatched,
    tell: Tell = tell_nobody,
    **keys: Any,
) -> TrainedRun:
    """Train a head on a split of a store and keep it as a run in `folder`.

    `recipe` is the name of a published recipe ("actionclip"), a .toml file or a Recipe. `head`, `classifier`, `loss`,
    `shots` and any other key of a recipe (`epochs=20`, `lr=1e-3`) override it. `settings` also reach the options of a
    part ({"head.num_layers": 2}). If no argument says how to train, several candidates are tried within the `budget`
    (seconds, or "5m") and judged on held-out videos. The best one becomes the run, and its `choice` says what was
    tried. If some argument does, the other keys are those of ActionCLIP: the transformer on texts with its KL loss.
    `labels` are class names or a file of them. `prompts` is the result of `fb.prompts`, or a file of it. `lexicon` is a
    file of phrases for the classifier "attributes". `head_mix` is the share of the plain mean of the frames in the
    output of the head, or "auto" to choose it on the validation videos after the last epoch. Under torchrun, each
    process calls this function and the first one writes. A training keeps its state in `folder`, after an epoch and
    every `save_every` seconds (60), until it has ended. With `resume` it goes on from there after a kill, to the same
    weights; without such a state it starts. DataError if the folder holds a run (unless `overwrite` is
    given), an index or a store, if a key is unknown, or if the split has no labels.

    >>> import framebank as fb
    >>> run = fb.train("demo-out/store", "run", head="mean", classifier="linear", loss="ce")   # doctest: +SKIP
    >>> print(run.evaluate(split="test"))                                                      # doctest: +SKIP
    """
    store, folder = open_store(bank), Path(folder)
    split = store.manifest.split_named(split)
    manifest = store.split(split)

    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.training.distributed import Ranks
    from framebank.heads.training.folder import taking
    from framebank.heads.training.lexicon import Lexicon
    from framebank.heads.training.resume import Keeping

    chooses = head_mix == "auto"
    if isinstance(head_mix, str) and not chooses:
        raise DataError(f"head_mix is {head_mix!r}; expected a number from 0 to 1, or auto")
    given = {"head": head, "classifier": classifier, "loss": loss, "shots": shots, **keys}
    given |= {} if chooses else {"head_mix": head_mix}
    given = {name: value for name, value in given.items() if value is not None}
    chosen = recipe_of(recipe, given, settings or {})
    finds = recipe is None and not (settings or lexicon or chooses) and is_auto(given)
    if budget is not None and not finds:
        raise DataError("budget is for a training that finds its head; expected none beside a recipe or its keys")
    if finds:
        return train_auto(
            store,
            manifest,
            folder,
            split=split,
            keys=given,
            budget=budget,
            val_split=val_split,
            labels=labels,
            prompts=prompts,
            templates=templates,
            texts=texts,
            overwrite=overwrite,
            resume=resume,
            save_every=save_every,
            device=device,
            watch=watch,
            tell=tell,
        )
    if lexicon and not chosen.reads_lexicon:
        raise DataError(f"the classifier {chosen.classifier!r} reads no lexicon; it is for the classifier 'attributes'")
    phrases = Lexicon.read(lexicon, spec=store.spec, where=store.path) if lexicon else None
    ranks = Ranks()
    with taking(folder, what="run", overwrite=overwrite) if ranks.is_first else nullcontext():
        own = ranks.start(resolve_device(device))
        started = time.perf_counter()
        job = training_job(
            store,
            manifest,
            chosen,
            val_split=val_split,
            labels=labels,
            prompts=prompts,
            templates=templates,
            texts=texts,
            lexicon=phrases,
            chooses_head_mix=chooses,
            device=own,
            watch=watch,
        )
        if chooses:
            job.require_head_mix_choice()
        keeping = Keeping(
            folder, seconds=SAVE_EVERY if save_every is None else save_every, resumes=resume, writes=ranks.is_first
        )
        if not ranks.is_first:
            return TrainedRun(folder.absolute(), job.trained(list(job.epochs(ranks, keeping=keeping))), device, folder)
        for note in job.notes:
            warn(note)
        warn_of_test_copies(store, job.train.video_ids, split=split)
        log = list(watch(job.epochs(ranks, tell=tell, keeping=keeping), total=job.num_epochs, unit="epoch"))
        log = list(job.kept_log(log))
        ranks.stop()
        mixed = job.choose_head_mix() if chooses else None
        run = job.save(folder, log=log, about={"split": split})
    seconds, last = round(time.perf_counter() - started, 2), log[-1].loss if log else None
    return TrainedRun(folder.absolute(), run, device, folder, seconds, last, mixed.score if mixed else None)


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
    live: "nn.Module | None" = None,
    live_texts: "Callable[[PromptBank, Recipe], LearnedText] | None" = None,
    watch: Watch = unwatched,
) -> "TrainingJob":
    """Return the training of a recipe on the videos of `manifest`, with its texts embedded if it reads texts.

    The recipe decides about the texts wherever the caller does not. `live_texts` makes what embeds them in each step,
    where the text tower learns too. DataError if the texts do not cover the labels or come from another encoder, or if
    texts are given for a classifier that reads none.
    """
    from framebank.heads.training.drawn_videos import embedded_videos, has_val
    from framebank.heads.training.job import TrainingJob
    from framebank.library.texts import context_templates, label_set, prompt_banks, tower_of

    judging = [store.split(val_split or "val")] if has_val(store, recipe, val_split) else []
    for videos in (manifest, *judging):  # what is wrong with them is told before the texts are embedded
        embedded_videos(store, videos, multi_label=recipe.is_multi_label)
    if val_split:
        warn_of_test_split(val_split)
    bank = None
    if recipe.reads_texts:
        if not prompts:
            templates = context_templates(recipe.text, templates, texts)
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
        labels=label_set(labels) if labels and bank is None else None,  # given texts have the labels already
        prompts=bank,
        tower=tower_of(store, device=str(device)),
        lexicon=lexicon,
        chooses_head_mix=chooses_head_mix,
        live=live,
        live_texts=live_texts(bank, recipe) if live_texts and bank else None,
        device=device,
    )


def recipe_of(recipe: "Recipe | str | Path | None", choices: dict[str, Any], settings: dict[str, Any]) -> "Recipe":
    """Return a recipe with some of its keys and options changed. DataError if a key is unknown."""
    from framebank.heads.training.choices import with_choices
    from framebank.heads.training.recipe import MIN_STEPS, Recipe, read_recipe

    start = recipe if isinstance(recipe, Recipe) else read_recipe(recipe) if recipe else None
    values = with_choices(asdict(start) if start else {"min_steps": MIN_STEPS}, choices)
    return Recipe.from_choices(values, settings=setting_texts(settings))


def setting_texts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return settings in the form that --set takes."""
    return {name: _as_text(value) for name, value in settings.items()}


def _as_text(value: object) -> str:
    """Return a value in the form that --set takes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_as_text, value))}]"
    return str(value)
