"""Commands that find: index and search."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.options import PATH, device_option, json_option, run_option
from framebank.commands.printing import print_report, table
from framebank.commands.wiring import open_index, open_split, task_of
from framebank.store.counts import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from framebank.store.index import Hit, Index


@click.command(short_help="Index the videos of a store for search and labels.")
@click.argument("store", type=PATH)
@click.argument("index", type=PATH)
@run_option
@click.option("--split", help="The split to index, or all.  [all]")
@device_option
@click.option("--update", is_flag=True, help="Have INDEX follow STORE; enrolled classes and the calibration stay.")
@click.option("--overwrite", is_flag=True, help="Replace an index that is already there.")
@json_option
def index(
    store: Path,
    index: Path,
    run_path: Path | None,
    split: str | None,
    device: str,
    update: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Index the videos of STORE for search and labelling, in the folder INDEX.

    When videos of STORE were added, removed, embedded again, moved or relabelled, --update brings INDEX up to date,
    with the split and the run that it was made with. Enrolled classes and the calibration stay; thresholds are set
    again.

    \b
    framebank index bank index
    framebank index bank index --split train --run run
    framebank index bank index --update
    """
    if update and overwrite:
        raise click.UsageError("--update keeps the index that is there and --overwrite replaces it; give one of them")
    features, manifest = open_split(store, "all" if update else split or "all")

    from framebank.extract.encoder import resolve_device
    from framebank.heads.folder import taking
    from framebank.heads.neighbours import index_store
    from framebank.heads.run import Run
    from framebank.heads.updating import update_index

    report: dict[str, Any] = {}
    lines = []
    if update:
        run = Run.read(run_path) if run_path else None
        made = update_index(index, features, split=split, run=run, run_path=run_path, device=resolve_device(device))
        built, difference = made.index, made.difference
        report = {name: getattr(difference, name) for name in difference.counts} | _kept(built)
        lines = [f"{index}: {difference}", *_kept_lines(built)]
    else:
        click.get_current_context().with_resource(taking(index, what="index", overwrite=overwrite))
        run = Run.read(run_path) if run_path else None
        built = index_store(
            features, manifest, run=run, run_path=run_path, device=resolve_device(device), split=split or "all"
        )
        built.save(index)
    left_out = dict(built.origin.left_out) if built.origin else {}
    listed = built.num_own + len(left_out)
    report = {
        "index": str(index),
        "videos": built.num_own,
        "listed": listed,
        "left_out": left_out,
        "made_by": built.made_by,
        **report,
    }
    lines += [
        f"{built.num_own} of {counted(listed, 'video')}, pooled by {built.made_by['head']} -> {index}",
        *_left_out_lines(left_out),
    ]
    print_report(report, as_json=as_json, lines=lines)


def _kept(index: "Index") -> dict[str, Any]:
    from framebank.heads.calibrating import source_of

    enrolment = index.enrolment
    return {
        "enrolled": len(enrolment),
        "thresholds": None if enrolment.is_empty else {**enrolment.thresholds},
        "nearest": enrolment.nearest,
        "set_by": None if enrolment.is_empty else asdict(source_of(index)),
    }


def _kept_lines(index: "Index") -> list[str]:
    """What was enrolled and calibrated, with the thresholds of today."""
    from framebank.heads.calibrating import source_of

    enrolment = index.enrolment
    if enrolment.is_empty:
        return []
    shown = ", ".join(
        f"{label} {'without a threshold' if threshold is None else f'{threshold:.3f}'}"
        for label, threshold in enrolment.thresholds.items()
    )
    classes = [f"kept {counted(len(enrolment.labels), 'enrolled class', 'enrolled classes')}: {shown}"]
    is_set = [threshold for threshold in (enrolment.nearest, *enrolment.thresholds.values()) if threshold is not None]
    again = [f"thresholds are set again, by {source_of(index)}"] * bool(is_set)
    return [*classes * bool(enrolment.labels), *again]


def _left_out_lines(left_out: dict[str, str]) -> list[str]:
    """A line for each reason, with the first few videos that are left out for it."""
    lines = []
    for reason in dict.fromkeys(left_out.values()):
        names = [video_id for video_id, why in left_out.items() if why == reason]
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        lines.append(f"left out: {counted(len(names), 'video')} whose embedding is {reason}: {shown}")
    return lines


@click.command(short_help="Find the videos nearest to a text or a video.")
@click.argument("index", type=PATH)
@click.option("--text", help="Find videos that a sentence describes.")
@click.option("--video", type=PATH, help="Find videos like this file.")
@click.option("--id", "video_id", help="Find videos like this one of the index.")
@click.option("-k", default=10, type=click.IntRange(1), help="How many; all there are, where they are fewer.  [10]")
@device_option
@json_option
def search(
    index: Path, text: str | None, video: Path | None, video_id: str | None, k: int, device: str, as_json: bool
) -> None:
    """Find the nearest videos of INDEX to a text, a video file or one of its own videos.

    Videos that were removed from the store of INDEX are not shown.

    \b
    framebank search index --text "a person playing the piano"
    framebank search index --video clip.mp4 -k 5
    """
    if sum(given is not None for given in (text, video, video_id)) != 1:
        raise click.UsageError("give one of --text, --video and --id")
    if text is not None and not text.strip():
        raise click.UsageError("--text is empty; give a sentence")

    from framebank.heads.neighbours import neighbours_of_id

    loaded, difference = open_index(index)
    if video_id is not None:
        hits = neighbours_of_id(loaded, video_id, k=k)
    else:
        hits = loaded.search(_query(loaded, text=text, video=video, device=device), k)[0]
    report = {
        "query": text if text is not None else video_id or str(video),
        "hits": [{**asdict(hit), "path": str(hit.path)} for hit in hits],
        "drift": difference.counts if difference is not None else None,
        "made_by": {**loaded.spec.to_dict(), **loaded.made_by},
    }
    print_report(report, as_json=as_json, lines=_hit_lines(hits))


def _hit_lines(hits: "Sequence[Hit]") -> list[str]:
    """The neighbours as a table; with columns of seconds and of what was enrolled where one has such."""
    spans = [_seconds(hit) for hit in hits]
    marks = ["enrolled" if hit.enrolled else "" for hit in hits]
    header = ("video", *["seconds"] * any(spans), "cosine", "label", *["by"] * any(marks), "path")
    rows = [
        (
            hit.video_id,
            *[span] * any(spans),
            f"{hit.score:.3f}",
            hit.label,
            *[mark] * any(marks),
            _short(hit.path),
        )
        for hit, span, mark in zip(hits, spans, marks, strict=True)
    ]
    return table(header, rows)


def _short(path: Path) -> str:
    """The path from the working directory, where that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)


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
