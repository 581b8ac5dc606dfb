"""Wiring: what several commands put together from the rooms."""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from framebank.commands.options import require_alone
from framebank.commands.printing import progress

if TYPE_CHECKING:
    from framebank.extract.encoder import Encoder
    from framebank.extract.worker import Task
    from framebank.heads.recipe import Recipe
    from framebank.heads.text_tower import TextTower, TowerLoader
    from framebank.store import FeatureSpec, FeatureStore, LabelSet, Manifest, PromptBank
    from framebank.store.index import Index
    from framebank.store.origin import Difference


def open_split(path: Path, split: str) -> "tuple[FeatureStore, Manifest]":
    """Return a store and the videos of one of its splits; DataError naming the store."""
    from framebank.store import FeatureStore

    store = FeatureStore(path)
    return store, store.split(split)


def open_index(path: Path) -> "tuple[Index, Difference | None]":
    """Return an index without the videos that left its store, and how the store differs, if it is at hand.

    Says so on stderr where it does.
    """
    from framebank.store.index import Index

    index = Index.load(path)
    difference = warn_if_older(path, index)
    return (index.following(difference) if difference else index), difference


def warn_if_older(path: Path, index: "Index") -> "Difference | None":
    """Say on stderr how the store of an index differs from it, and return that; None where the store is not at hand."""
    difference = index.compare()
    if difference:
        mend = f"`framebank index {difference.store} {path} --update`"
        click.echo(f"{path}: is older than its store: {difference} since; {mend} mends that", err=True)
    return difference


def embed_texts(
    labels: "LabelSet", encoder: "Encoder", *, templates: str | tuple[str, ...] | None, texts: str
) -> "PromptBank":
    """Return the prompts of the classes; names go into ActionCLIP's templates, descriptions stand alone.

    `templates` is a set's name or a file, or the templates themselves, as a recipe has them.
    """
    from framebank.extract.prompts import embed_prompts, read_templates, require_places

    if isinstance(templates, tuple):
        require_places(templates, where="the recipe")
        chosen = templates
    else:
        chosen = read_templates(templates or ("bare" if texts == "descriptions" else "actionclip"))

    def watch(batches: Sequence[list[str]]) -> Iterable[list[str]]:
        return progress(batches, total=len(batches), unit="batch", title=f"texts of {texts}")

    return embed_prompts(labels, encoder, templates=chosen, kind=texts, watch=watch)


def prompt_banks(
    store: "FeatureStore",
    manifest: "Manifest",
    *,
    labels: Path | None,
    prompts: Path | None,
    templates: str | tuple[str, ...] | None,
    texts: str | None,
    device: str,
    classes: "tuple[str, ...]" = (),
) -> "list[PromptBank]":
    """Return the prompts of a file, or those of the classes: names and, where all have them, descriptions.

    Without --labels and --prompts the classes are `classes`, or else the labels of `manifest`.

    DataError where they do not cover the labels of `manifest`, or are of another encoder.
    """
    from framebank.store import DataError, LabelSet, PromptBank

    require_alone(prompts, labels=labels, templates=templates, texts=texts)
    named = manifest.labelled().labels
    if prompts:
        bank = PromptBank.read(prompts)
        store.spec.require_same_encoder(bank.encoder, mine=store.path, theirs=prompts)
        bank.labels.require_covers(named, mine=prompts, theirs=store.path)
        bank.warn_of_near()
        return [bank]
    chosen = LabelSet.read(labels) if labels else LabelSet.of(classes or named)
    chosen.require_covers(named, mine=labels, theirs=store.path)
    from framebank.extract.encoder import encoder_like

    try:
        encoder = encoder_like(store.spec, device=device)
    except DataError as error:
        raise DataError(
            f"{store.path}: no text tower is here for its features ({error}); expected --prompts with class embeddings,"
            " or a classifier that reads no texts, such as linear"
        ) from error
    kinds = [texts] if texts else ["names", *["descriptions"] * chosen.described]
    return [embed_texts(chosen, encoder, templates=templates, texts=kind) for kind in kinds]


def context_templates(recipe: "Recipe | None", *, templates: str | None, texts: str | None) -> str | None:
    """Return --templates, or bare where a recipe learns what else would say; wrong usage where both are wanted."""
    if recipe is None or recipe.text != "context":
        return templates
    if templates or texts:
        raise click.UsageError("text=context learns what stands around the names; --templates and --texts have no part")
    return "bare"


def tower_of(store: "FeatureStore", *, device: str) -> "TowerLoader":
    """Return what reads the text tower of the store's encoder, once; DataError then, where it is not of CLIP's kind."""
    return functools.partial(_read_tower, store.spec, device)  # which goes to another process as it is


@functools.lru_cache(maxsize=1)
def _read_tower(spec: "FeatureSpec", device: str) -> "TextTower":
    from framebank.extract.encoder import encoder_like

    return encoder_like(spec, device=device).text_tower()


def task_of(spec: "FeatureSpec", encoder: "Encoder") -> "Task":
    """Return what turns a video into rows as `spec` says: its sampling, its pixels, and those of the encoder."""
    from framebank.extract.decode import decode_clip
    from framebank.extract.pixels import read_pixels
    from framebank.extract.sampling import read_sampling
    from framebank.extract.worker import Task

    decode = functools.partial(decode_clip, reading=read_pixels(spec.pixels))
    return Task(read_sampling(spec.sampling), encoder.preprocessing, decode)
