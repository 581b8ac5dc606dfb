"""What a kind of protocol is asked, and what it gives."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.watch import Watch
from framebank.store.errors import DataError

if TYPE_CHECKING:
    import torch

    from framebank.heads.evaluation.named import NamedProtocol
    from framebank.heads.evaluation.split_report import SplitReport
    from framebank.heads.evaluation.supervised import JobOf
    from framebank.heads.training.job import TrainingJob
    from framebank.heads.training.recipe import Recipe
    from framebank.store import FeatureStore, LabelSet, Manifest, PromptBank

TEMPLATES, SCORING = "actionclip", "probabilities"  # of texts, if none are given


@dataclass(frozen=True)
class ProtocolRequest:
    """A protocol, a store, and what the caller gives beside them. `done` is called after each part.

    Runs are written into `folder`, which will be `shown` in the end.
    """

    protocol: "NamedProtocol"
    store: "FeatureStore"
    device: "torch.device"
    watch: Watch
    done: Callable[[], None]
    lists: Path | None = None
    recipe: "Recipe | str | Path | None" = None
    run: Path | None = None
    runs: Path | None = None
    folder: Path = Path()
    shown: Path = Path()
    lexicon: Path | None = None
    matchers: tuple[str, ...] = ()
    labels: "LabelSet | Sequence[str] | str | Path | None" = None
    prompts: "PromptBank | str | Path | None" = None
    templates: str | Sequence[str] | None = None
    texts: str | None = None

    @property
    def words(self) -> dict[str, Any]:
        """What is given of the texts of the classes, by the names of the arguments."""
        return {name: getattr(self, name) for name in ("labels", "prompts", "templates", "texts")}


@dataclass(frozen=True)
class ProtocolFigures:
    """The reports of the parts, the figures of all `together`, and what was scored: `recipe` or `run`.

    `more` are further figures, `notes` lines for a reader.
    """

    parts: "tuple[SplitReport, ...]"
    figures: Mapping[str, Any]
    recipe: str = ""
    run: str = ""
    seeds: tuple[int, ...] = ()
    together: str = "mean"
    notes: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ProtocolKind:
    """How a kind of protocol is scored, what it does in three words, and what it reads of what a caller may give."""

    score: Callable[[ProtocolRequest], ProtocolFigures]
    does: str
    reads: tuple[str, ...]


def recipe_of(asked: ProtocolRequest, *, default: str) -> "tuple[Recipe, str]":
    """Return the recipe that is trained, and what the results call it. A protocol may fix it."""
    from framebank.heads.training.recipe import Recipe, read_recipe
    from framebank.library.training import setting_texts

    fixed = asked.protocol.recipe
    if fixed:
        if asked.recipe:
            raise DataError(f"the protocol {asked.protocol.name!r} trains {fixed!r}; expected no --recipe")
        return read_recipe(fixed).with_settings(setting_texts(asked.protocol.settings)), fixed
    if isinstance(asked.recipe, Recipe):
        return asked.recipe, asked.recipe.head
    return read_recipe(asked.recipe or default), str(asked.recipe or default)


def jobs_of(asked: ProtocolRequest, recipe: "Recipe", prompts: "PromptBank | None" = None) -> "JobOf":
    """Return what makes the training on the videos of a split, as `train` makes it of the same recipe and texts.

    With `prompts`, which may have more classes, the texts are those of the classes that are trained on.
    """
    from framebank.heads.training.lexicon import Lexicon
    from framebank.library.training import training_job

    if asked.lexicon and not recipe.reads_lexicon:
        raise DataError(f"the classifier {recipe.classifier!r} reads no lexicon; it is for the classifier 'attributes'")
    spec, where = asked.store.spec, asked.store.path
    phrases = Lexicon.read(asked.lexicon, spec=spec, where=where) if asked.lexicon else None
    common: dict[str, Any] = {"lexicon": phrases, "watch": asked.watch, "device": asked.device}
    if prompts is None:
        return functools.partial(training_job, **asked.words, **common)

    def job(store: "FeatureStore", manifest: "Manifest", chosen: "Recipe") -> "TrainingJob":
        return training_job(store, manifest, chosen, prompts=prompts.of_labels(manifest.labels), **common)

    return job


def classes_of(asked: ProtocolRequest) -> "LabelSet | None":
    """Return the classes that are given by labels or by prompts; None if none are."""
    from framebank.library.texts import label_set
    from framebank.store import PromptBank

    if asked.prompts:
        bank = asked.prompts if isinstance(asked.prompts, PromptBank) else PromptBank.read(asked.prompts)
        return bank.labels
    return label_set(asked.labels) if asked.labels else None


def prompts_of(asked: ProtocolRequest, recipe: "Recipe | None" = None) -> "PromptBank":
    """Return the texts of all classes of the store: those given, else those that the recipe reads.

    Without a recipe, they are the names of the classes in ActionCLIP's templates.
    """
    from framebank.library.texts import context_templates, prompt_banks

    store, templates, texts = asked.store, asked.templates, asked.texts
    if not asked.prompts:
        if recipe:
            templates = context_templates(recipe.text, templates, texts) or recipe.templates or None
        else:
            templates = templates or TEMPLATES
        texts = texts or (recipe.texts if recipe else "names")
    return prompt_banks(
        store,
        store.manifest,
        labels=asked.labels,
        prompts=asked.prompts,
        templates=templates,
        texts=texts,
        device=str(asked.device),
        classes=store.manifest.labels,
        watch=asked.watch,
    )[0]
