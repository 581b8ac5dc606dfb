"""The command predict: a label for every video of a store, of a folder or of a list, as a table."""

import sys
from pathlib import Path
from typing import Any

import click

from framebank.commands.asking import asking_options, require_sources
from framebank.commands.options import PATH, device_option, json_option
from framebank.commands.printing import print_report, progress, say

MOST_NAMED = 20  # failures, with a line for each


@click.command(short_help="Label every video of a store or a folder.")
@click.argument("videos", nargs=-1, required=True, type=PATH)
@asking_options
@click.option("--prompts", type=PATH, help="Class embeddings made by `framebank prompts`, instead of --labels.")
@click.option("--csv", "csv_path", type=PATH, help="Write the table here.")
@click.option("--top", default=3, type=click.IntRange(1), help="How many labels for each video.")
@click.option("--split", default="all", help="The split to label.")
@device_option
@json_option
def predict(
    videos: tuple[Path, ...],
    csv_path: Path | None,
    split: str,
    workers: int | None,
    as_json: bool,
    **asking: Any,
) -> None:
    """Give every video of VIDEOS a label: a store, a folder of videos, a manifest CSV, or video files.

    For a store, the command uses the stored rows. Other videos are decoded as `extract` does it, and nothing of them is
    kept: extract them first if you will need them again. The videos need no labels of their own.

    The sources of labels and their order are those of `label`. The table has a row for each video, in the order of the
    input: video_id, path, start, end, label, confidence, the next labels, unsure, and the source.

    \b
    framebank predict bank --run run --csv labels.csv
    framebank predict bank --labels classes.txt --csv labels.csv --top 3
    framebank predict new-videos/ --index index --csv labels.csv
    """
    require_sources(asking, prompts=True)

    from framebank.library.asking.calls import predict as label_all

    found = label_all(
        videos, split, **asking, csv=csv_path, keep=as_json or not csv_path, workers=workers, watch=progress
    )
    print_report(found.to_dict(), as_json=as_json, lines=found.lines())
    for failure in found.failed[:MOST_NAMED]:
        say(f"failed: {failure.reason}")
    if len(found.failed) > MOST_NAMED:
        say(f"and {len(found.failed) - MOST_NAMED} more; --json lists all of them")
    if found.failed:
        sys.exit(1)
