"""The command label: what a trained run, texts, enrolled classes and the neighbours in an index say of a video."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.options import (
    PATH,
    device_option,
    json_option,
    model_options,
    required,
    template_option,
    texts_option,
)
from framebank.commands.printing import print_report, progress, warn_if_random
from framebank.commands.wiring import embed_texts, open_index, task_of

if TYPE_CHECKING:
    from framebank.extract.encoder import Encoder
    from framebank.heads.calibrating import ThresholdSource
    from framebank.heads.labelling import Answer
    from framebank.store import Embeddings, FeatureSpec


@dataclass(frozen=True)
class Source:
    """Who is asked: how a video is embedded for it, by which encoder, and what it makes of the embeddings.

    `thresholds` tells what set them where it has any.
    """

    spec: "FeatureSpec"
    encoder: "Encoder"
    answer: "Callable[[Embeddings], list[Answer]]"
    thresholds: "ThresholdSource | None" = None


@click.command(short_help="Label new videos by a run, an index or texts.")
@click.argument("videos", nargs=-1, required=True, type=PATH)
@click.option("--run", "run_path", type=PATH, help="Label with a trained run.")
@click.option("--index", "index_path", type=PATH, help="Label by an index: its enrolled classes, and its votes.")
@click.option("--labels", type=PATH, help="Label by the texts of these classes.")
@click.option(
    "--like", type=PATH, help="With --labels: the encoder and frames of this store.  [those of --index, --run]"
)
@model_options
@template_option
@texts_option
@click.option("--frames", default=16, type=click.IntRange(1), help="With --model: frames of each video.")
@click.option("-k", type=click.IntRange(1), help="With --index: how many neighbours vote.  [10, or all there are]")
@click.option("--top", default=3, type=click.IntRange(1), help="How many labels each gives a video.")
@device_option
@json_option
def label(
    videos: tuple[Path, ...],
    run_path: Path | None,
    index_path: Path | None,
    labels: Path | None,
    like: Path | None,
    model: str | None,
    pretrained: str | None,
    templates: str | None,
    texts: str | None,
    frames: int,
    k: int | None,
    top: int,
    device: str,
    as_json: bool,
) -> None:
    """Label VIDEOS: by a trained run, by the nearest videos of an index, by its enrolled classes, by texts.

    The first line of a video is the answer; the others tell what everyone who was asked says, and how sure they are. An
    enrolled class comes first where the video passes its threshold, then --run, then --labels, then the votes of the
    index. Where classes are enrolled, or the index is calibrated, votes pass only when the nearest video is near
    enough. Where both pass, the rarer match counts: an enrolled class yields if more videos of other classes are as
    near to it as to the nearest video. Where nothing passes, the answer is "unknown".

    \b
    framebank label clip.mp4 --run run
    framebank label *.mp4 --index index
    framebank label clip.mp4 --index index --labels classes.txt
    framebank label clip.mp4 --labels classes.txt --model ViT-B-16 --pretrained openai
    """
    if run_path is None and index_path is None and labels is None:
        raise click.UsageError("give at least one of --run, --index and --labels")
    if not labels and any((like, model, pretrained, templates, texts)):
        raise click.UsageError("--like, --model, --pretrained, --templates and --texts go with --labels")
    if labels and not (like or model or run_path or index_path):
        required(model, "--like or --model")
    from framebank.heads.labelling import decide
    from framebank.store import DataError

    sources: list[Source] = []
    if index_path:
        sources.append(_index_source(index_path, k=k, device=device))
    if run_path:
        sources.append(_run_source(run_path, others=sources, device=device))
    if labels:
        spec, encoder = _text_encoder(
            sources, like=like, model=model, pretrained=pretrained, frames=frames, device=device
        )
        sources.append(_text_source(labels, spec, encoder, templates=templates, texts=texts))
    for encoder in {id(source.encoder): source.encoder for source in sources}.values():
        warn_if_random(encoder)
    told, failures = [], []
    for path in progress(videos, total=len(videos), unit="video"):
        try:
            told.append((path, *decide(_ask(path, sources))))
        except DataError as error:
            failures.append(str(error))
    judged = any(answer.threshold is not None for _, _, answers in told for answer in answers)
    thresholds = next((source.thresholds for source in sources if source.thresholds and judged), None)
    report = {
        "videos": [_report(path, name, answers, top=top) for path, name, answers in told],
        "failed": failures,
        "made_by": {
            "encoder": sources[0].encoder.spec.encoder,
            "sampling": sources[0].spec.sampling,
            "by": ", ".join(str(path) for path in (index_path, run_path, labels) if path),
            "thresholds": asdict(thresholds) if thresholds else None,
        },
    }
    if told or as_json:
        print_report(report, as_json=as_json, lines=[*_lines(told, top=top), *_threshold_lines(thresholds)])
    for failure in failures:
        click.echo(f"Error: {failure}", err=True)
    if failures:
        sys.exit(1)


def _index_source(path: Path, *, k: int | None, device: str) -> Source:
    from framebank.heads.calibrating import source_of
    from framebank.heads.labelling import answers_of_index

    index, _ = open_index(path)
    voters = k or 10
    encoder = _encoder_of(path, index.spec, device=device)
    thresholds = None if index.enrolment.is_empty else source_of(index)
    return Source(index.spec, encoder, lambda rows: answers_of_index(index, rows, k=voters), thresholds)


def _run_source(path: Path, *, others: Sequence[Source], device: str) -> Source:
    from framebank.heads.labelling import Answer, label_by_model
    from framebank.heads.run import Run

    run = Run.read(path)

    def answer(rows: "Embeddings") -> "list[Answer]":
        ranked = label_by_model(
            run.model, run.labels, rows, num_frames=run.recipe.frames, multi_label=run.recipe.is_multi_label
        )
        return [Answer("run", tuple(ranked))]

    encoder = next((other.encoder for other in others if _pixels(other.spec) == _pixels(run.spec)), None)
    return Source(run.spec, encoder or _encoder_of(path, run.spec, device=device), answer)


def _encoder_of(path: Path, spec: "FeatureSpec", *, device: str) -> "Encoder":
    """The encoder of an index or a run; DataError naming it where there is none for new videos."""
    from framebank.extract.encoder import encoder_like
    from framebank.store import DataError

    try:
        return encoder_like(spec, device=device)
    except DataError as error:
        raise DataError(f"{path}: new videos cannot be embedded as its own were ({error})") from error


def _text_encoder(
    sources: Sequence[Source],
    *,
    like: Path | None,
    model: str | None,
    pretrained: str | None,
    frames: int,
    device: str,
) -> "tuple[FeatureSpec, Encoder]":
    """The encoder of a store, of a model, or else of the index or the run that is asked too."""
    from framebank.extract.encoder import Encoder, encoder_like
    from framebank.store import FeatureStore

    if like:
        spec = FeatureStore(like).spec
        return spec, encoder_like(spec, device=device)
    if sources and not model:
        return sources[0].spec, sources[0].encoder
    encoder = Encoder(required(model, "--like or --model"), pretrained, device=device)
    return replace(encoder.spec, sampling=f"segments:{frames}"), encoder


def _text_source(
    labels: Path, spec: "FeatureSpec", encoder: "Encoder", *, templates: str | None, texts: str | None
) -> Source:
    from framebank.heads.labelling import Answer, label_by_model
    from framebank.heads.zeroshot import zero_shot_model
    from framebank.store import LabelSet

    classes = LabelSet.read(labels)
    kind = texts or ("descriptions" if classes.described else "names")
    bank = embed_texts(classes, encoder, templates=templates, texts=kind)
    model = zero_shot_model(bank, scoring="probabilities")
    return Source(spec, encoder, lambda rows: [Answer("texts", tuple(label_by_model(model, classes.names, rows)))])


def _ask(path: Path, sources: Sequence[Source]) -> "list[Answer]":
    """What every source says of a video, which is decoded once for those that sample it alike."""
    from framebank.extract.pipeline import embed_clip
    from framebank.extract.worker import Job

    embedded: dict[tuple[FeatureSpec, str], Embeddings] = {}
    answers = []
    for source in sources:
        key = (_pixels(source.spec), source.spec.sampling)
        if key not in embedded:
            task = task_of(source.spec, source.encoder)
            embedded[key] = embed_clip(Job(path), task=task, encoder=source.encoder)
        answers += source.answer(embedded[key])
    return answers


def _pixels(spec: "FeatureSpec") -> "FeatureSpec":
    """What of a spec an encoder is made by."""
    return replace(spec, pretrained="", sampling="", decoder="", streams="")


def _report(path: Path, name: str, answers: "Sequence[Answer]", *, top: int) -> dict[str, Any]:
    from framebank.heads.labelling import MEASURES

    return {
        "video": str(path),
        "label": name,
        "by": answers[0].by if answers[0].passes else None,
        "labels": [
            {"label": one, "score": score, "by": answer.by, "measure": MEASURES[answer.by]}
            for answer in answers
            for one, score in answer.ranked[:top]
        ],
        "answers": [
            {
                "by": answer.by,
                "passes": answer.passes,
                "similarity": answer.similarity,
                "threshold": answer.threshold,
                "share": answer.share,
            }
            for answer in answers
        ],
    }


def _lines(told: "Sequence[tuple[Path, str, list[Answer]]]", *, top: int) -> list[str]:
    """A line for each video and its label; below it what each who was asked says, the one who answers first."""
    from framebank.heads.labelling import MEASURES

    lines = []
    for path, name, answers in told:
        lines.append(f"{path}: {name}")
        for answer in answers:
            shown = ", ".join(f"{one} {score:.2f}" for one, score in answer.ranked[:top])
            lines += [f"  {answer.by}: {shown} ({MEASURES[answer.by]})", *_verdict(answer)]
    return lines


def _threshold_lines(thresholds: "ThresholdSource | None") -> list[str]:
    if thresholds is None:
        return []
    return [
        f"thresholds are set by {thresholds}: {100 * thresholds.share:g} % of the videos of other classes may pass each"
    ]


def _verdict(answer: "Answer") -> list[str]:
    """Whether an answer passes and why, where something can be told of it."""
    if answer.similarity is None:
        return []
    verdict, against = "passes" if answer.passes else "does not pass", "no threshold"
    if answer.threshold is not None:
        against = f"threshold {answer.threshold:.3f}, {100 * (answer.share or 0.0):.2f} % of others come as near"
        if not answer.passes and answer.similarity > answer.threshold:
            verdict = "yields to the neighbours"
    return [f"    {verdict}: cosine {answer.similarity:.3f}, {against}"]
