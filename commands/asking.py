"""Asking: who labels new videos, how these are embedded for each, and the options that say so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from framebank.commands.options import PATH, model_options, required, template_option, texts_option, together
from framebank.commands.printing import progress, warn_if_random
from framebank.library.labelling import Asked, encoder_of, pixels_of
from framebank.library.search_index import SearchIndex
from framebank.library.texts import embed_texts

if TYPE_CHECKING:
    from framebank.extract.encoders.encoder import Encoder
    from framebank.store import FeatureSpec, FeatureStore, PromptBank

asking_options = together(
    click.option("--run", "run_path", type=PATH, help="Label with a trained run."),
    click.option("--index", "index_path", type=PATH, help="Label by an index: its enrolled classes, and its votes."),
    click.option("--labels", type=PATH, help="Label by the texts of these classes."),
    click.option(
        "--like", type=PATH, help="With --labels: the encoder and frames of this store.  [those of --index, --run]"
    ),
    model_options,
    template_option,
    texts_option,
    click.option("--frames", default=16, type=click.IntRange(1), help="With --model: frames of each video."),
    click.option("-k", type=click.IntRange(1), help="With --index: how many neighbours vote.  [10, or all there are]"),
    click.option(
        "--sets",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        metavar="LEVEL",
        help="With --run: also the set of labels that holds the true one in this share of the videos, such as 0.9.",
    ),
    click.option("--sets-by-class", is_flag=True, help="With --sets: in this share of the videos of each class."),
    click.option(
        "--abstain-below",
        default=0.0,
        type=click.FloatRange(0, 1),
        metavar="P",
        help="With --run: what is less likely than this is unknown.",
    ),
    click.option(
        "--workers", type=click.IntRange(1), help="Processes that decode several videos.  [one for each core]"
    ),
)


@dataclass(frozen=True)
class Asking:
    """What the options say of who is asked."""

    run_path: Path | None
    index_path: Path | None
    labels: Path | None
    like: Path | None
    model: str | None
    pretrained: str | None
    templates: str | None
    texts: str | None
    frames: int
    k: int | None
    device: str
    top: int
    sets: float | None = None
    sets_by_class: bool = False
    abstain_below: float = 0.0
    prompts: Path | None = None
    knows_itself: bool = False

    def __post_init__(self) -> None:
        """Refuse options that say nothing, or do not go together: wrong usage."""
        if not any((self.run_path, self.index_path, self.labels, self.prompts)):
            taken = {parameter.name: parameter.opts[0] for parameter in click.get_current_context().command.params}
            options = [taken[name] for name in ("run_path", "index_path", "labels", "prompts") if name in taken]
            raise click.UsageError(f"give at least one of {', '.join(options[:-1])} and {options[-1]}")
        if self.prompts and (self.labels or self.templates or self.texts):
            raise click.UsageError("--prompts holds its own classes, templates and texts; give it without --labels")
        if not (self.labels or self.prompts) and any(
            (self.like, self.model, self.pretrained, self.templates, self.texts)
        ):
            raise click.UsageError("--like, --model, --pretrained, --templates and --texts go with --labels")
        if (self.sets is not None or self.abstain_below) and not self.run_path:
            raise click.UsageError("--sets and --abstain-below go with --run")
        if self.sets_by_class and self.sets is None:
            raise click.UsageError("--sets-by-class goes with --sets")
        if self.like and (self.model or self.pretrained):
            raise click.UsageError("--like brings its own --model and --pretrained")

    @property
    def asked(self) -> tuple[Path, ...]:
        """The files and folders of those who are asked."""
        return tuple(path for path in (self.index_path, self.run_path, self.labels, self.prompts) if path)


def sources_of(asking: Asking, store: "FeatureStore | None" = None) -> list[Asked]:
    """Read everyone who is asked, once: for the rows of a store, or else each with an encoder for new videos."""
    from framebank.extract.encoders.encoder import resolve_device
    from framebank.heads.labelling.labellers import ModelLabeller

    sources: list[Asked] = []
    if asking.index_path:
        sources.append(_index_source(asking, embeds=store is None))
    if asking.run_path:
        sources.append(_run_source(asking, others=sources, embeds=store is None))
    if asking.labels or asking.prompts:
        spec, encoder, prompts = _texts(asking, sources, store)
        labeller = ModelLabeller.of_texts(
            prompts, where=asking.labels or asking.prompts, top=asking.top, device=resolve_device(asking.device)
        )
        sources.append(Asked(labeller, spec, encoder))
    for found in {id(source.encoder): source.encoder for source in sources if source.encoder}.values():
        warn_if_random(found)
    return sources


def _index_source(asking: Asking, *, embeds: bool) -> Asked:
    from framebank.heads.labelling.calibrate import source_of
    from framebank.heads.labelling.labellers import IndexLabeller

    path = asking.index_path
    assert path
    opened = SearchIndex.open(path, device=asking.device)
    index = opened.index
    encoder = encoder_of(index.spec, where=path, device=asking.device) if embeds else None
    thresholds = None if index.enrolment.is_empty else source_of(index)
    labeller = IndexLabeller(index, where=path, k=asking.k, knows_itself=asking.knows_itself)
    return Asked(labeller, index.spec, encoder, thresholds)


def _run_source(asking: Asking, *, others: Sequence[Asked], embeds: bool) -> Asked:
    from framebank.extract.encoders.encoder import resolve_device
    from framebank.heads.labelling.labellers import ModelLabeller
    from framebank.heads.training.run import Run

    path = asking.run_path
    assert path
    run = Run.read(path)
    labeller = ModelLabeller.of_run(
        run,
        where=path,
        top=asking.top,
        device=resolve_device(asking.device),
        sets=asking.sets,
        sets_by_class=asking.sets_by_class,
        abstain_below=asking.abstain_below,
    )
    if not embeds:
        return Asked(labeller, run.spec)
    run.require_frames(path)  # new videos are embedded into these alone
    encoder = next((other.encoder for other in others if pixels_of(other.spec) == pixels_of(run.spec)), None)
    return Asked(labeller, run.spec, encoder or encoder_of(run.spec, where=path, device=asking.device))


def _texts(
    asking: Asking, sources: Sequence[Asked], store: "FeatureStore | None"
) -> "tuple[FeatureSpec, Encoder | None, PromptBank]":
    """The texts of the classes, and how videos are embedded for them."""
    from framebank.store import LabelSet, PromptBank

    if asking.prompts:
        bank = PromptBank.read(asking.prompts)
        if store:
            return store.spec, None, bank
        spec, encoder = _text_encoder(asking, sources, made_by=bank.encoder)
        bank.encoder.require_same_encoder(spec, mine=asking.prompts, theirs="the encoder")
        return spec, encoder, bank
    assert asking.labels
    classes = LabelSet.read(asking.labels)
    if store:
        spec, encoder = store.spec, encoder_of(store.spec, where=store.path, device=asking.device)
    else:
        spec, encoder = _text_encoder(asking, sources)
    kind = asking.texts or ("descriptions" if classes.described else "names")
    return spec, encoder, embed_texts(classes, encoder, templates=asking.templates, texts=kind, watch=progress)


def _text_encoder(
    asking: Asking, sources: Sequence[Asked], made_by: "FeatureSpec | None" = None
) -> "tuple[FeatureSpec, Encoder]":
    """The encoder of a store, of a model, or else of the index or the run that is asked too, or of the texts."""
    from framebank.extract.encoders.encoder import Encoder, encoder_like
    from framebank.store import FeatureStore

    if asking.like:
        spec = FeatureStore(asking.like).spec
        return spec, encoder_like(spec, device=asking.device)
    if sources and sources[0].encoder and not asking.model:
        return sources[0].spec, sources[0].encoder
    if made_by and not asking.model:
        encoder = encoder_like(made_by, device=asking.device)
    else:
        encoder = Encoder(required(asking.model, "--like or --model"), asking.pretrained, device=asking.device)
    return replace(encoder.spec, sampling=f"segments:{asking.frames}"), encoder
