"""Commands that name a class by a few examples, and take the name back: enroll and unenroll."""

from dataclasses import asdict
from pathlib import Path

import click

from framebank.commands.options import PATH, device_option, json_option
from framebank.commands.printing import print_report, progress, warn_if_random
from framebank.commands.wiring import task_of


@click.command()
@click.argument("index", type=PATH)
@click.argument("label")
@click.argument("videos", nargs=-1, type=PATH)
@click.option("--id", "video_ids", multiple=True, help="A video of the index as an example; repeatable.")
@device_option
@json_option
def enroll(
    index: Path, label: str, videos: tuple[Path, ...], video_ids: tuple[str, ...], device: str, as_json: bool
) -> None:
    """Make LABEL a class of INDEX by the example clips VIDEOS: `label` and `search` then know it, without training.

    The clips are embedded as the index's own videos were. `label` takes a video for this class when its cosine to the
    mean of the examples is over a threshold that at most 5 % of videos of other classes pass, by those of the index;
    below that and far from every other class it says "unknown". All clips are enrolled, or none.

    \b
    framebank enroll index juggling one.mp4 two.mp4
    framebank enroll index juggling --id videos/clip_07
    framebank label new.mp4 --index index
    """
    import numpy as np

    from framebank.extract.encoder import encoder_like
    from framebank.extract.pipeline import embed_clip
    from framebank.extract.worker import Job
    from framebank.heads.enrolling import check_label
    from framebank.heads.enrolling import enroll as add
    from framebank.heads.neighbours import pool_query
    from framebank.store import Video
    from framebank.store.index import Index

    if not videos and not video_ids:
        raise click.UsageError("give at least one clip, or --id")
    loaded = Index.load(index)
    check_label(loaded, label)
    examples: list[tuple[Video, np.ndarray]] = [
        (loaded.video(video_id), loaded.vector(video_id)) for video_id in video_ids
    ]
    if videos:
        encoder = encoder_like(loaded.spec, device=device)
        warn_if_random(encoder)
        task = task_of(loaded.spec, encoder)
        for path in progress(videos, total=len(videos), unit="video"):
            vector = pool_query(loaded, embed_clip(Job(path), task=task, encoder=encoder))[0]
            examples.append((Video(path.stem or path.absolute().name, path.absolute()), vector))
    made = add(index, label, examples, of=loaded.enrolment.of)
    passing = (
        f"a video passes from a cosine of {made.threshold:.3f} on, which at most 5 % of videos of other classes do"
        if made.threshold is not None
        else "too few to set a threshold (19 are needed): a video passes when the class is nearer than any other video"
    )
    lines = [
        f"{len(examples)} enrolled as {label!r}, which has {made.num_enrolled + made.num_own} examples now -> {index}",
        f"{made.num_others} videos of other classes in the index: {passing}",
    ]
    print_report({"index": str(index), "enrolled": len(examples), **asdict(made)}, as_json=as_json, lines=lines)


@click.command()
@click.argument("index", type=PATH)
@click.argument("label")
@json_option
def unenroll(index: Path, label: str, as_json: bool) -> None:
    """Remove the enrolled videos of LABEL from INDEX; the index's own videos of that label stay.

    \b
    framebank unenroll index juggling
    """
    from framebank.heads.enrolling import unenroll as remove

    removed = remove(index, label)
    print_report(
        {"index": str(index), "label": label, "removed": removed},
        as_json=as_json,
        lines=[f"{removed} enrolled videos of {label!r} removed from {index}"],
    )
