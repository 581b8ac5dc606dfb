"""Commands for classes of your own and for thresholds: enroll, unenroll and calibrate."""

from dataclasses import asdict
from pathlib import Path

import click

from framebank.commands.encoder_options import open_split
from framebank.commands.options import PATH, device_option, json_option
from framebank.commands.printing import print_report, progress, table, warn_if_random
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
    from framebank.heads.labelling.calibrate import fewest, source_of
    from framebank.library.search_index import SearchIndex

    opened = SearchIndex.open(index, device=device)
    if videos:
        warn_if_random(opened.encoder_of_examples())
    made = opened.enroll(label, videos, ids=video_ids, watch=progress)
    loaded = opened.whole
    source, num_given = source_of(loaded), len(videos) + len(video_ids)
    threshold = [
        f"no threshold: that needs {fewest(source.share)} videos of other classes",
        "a video passes if it is nearer to the class than to any video of the index",
    ]
    if not any(video.label for video in loaded.videos[: loaded.num_own]):
        threshold[1] = "no video of the index has a label, so every video passes until you run `framebank calibrate`"
    if made.threshold is not None:
        threshold = [
            f"threshold {made.threshold:.3f}: a video passes if its cosine to their mean is larger",
            f"at most {100 * source.share:g} % of the videos of other classes should pass",
        ]
    lines = [
        f"{counted(num_given, 'video')} enrolled as {label!r}, which now has "
        f"{counted(made.num_enrolled + made.num_own, 'example')} -> {index}",
        *threshold,
        f"compared with {counted(made.num_others, 'video')} of other classes, of {source}",
    ]
    report = {"index": str(index), "enrolled": num_given, **asdict(made), "thresholds": asdict(source)}
    print_report(report, as_json=as_json, lines=lines)


@click.command(short_help="Remove an enrolled class from an index.")
@click.argument("index", type=PATH)
@click.argument("label")
@json_option
def unenroll(index: Path, label: str, as_json: bool) -> None:
    """Remove the enrolled videos of LABEL from INDEX; the index's own videos of that label stay.

    \b
    framebank unenroll index juggling
    """
    from framebank.heads.labelling.enroll import unenroll as remove

    removed = remove(index, label)
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
    from framebank.extract.encoders.encoder import resolve_device
    from framebank.heads.labelling.calibrate import calibrate as set_thresholds
    from framebank.heads.labelling.calibrate import fewest, held_out, source_of
    from framebank.heads.labelling.enroll import describe
    from framebank.library.search_index import warn_if_older
    from framebank.store.indexes.enrolment import Calibration
    from framebank.store.indexes.index import Index

    loaded = Index.load(index)
    warn_if_older(index, loaded)
    calibration = Calibration(share)
    if store:
        split = split or "val"
        features, manifest = open_split(store, split)
        calibration = held_out(
            loaded, features, manifest, split=split, share=share, device=resolve_device(device), where=index
        )
    loaded = set_thresholds(index, calibration, index=loaded)
    classes = [describe(loaded, label) for label in loaded.enrolment.labels]
    source = source_of(loaded)
    nearest, num_nearest = loaded.enrolment.nearest, len(loaded.enrolment.nearest_others)
    rows = [
        *(
            (made.label, f"{made.num_enrolled + made.num_own}", f"{made.num_others}", made.threshold)
            for made in classes
        ),
        ("votes, by the nearest video", "", f"{num_nearest}", nearest),
    ]
    shown = [(*cells, "none" if threshold is None else f"{threshold:.3f}") for *cells, threshold in rows]
    lines = [
        *table(("class", "examples", "others", "threshold"), shown),
        f"thresholds of {index} are set by {source}: at most {100 * share:g} % of the others should pass each",
    ]
    if any(threshold is None for *_, threshold in rows):
        lines.append(
            f"a threshold needs at least {fewest(share)} others; without one, a class passes if the video is nearer "
            "than any video of the index, and votes always pass"
        )
    if loaded.enrolment.is_empty:
        lines = [
            f"{index} has no thresholds now: no class is enrolled, and `label` always answers with the votes of videos"
        ]
    report = {
        "index": str(index),
        "thresholds": None if loaded.enrolment.is_empty else asdict(source),
        "classes": [asdict(made) for made in classes],
        "nearest": nearest,
    }
    print_report(report, as_json=as_json, lines=lines)
