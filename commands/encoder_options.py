"""What several commands need of encoders, stores and texts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.options import require_alone
from framebank.commands.printing import progress

if TYPE_CHECKING:
    from framebank.heads.training.recipe import Recipe
    from framebank.store import FeatureStore, Manifest, PromptBank


def open_split(path: Path, split: str) -> "tuple[FeatureStore, Manifest]":
    """Return a store and the videos of one of its splits; DataError naming the store."""
    from framebank.store import FeatureStore

    store = FeatureStore(path)
    return store, store.split(split)


def prompt_banks(
    store: "FeatureStore",
    manifest: "Manifest",
    *,
    labels: Path | None,
    prompts: Path | None,
    templates: str | tuple[str, ...] | None,
    texts: str | None,
    device: str,
    classes: tuple[str, ...] = (),
) -> "list[PromptBank]":
    """Return the result of `framebank.library.texts.prompt_banks` and show a bar; wrong usage if both are given."""
    from framebank.library.texts import prompt_banks as banks_of

    require_alone(prompts, labels=labels, templates=templates, texts=texts)
    given: dict[str, Any] = {"labels": labels, "prompts": prompts, "templates": templates, "texts": texts}
    return banks_of(store, manifest, **given, device=device, classes=classes, watch=progress)


def context_templates(recipe: "Recipe | None", *, templates: str | None, texts: str | None) -> str | None:
    """Return --templates, or bare if the recipe learns the words around the names; wrong usage if both are given."""
    if recipe is None or recipe.text != "context":
        return templates
    if templates or texts:
        raise click.UsageError("text=context learns the words around the names; leave out --templates and --texts")
    return "bare"
