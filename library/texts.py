"""Texts: the names and descriptions of classes, embedded by the text tower of a store's encoder."""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from framebank.library.checks import require_among, typed
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.extract.encoders.encoder import Encoder
    from framebank.heads.text_tower import ClipTextTower, TowerLoader
    from framebank.store import FeatureSpec, FeatureStore, LabelSet, Manifest, PromptBank


@typed
def prompts(
    labels: "LabelSet | Sequence[str] | str | Path",
    like: "FeatureStore | str | Path",
    *,
    templates: str | Sequence[str] | None = None,
    texts: str = "names",
    device: str = "auto",
    watch: Watch = unwatched,
) -> "PromptBank":
    """Embed the texts of classes with the encoder that made a store. Embeddings (R, D), R texts in all.

    `labels` are class names, or a file of them (lines, CSV or JSON). `templates` is the name of a set ("actionclip",
    "clip-kinetics", "clip-ucf101", "bare"), a file, or the templates themselves, each with a {} for the name. `texts`
    is "names", or "descriptions" if the labels have them. DataError if a class is empty or appears twice, or if the
    store's encoder has no text tower here.

    >>> import framebank as fb
    >>> bank = fb.open("demo-out/store")                                                       # doctest: +SKIP
    >>> fb.prompts(["juggling", "waving"], bank).class_embeddings().shape                      # doctest: +SKIP
    (2, 128)
    """
    from framebank.extract.encoders.encoder import encoder_like
    from framebank.library.stores import open_store

    require_among("texts", texts, ("names", "descriptions"))
    encoder = encoder_like(open_store(like).spec, device=device)
    return embed_texts(label_set(labels), encoder, templates=templates, texts=texts, watch=watch)


def label_set(labels: "LabelSet | Sequence[str] | str | Path") -> "LabelSet":
    """Return the classes of a file, or the given ones. DataError if one is not a name, or appears twice."""
    from framebank.store import LabelSet

    if isinstance(labels, str | Path):
        return LabelSet.read(labels)
    if isinstance(labels, LabelSet):
        return labels
    if not all(isinstance(name, str) for name in labels):
        raise DataError(f"the labels are {list(labels)[:3]!r}; expected names")
    return LabelSet(tuple(labels))


def embed_texts(
    labels: "LabelSet",
    encoder: "Encoder",
    *,
    templates: str | Sequence[str] | None,
    texts: str,
    watch: Watch = unwatched,
) -> "PromptBank":
    """Return the prompts of the classes. Names are put into ActionCLIP's templates; descriptions are used as they are.

    `templates` is the name of a set, a file, or the templates themselves, as in a recipe.
    """
    from framebank.extract.prompts import embed_prompts, read_templates, require_places

    if templates is not None and not isinstance(templates, str):
        chosen = tuple(templates)
        require_places(chosen, where="the templates")
    else:
        chosen = read_templates(templates or ("bare" if texts == "descriptions" else "actionclip"))

    def watched(batches: Sequence[list[str]]) -> Iterable[list[str]]:
        return watch(batches, total=len(batches), unit="batch", title=f"texts of {texts}")

    return embed_prompts(labels, encoder, templates=chosen, kind=texts, watch=watched)


def prompt_banks(
    store: "FeatureStore",
    manifest: "Manifest",
    *,
    labels: "LabelSet | Sequence[str] | str | Path | None",
    prompts: "PromptBank | str | Path | None",
    templates: str | Sequence[str] | None,
    texts: str | None,
    device: str,
    classes: tuple[str, ...] = (),
    watch: Watch = unwatched,
) -> "list[PromptBank]":
    """Return the given prompts, or those of the classes: their names and, if all classes have them, descriptions.

    Without `labels` and `prompts`, the classes are `classes`, or else the labels of `manifest`. DataError if the
    classes do not cover the labels of `manifest`, or if the prompts come from another encoder.
    """
    from framebank.store import LabelSet, PromptBank

    named = manifest.labelled().labels
    if prompts:
        bank = prompts if isinstance(prompts, PromptBank) else PromptBank.read(prompts)
        where = "the prompts" if bank is prompts else prompts
        store.spec.require_same_encoder(bank.encoder, mine=store.path, theirs=where)
        mine = "the set of classes" if bank is prompts else prompts
        bank.labels.require_covers(named, mine=mine, theirs=store.path)
        bank.warn_of_near()
        return [bank]
    chosen = label_set(labels) if labels else LabelSet.of(classes or named)
    mine = labels if isinstance(labels, str | Path) else "the set of classes"
    chosen.require_covers(named, mine=mine, theirs=store.path)
    from framebank.extract.encoders.encoder import encoder_like

    try:
        encoder = encoder_like(store.spec, device=device)
    except DataError as error:
        raise DataError(
            f"{store.path}: no text tower is here for its features ({error}); expected class embeddings "
            "(prompts, --prompts), or a classifier that reads no texts, such as linear"
        ) from error
    kinds = [texts] if texts else ["names", *["descriptions"] * chosen.described]
    return [embed_texts(chosen, encoder, templates=templates, texts=kind, watch=watch) for kind in kinds]


def context_templates(
    text: str, templates: str | Sequence[str] | None, texts: str | None
) -> str | Sequence[str] | None:
    """Return the templates of a recipe with that `text`: "bare" if the recipe learns the words around the names.

    DataError if the recipe learns them and the caller gives templates or texts as well.
    """
    if text != "context":
        return templates
    if templates or texts:
        raise DataError(
            "text=context learns what stands around the names; templates (--templates) and texts (--texts) have no "
            "part in it"
        )
    return "bare"


def tower_of(store: "FeatureStore", *, device: str) -> "TowerLoader":
    """Return a loader of the text tower of the store's encoder. It raises DataError if the encoder is not a CLIP."""
    return functools.partial(_read_tower, store.spec, device)  # a partial can be sent to another process


@functools.lru_cache(maxsize=1)
def _read_tower(spec: "FeatureSpec", device: str) -> "ClipTextTower":
    from framebank.extract.encoders.encoder import encoder_like

    return encoder_like(spec, device=device).text_tower()
