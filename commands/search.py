"""Commands that find and name: index, search and label."""

import functools
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from framebank.commands.options import (
    PATH,
    device_option,
    json_option,
    model_options,
    required,
    run_option,
    template_option,
    texts_option,
)
from framebank.commands.printing import print_report, progress, table, warn_if_random
from framebank.commands.wiring import embed_texts, open_split, task_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from framebank.store.index import Hit, Index


@click.command()
@click.argument("store", type=PATH)
@click.argument("index", type=PATH)
@run_option
@click.option("--split", default="all", help="The split to index, or all.")
@device_option
@json_option
def index(store: Path, index: Path, run_path: Path | None, split: str, device: str, as_json: bool) -> None:
    """Index the videos of STORE for search and labelling, in the folder INDEX.

    \b
    framebank index bank index
    framebank index bank index --split train --run run
    """
    from framebank.extract.encoder import resolve_device
    from framebank.heads.neighbours import index_store
    from framebank.heads.run import Run

    features, manifest = open_split(store, split)
    run = Run.read(run_path) if run_path else None
    built = index_store(features, manifest, run=run, run_path=run_path, device=resolve_device(device))
    built.save(index)
    report = {"index": str(index), "videos": len(built), "listed": len(manifest), "made_by": built.made_by}
    line = f"{len(built)} of {len(manifest)} videos, pooled by {built.made_by['head']} -> {index}"
    print_report(report, as_json=as_json, lines=[line])


@click.command()
@click.argument("index", type=PATH)
@click.option("--text", help="Find videos that a sentence describes.")
@click.option("--video", type=PATH, help="Find videos like this file.")
@click.option("--id", "video_id", help="Find videos like this one of the index.")
@click.option("-k", "k", default=10, type=click.IntRange(1), help="How many.")
@device_option
@json_option
def search(
    index: Path, text: str | None, video: Path | None, video_id: str | None, k: int, device: str, as_json: bool
) -> None:
    """Find the nearest videos of INDEX to a text, a video file or one of its own videos.

    \b
    framebank search index --text "a person playing the piano"
    framebank search index --video clip.mp4 -k 5
    """
    from framebank.heads.neighbours import neighbours_of_id
    from framebank.store.index import Index

    if sum(given is not None for given in (text, video, video_id)) != 1:
        raise click.UsageError("give one of --text, --video and --id")
    if text is not None and not text.strip():
        raise click.UsageError("--text is empty; give a sentence")
    loaded = Index.load(index)
    if video_id is not None:
        hits = neighbours_of_id(loaded, video_id, k=k)
    else:
        hits = loaded.search(_query(loaded, text=text, video=video, device=device), k)[0]
    report = {
        "query": text if text is not None else video_id or str(video),
        "hits": [asdict(hit) for hit in hits],
        "made_by": {**loaded.spec.to_dict(), **loaded.made_by},
    }
    print_report(report, as_json=as_json, lines=_hit_lines(hits))


@click.command()
@click.argument("videos", nargs=-1, required=True, type=PATH)
@click.option("--run", "run_path", type=PATH, help="Label with a trained run.")
@click.option("--index", "index_path", type=PATH, help="Label by the votes of the nearest videos of an index.")
@click.option("--labels", type=PATH, help="Label by the texts of these classes; needs --like or --model.")
@click.option("--like", type=PATH, help="With --labels: the encoder and frames of this store.")
@model_options
@template_option
@texts_option
@click.option("--frames", default=16, type=click.IntRange(1), help="With --model: frames of each video.")
@click.option("-k", "k", default=10, type=click.IntRange(1), help="With --index: how many neighbours vote.")
@click.option("--top", default=3, type=click.IntRange(1), help="How many labels to give a video.")
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
    k: int,
    top: int,
    device: str,
    as_json: bool,
) -> None:
    """Label VIDEOS: by a trained run, by the nearest videos of an index, or by the texts of classes.

    \b
    framebank label clip.mp4 --run run
    framebank label *.mp4 --index index
    framebank label clip.mp4 --labels classes.txt --model ViT-B-16 --pretrained openai
    """
    from framebank.extract.encoder import Encoder, encoder_like
    from framebank.extract.pipeline import embed_clip
    from framebank.extract.worker import Job
    from framebank.heads.labelling import label_by_index, label_by_model
    from framebank.heads.run import Run
    from framebank.heads.zeroshot import zero_shot_model
    from framebank.store import DataError, FeatureStore, LabelSet
    from framebank.store.index import Index

    if sum(given is not None for given in (run_path, index_path, labels)) != 1:
        raise click.UsageError("give one of --run, --index and --labels")
    if not labels and any((like, model, pretrained, templates, texts)):
        raise click.UsageError("--like, --model, --pretrained, --templates and --texts go with --labels")
    if run_path:
        run = Run.read(run_path)
        spec = run.spec
        encoder = encoder_like(spec, device=device)
        answer = functools.partial(
            label_by_model,
            run.model,
            run.labels,
            num_frames=run.recipe.frames,
            multi_label=run.recipe.is_multi_label,
        )
    elif index_path:
        loaded = Index.load(index_path)
        spec = loaded.spec
        encoder = encoder_like(spec, device=device)
        answer = functools.partial(label_by_index, loaded, k=k)
    else:
        assert labels is not None
        classes = LabelSet.read(labels)
        if like:
            spec = FeatureStore(like).spec
            encoder = encoder_like(spec, device=device)
        else:
            encoder = Encoder(required(model, "--like or --model"), pretrained, device=device)
            spec = replace(encoder.spec, sampling=f"segments:{frames}")
        kind = texts or ("descriptions" if classes.described else "names")
        bank = embed_texts(classes, encoder, templates=templates, texts=kind)
        answer = functools.partial(label_by_model, zero_shot_model(bank, scoring="probabilities"), classes.names)
    warn_if_random(encoder)
    task = task_of(spec, encoder)
    answers, failures = [], []
    for path in progress(videos, total=len(videos), unit="video"):
        try:
            answers.append((path, answer(embed_clip(Job(path), task=task, encoder=encoder))[:top]))
        except DataError as error:
            failures.append(str(error))
    report = {
        "videos": [
            {"video": str(path), "labels": [{"label": name, "score": score} for name, score in ranked]}
            for path, ranked in answers
        ],
        "failed": failures,
        "made_by": {
            "encoder": encoder.spec.encoder,
            "sampling": spec.sampling,
            "by": str(run_path or index_path or labels),
        },
    }
    width = max((len(ranked) for _, ranked in answers), default=1)
    rows = [(str(path), *[f"{name} {score:.2f}" for name, score in ranked]) for path, ranked in answers]
    lines = table(("video", "label", *[""] * (width - 1)), [row + ("",) * (width + 1 - len(row)) for row in rows])
    if answers or as_json:
        print_report(report, as_json=as_json, lines=lines)
    for failure in failures:
        click.echo(f"Error: {failure}", err=True)
    if failures:
        sys.exit(1)


def _hit_lines(hits: "Sequence[Hit]") -> list[str]:
    """The neighbours as a table; with a column of seconds where one is a part of its file."""
    spans = [_seconds(hit) for hit in hits]
    header = ("video", *["seconds"] * any(spans), "cosine", "label")
    rows = [
        (hit.video_id, *[span] * any(spans), f"{hit.score:.3f}", hit.label)
        for hit, span in zip(hits, spans, strict=True)
    ]
    return table(header, rows)


def _seconds(hit: "Hit") -> str:
    if not hit.start and hit.end is None:
        return ""
    return f"{hit.start or 0:g} to {'the end' if hit.end is None else format(hit.end, 'g')}"


def _query(index: "Index", *, text: str | None, video: Path | None, device: str) -> "np.ndarray":
    """The embedding (1, D) of a text or of a video pooled as the index's own."""
    from framebank.extract.encoder import encoder_like
    from framebank.extract.pipeline import embed_clip
    from framebank.extract.worker import Job
    from framebank.heads.neighbours import pool_query, require_text_space

    if text is not None:
        require_text_space(index)
        return encoder_like(index.spec, device=device).encode_texts([text])
    assert video is not None
    encoder = encoder_like(index.spec, device=device)
    return pool_query(index, embed_clip(Job(video), task=task_of(index.spec, encoder), encoder=encoder))
