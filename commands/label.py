"""The command label: ask a trained run, texts, enrolled classes and the neighbours in an index about a video."""

import sys
from pathlib import Path
from typing import Any

import click

from framebank.commands.asking import asking_options, require_sources
from framebank.commands.options import PATH, device_option, json_option, required
from framebank.commands.printing import print_report, progress, say


@click.command(short_help="Label new videos by a run, an index or texts.")
@click.argument("videos", nargs=-1, required=True, type=PATH)
@asking_options
@click.option("--bank", "prompts", type=PATH, help="Label by a bank of names (`framebank labels build`).")
@click.option("--top", default=3, type=click.IntRange(1), help="How many labels each source gives to a video.")
@device_option
@json_option
def label(videos: tuple[Path, ...], workers: int | None, as_json: bool, **asking: Any) -> None:
    """Label VIDEOS: by a trained run, by the nearest videos of an index, by its enrolled classes, by texts.

    VIDEOS are files, folders of videos, or folders of frames. `predict` writes a table instead, also of a whole store.

    The first line of a video is the answer; the others show what each source says, and how sure it is. An enrolled
    class comes first if the video passes its threshold, then --run, then --labels or --bank, then the votes of the
    index. With --bank and --index, the texts and the votes are also joined ("fused"), which comes before both. It names
    the neighbours, and the seconds of the video that fit best.

    If classes are enrolled, or the index is calibrated, votes pass only if the nearest video is near enough. If both
    pass, the rarer match counts: an enrolled class loses if more videos of other classes are as near to it as to the
    nearest video. If nothing passes, the answer is "unknown". "unsure" means that the first label is hardly more likely
    than the second, or than a guess.

    \b
    framebank label clip.mp4 --run run
    framebank label *.mp4 --index index
    framebank label clip.mp4 --index index --labels classes.txt
    framebank label clip.mp4 --labels classes.txt --model PE-Core-B-16 --pretrained meta
    framebank label clip.mp4 --bank names.h5 --index index
    """
    require_sources({**asking, "labels": asking["labels"] or asking["prompts"]})
    if asking["prompts"] and any(asking[name] for name in ("labels", "templates", "texts")):
        raise click.UsageError("--bank holds its own names, templates and texts; give it without --labels")
    if asking["labels"] and not any(asking[name] for name in ("like", "model", "run", "index")):
        required(None, "--like or --model")

    from framebank.library.asking.calls import label as label_by

    found = label_by(list(videos), **asking, workers=workers, watch=progress)
    if found.labelled or as_json:
        print_report(found.to_dict(), as_json=as_json, lines=found.lines())
    for failure in found.failed:
        say(f"Error: {failure.reason}")
    if found.failed:
        sys.exit(1)
