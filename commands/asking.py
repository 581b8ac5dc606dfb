"""Asking: who labels new videos, how these are embedded for each, and the options that say so."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from framebank.commands.options import PATH, model_options, required, template_option, texts_option, together
from framebank.commands.printing import progress, warn_if_random
from framebank.commands.wiring import embed_texts, open_index, task_of

if TYPE_CHECKING:
    from framebank.extract.encoder import Encoder
    from framebank.heads.calibrating import ThresholdSource
    from framebank.heads.labelled import Labelled
    from framebank.heads.labellers import Labeller
    from framebank.heads.labelling import Answer
    from framebank.store import Embeddings, FeatureSpec, FeatureStore, PromptBank, Video
    from framebank.store.ledger import Failure

AT_ONCE = 64  # decoded videos that are labelled together

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
        if self.like and (self.model or self.pretrained):
            raise click.UsageError("--like brings its own --model and --pretrained")

    @property
    def asked(self) -> tuple[Path, ...]:
        """The files and folders of those who are asked."""
        return tuple(path for path in (self.index_path, self.run_path, self.labels, self.prompts) if path)


@dataclass(frozen=True)
class Source:
    """Who is asked: how a video is embedded for it, and by which encoder, which is none where rows are stored.

    `thresholds` tells what set them where it has any.
    """

    labeller: "Labeller"
    spec: "FeatureSpec"
    encoder: "Encoder | None" = None
    thresholds: "ThresholdSource | None" = None


def sources_of(asking: Asking, store: "FeatureStore | None" = None) -> list[Source]:
    """Read everyone who is asked, once: for the rows of a store, or else each with an encoder for new videos."""
    from framebank.extract.encoder import resolve_device
    from framebank.heads.labellers import ModelLabeller

    sources: list[Source] = []
    if asking.index_path:
        sources.append(_index_source(asking, embeds=store is None))
    if asking.run_path:
        sources.append(_run_source(asking, others=sources, embeds=store is None))
    if asking.labels or asking.prompts:
        spec, encoder, prompts = _texts(asking, sources, store)
        labeller = ModelLabeller.of_texts(
            prompts, where=asking.labels or asking.prompts, top=asking.top, device=resolve_device(asking.device)
        )
        sources.append(Source(labeller, spec, encoder))
    for found in {id(source.encoder): source.encoder for source in sources if source.encoder}.values():
        warn_if_random(found)
    return sources


def _index_source(asking: Asking, *, embeds: bool) -> Source:
    from framebank.heads.calibrating import source_of
    from framebank.heads.labellers import IndexLabeller

    path = asking.index_path
    assert path
    index, _ = open_index(path)
    encoder = _encoder_of(path, index.spec, device=asking.device) if embeds else None
    thresholds = None if index.enrolment.is_empty else source_of(index)
    labeller = IndexLabeller(index, where=path, k=asking.k, knows_itself=asking.knows_itself)
    return Source(labeller, index.spec, encoder, thresholds)


def _run_source(asking: Asking, *, others: Sequence[Source], embeds: bool) -> Source:
    from framebank.extract.encoder import resolve_device
    from framebank.heads.labellers import ModelLabeller
    from framebank.heads.run import Run

    path = asking.run_path
    assert path
    run = Run.read(path)
    labeller = ModelLabeller.of_run(run, where=path, top=asking.top, device=resolve_device(asking.device))
    if not embeds:
        return Source(labeller, run.spec)
    run.require_frames(path)  # new videos are embedded into these alone
    encoder = next((other.encoder for other in others if _pixels(other.spec) == _pixels(run.spec)), None)
    return Source(labeller, run.spec, encoder or _encoder_of(path, run.spec, device=asking.device))


def _encoder_of(path: Path, spec: "FeatureSpec", *, device: str) -> "Encoder":
    """The encoder of an index or a run; DataError naming it where there is none for new videos."""
    from framebank.extract.encoder import encoder_like
    from framebank.store import DataError

    try:
        return encoder_like(spec, device=device)
    except DataError as error:
        raise DataError(f"{path}: new videos cannot be embedded as its own were ({error})") from error


def _texts(
    asking: Asking, sources: Sequence[Source], store: "FeatureStore | None"
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
        spec, encoder = store.spec, _encoder_of(store.path, store.spec, device=asking.device)
    else:
        spec, encoder = _text_encoder(asking, sources)
    kind = asking.texts or ("descriptions" if classes.described else "names")
    return spec, encoder, embed_texts(classes, encoder, templates=asking.templates, texts=kind)


def _text_encoder(
    asking: Asking, sources: Sequence[Source], made_by: "FeatureSpec | None" = None
) -> "tuple[FeatureSpec, Encoder]":
    """The encoder of a store, of a model, or else of the index or the run that is asked too, or of the texts."""
    from framebank.extract.encoder import Encoder, encoder_like
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


def label_videos(
    videos: "Sequence[Video]", sources: Sequence[Source], *, workers: int | None = None
) -> "Iterator[Labelled | Failure]":
    """Embed and label new videos, in their order; what cannot be read is a Failure.

    A video is decoded once for all that sample it alike; several are decoded in processes, in full batches. Each has a
    video_id of its own.
    """
    from framebank.heads.labelled import Labelled
    from framebank.store.ledger import Failure

    groups: dict[tuple[FeatureSpec, str], list[Source]] = {}
    for source in sources:
        groups.setdefault((_pixels(source.spec), source.spec.sampling), []).append(source)
    answers: dict[str, list[Answer]] = {video.video_id: [] for video in videos}
    reasons: dict[str, str] = {}
    for group in groups.values():
        left = [video for video in videos if video.video_id not in reasons]
        found = _embed(left, group[0], workers=workers or os.cpu_count() or 1)
        _ask(progress(found, total=len(left), unit="video"), group, answers, reasons)
    for video in videos:
        if video.video_id in reasons:
            yield Failure(video.video_id, str(video.path), reasons[video.video_id])
        else:
            yield Labelled.of(video, answers[video.video_id])


def _embed(videos: "Sequence[Video]", source: Source, *, workers: int) -> "Iterator[tuple[Video, Embeddings | str]]":
    """Yield the rows of each video, or the reason there are none; one alone is decoded in this process."""
    from framebank.extract.embed import embed_videos
    from framebank.extract.pipeline import embed_clip
    from framebank.extract.worker import Job
    from framebank.store import DataError

    encoder = source.encoder
    assert encoder
    task = task_of(source.spec, encoder)
    if len(videos) == 1:
        (video,) = videos
        try:
            yield video, embed_clip(Job(video.path, video.start, video.end), task=task, encoder=encoder)
        except DataError as error:
            yield video, str(error)
        return
    for outcome, rows in embed_videos(videos, task=task, encoders=[encoder], num_workers=min(workers, len(videos))):
        yield outcome.video, outcome.error or rows or ""


def _ask(
    found: "Iterator[tuple[Video, Embeddings | str]]",
    group: Sequence[Source],
    answers: "dict[str, list[Answer]]",
    reasons: dict[str, str],
) -> None:
    """Ask those of a group of the videos as they come, a number of them together."""
    held: list[tuple[Video, Embeddings]] = []
    for video, rows in found:
        if isinstance(rows, str):
            reasons[video.video_id] = rows
        else:
            held.append((video, rows))
        if len(held) == AT_ONCE:
            _ask_of(held, group, answers)
            held = []
    if held:
        _ask_of(held, group, answers)


def _ask_of(
    held: "Sequence[tuple[Video, Embeddings]]", group: Sequence[Source], answers: "dict[str, list[Answer]]"
) -> None:
    from framebank.heads.labelled import label_rows
    from framebank.store.memory import MemoryStore

    spec = group[0].spec
    rows = MemoryStore(Path("the videos"), spec, {video.video_id: found for video, found in held})
    videos = [video for video, _ in held]
    for video, told in zip(videos, label_rows(videos, rows, [source.labeller for source in group]), strict=True):
        answers[video.video_id] += told


def _pixels(spec: "FeatureSpec") -> "FeatureSpec":
    """What of a spec an encoder is made by."""
    return replace(spec, pretrained="", sampling="", decoder="", streams="")
