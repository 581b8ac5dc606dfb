"""Commands that find: index and search."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from framebank.commands.options import PATH, device_option, json_option, run_option
from framebank.commands.printing import print_report, table
from framebank.commands.wiring import open_split, task_of
from framebank.store.counts import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from framebank.store.index import Hit, Index


@click.command(short_help="Index the videos of a store for search and labels.")
@click.argument("store", type=PATH)
@click.argument("index", type=PATH)
@run_option
@click.option("--split", default="all", help="The split to index, or all.")
@device_option
@click.option("--overwrite", is_flag=True, help="Replace an index that is already there.")
@json_option
def index(
    store: Path, index: Path, run_path: Path | None, split: str, device: str, overwrite: bool, as_json: bool
) -> None:
    """Index the videos of STORE for search and labelling, in the folder INDEX.

    \b
    framebank index bank index
    framebank index bank index --split train --run run
    """
    from framebank.heads.folder import require_free

    features, manifest = open_split(store, split)
    require_free(index, what="index", overwrite=overwrite)

    from framebank.extract.encoder import resolve_device
    from framebank.heads.neighbours import index_store
    from framebank.heads.run import Run

    run = Run.read(run_path) if run_path else None
    built = index_store(features, manifest, run=run, run_path=run_path, device=resolve_device(device))
    built.save(index)
    report = {"index": str(index), "videos": len(built), "listed": len(manifest), "made_by": built.made_by}
    line = f"{len(built)} of {counted(len(manifest), 'video')}, pooled by {built.made_by['head']} -> {index}"
    print_report(report, as_json=as_json, lines=[line])


@click.command(short_help="Find the videos nearest to a text or a video.")
@click.argument("index", type=PATH)
@click.option("--text", help="Find videos that a sentence describes.")
@click.option("--video", type=PATH, help="Find videos like this file.")
@click.option("--id", "video_id", help="Find videos like this one of the index.")
@click.option("-k", type=click.IntRange(1), help="How many.  [10, or all there are]")
@device_option
@json_option
def search(
    index: Path, text: str | None, video: Path | None, video_id: str | None, k: int | None, device: str, as_json: bool
) -> None:
    """Find the nearest videos of INDEX to a text, a video file or one of its own videos.

    \b
    framebank search index --text "a person playing the piano"
    framebank search index --video clip.mp4 -k 5
    """
    if sum(given is not None for given in (text, video, video_id)) != 1:
        raise click.UsageError("give one of --text, --video and --id")
    if text is not None and not text.strip():
        raise click.UsageError("--text is empty; give a sentence")
    from framebank.heads.neighbours import neighbours_of_id
    from framebank.store.index import Index

    loaded = Index.load(index)
    k = k or min(10, max(1, len(loaded) - (video_id is not None)))
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


def _hit_lines(hits: "Sequence[Hit]") -> list[str]:
    """The neighbours as a table; with columns of seconds and of what was enrolled where one has such."""
    spans = [_seconds(hit) for hit in hits]
    marks = ["enrolled" if hit.enrolled else "" for hit in hits]
    header = ("video", *["seconds"] * any(spans), "cosine", "label", *["by"] * any(marks))
    rows = [
        (hit.video_id, *[span] * any(spans), f"{hit.score:.3f}", hit.label, *[mark] * any(marks))
        for hit, span, mark in zip(hits, spans, marks, strict=True)
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
