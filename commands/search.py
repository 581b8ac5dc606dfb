"""Commands that find: index and search."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.encoder_options import open_split
from framebank.commands.options import PATH, device_option, json_option, run_option
from framebank.commands.printing import print_report
from framebank.store.counts import counted

if TYPE_CHECKING:
    from framebank.store.indexes.index import Index


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
    features, _ = open_split(store, "all" if update else split or "all")

    from framebank.extract.encoders.encoder import resolve_device
    from framebank.heads.labelling.update import update_index
    from framebank.heads.training.run import Run
    from framebank.library.search_index import index as make_index

    report: dict[str, Any] = {}
    lines = []
    if update:
        run = Run.read(run_path) if run_path else None
        made = update_index(index, features, split=split, run=run, run_path=run_path, device=resolve_device(device))
        built, difference = made.index, made.difference
        report = {name: getattr(difference, name) for name in difference.counts} | _kept(built)
        lines = [f"{index}: {difference}", *_kept_lines(built)]
    else:
        built = make_index(
            features, index, run=run_path, split=split or "all", overwrite=overwrite, device=device
        ).whole
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
    from framebank.heads.labelling.calibrate import source_of

    enrolment = index.enrolment
    return {
        "enrolled": len(enrolment),
        "thresholds": None if enrolment.is_empty else {**enrolment.thresholds},
        "nearest": enrolment.nearest,
        "set_by": None if enrolment.is_empty else asdict(source_of(index)),
    }


def _kept_lines(index: "Index") -> list[str]:
    """What was enrolled and calibrated, with the thresholds of today."""
    from framebank.heads.labelling.calibrate import source_of

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
@click.option("--from", "start", type=float, help="Of --id, only what it shows from this second on.")
@click.option("--to", "end", type=float, help="And before this one.")
@click.option("-k", default=10, type=click.IntRange(1), help="How many; all there are, where they are fewer.  [10]")
@click.option("--moments", is_flag=True, help="Find the best seconds of videos, by the rows of the store.")
@click.option("--where", metavar="FILTER", help="Only videos like these: \"label in ('a', 'b') and split = 'train'\".")
@click.option("--store", type=PATH, help="The store of the rows, where it is no longer at its place.")
@click.option("--all", "keep_all", is_flag=True, help="Show the nearest also where nothing is found.")
@device_option
@json_option
def search(
    index: Path,
    text: str | None,
    video: Path | None,
    video_id: str | None,
    start: float | None,
    end: float | None,
    k: int,
    moments: bool,
    where: str | None,
    store: Path | None,
    keep_all: bool,
    device: str,
    as_json: bool,
) -> None:
    """Find the nearest videos of INDEX to a text, a video file or one of its own videos.

    Where nothing stands out from what everyday names find, the answer is that nothing is found. With --moments the
    answers are stretches of videos with their start and end. Videos that were removed from the store of INDEX are not
    shown.

    \b
    framebank search index --text "a person playing the piano"
    framebank search index --text "a person falls" --moments
    framebank search index --id film --from 3.2 --to 5 --moments
    framebank search index --video clip.mp4 -k 5
    """
    if sum(given is not None for given in (text, video, video_id)) != 1:
        raise click.UsageError("give one of --text, --video and --id")
    if text is not None and not text.strip():
        raise click.UsageError("--text is empty; give a sentence")
    if (start is None) != (end is None) or (start is not None and video_id is None):
        raise click.UsageError("--from and --to are seconds of the video of --id; give all three")
    within = None if start is None or end is None else (start, end)
    if store is not None and not (moments or within):
        raise click.UsageError("--store says where the rows of --moments are; give both")

    from framebank.library.search_index import SearchIndex
    from framebank.library.searching.asked import How

    opened = SearchIndex.open(index, device=device)
    how = How(k=k, moments=moments, keep_all=keep_all, store=store, where=where)
    if text is not None:
        hits = opened.search_text(text, **how)
    elif video is not None:
        hits = opened.search_file(video, **how)
    else:
        hits = opened.search_id(str(video_id), within=within, **how)
    report = {
        **hits.to_dict(),
        "drift": opened.difference.counts if opened.difference is not None else None,
        "made_by": {**opened.index.spec.to_dict(), **opened.index.made_by},
    }
    print_report(report, as_json=as_json, lines=hits.lines())
