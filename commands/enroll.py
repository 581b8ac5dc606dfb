"""Commands for classes of your own and for thresholds: enroll, unenroll and calibrate."""

from pathlib import Path

import click

from framebank.commands.options import PATH, device_option, json_option
from framebank.commands.printing import print_report, progress, warn_if_random
from framebank.store.counts import counted


@click.command(short_help="Add a class to an index by a few example clips.")
@click.argument("index", type=PATH)
@click.argument("label")
@click.argument("videos", nargs=-1, type=PATH)
@click.option("--id", "video_ids", multiple=True, help="A video of the index as an example; can be repeated.")
@device_option
@json_option
def enroll(
    index: Path, label: str, videos: tuple[Path, ...], video_ids: tuple[str, ...], device: str, as_json: bool
) -> None:
    """Make LABEL a class of INDEX by the example clips VIDEOS: `label` and `search` then know it, without training.

    The clips are embedded like the index's own videos. `label` gives a video this class if its cosine to the mean of
    the examples is above a threshold, and no video of the index fits better. The threshold lets at most 5 % of the
    videos of other classes pass: the videos of the index, or held-out ones (`calibrate`). A video that is near no class
    is "unknown". Either all clips are enrolled or none.

    \b
    framebank enroll index juggling one.mp4 two.mp4
    framebank enroll index juggling --id videos/clip_07
    framebank label new.mp4 --index index
    """
    if not videos and not video_ids:
        raise click.UsageError("give at least one clip, or --id")
    from framebank.library.search_index import SearchIndex

    opened = SearchIndex.open(index, device=device)
    if videos:
        warn_if_random(opened.encoder_of_examples())
    made = opened.enroll(label, videos, ids=video_ids, watch=progress)
    print_report(made.to_dict(), as_json=as_json, lines=made.lines())


@click.command(short_help="Remove an enrolled class from an index.")
@click.argument("index", type=PATH)
@click.argument("label")
@json_option
def unenroll(index: Path, label: str, as_json: bool) -> None:
    """Remove the enrolled videos of LABEL from INDEX; the index's own videos of that label stay.

    \b
    framebank unenroll index juggling
    """
    from framebank.library.search_index import SearchIndex

    removed = SearchIndex.open(index).unenroll(label)
    print_report(
        {"index": str(index), "label": label, "removed": removed},
        as_json=as_json,
        lines=[f"{counted(removed, 'enrolled video')} of {label!r} removed from {index}"],
    )


@click.command(short_help="Set the thresholds of an index by held-out videos.")
@click.argument("index", type=PATH)
@click.argument("store", type=PATH, required=False)
@click.option("--split", help="The split of STORE whose videos set the thresholds, or all.  [val]")
@click.option(
    "--share",
    default=0.05,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="The share of the videos of other classes that may pass each threshold.  [0.05]",
)
@device_option
@json_option
def calibrate(index: Path, store: Path | None, split: str | None, share: float, device: str, as_json: bool) -> None:
    """Set the thresholds of INDEX by held-out videos of STORE, for the classes enrolled now and later.

    STORE must be embedded like the index's own videos. The videos of the split need labels, and must not be in the
    index. Without STORE, the videos of the index set the thresholds, as before any calibration. If a video passes no
    threshold, `label` says "unknown": more often with a lower --share.

    \b
    framebank calibrate index bank --split val
    framebank calibrate index bank --split val --share 0.01
    framebank calibrate index
    """
    if split and not store:
        raise click.UsageError("--split needs a STORE")
    from framebank.library.search_index import SearchIndex

    made = SearchIndex.open(index, device=device).calibrate(store, split, share=share)
    print_report(made.to_dict(), as_json=as_json, lines=made.lines())
