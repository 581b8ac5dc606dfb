"""Commands that find: index and search."""

from pathlib import Path

import click

from framebank.commands.options import PATH, device_option, json_option, run_option
from framebank.commands.printing import print_report


@click.command(short_help="Index the videos of a store for search and labels.")
@click.argument("store", type=PATH)
@click.argument("index", type=PATH)
@run_option
@click.option("--split", help="The split to index, or all.  [all]")
@device_option
@click.option(
    "--update", is_flag=True, help="Bring INDEX up to date with STORE; enrolled classes and the calibration stay."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing index.")
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

    If videos of STORE were added, removed, embedded again, moved or relabelled, --update brings INDEX up to date, with
    the split and the run that it was made with. Enrolled classes and the calibration stay, and the thresholds are set
    again.

    \b
    framebank index bank index
    framebank index bank index --split train --run run
    framebank index bank index --update
    """
    if update and overwrite:
        raise click.UsageError("--update keeps the existing index and --overwrite replaces it; give one of them")
    from framebank.library.indexing.build import index as make_index
    from framebank.library.indexing.update import update_index
    from framebank.library.stores import open_store

    bank = open_store(store)
    if update:
        made = update_index(index, bank, split=split, run_path=run_path, device=device)
        print_report(made.to_dict(), as_json=as_json, lines=made.lines())
    else:
        new = make_index(bank, index, run=run_path, split=split or "all", overwrite=overwrite, device=device)
        print_report(new.to_dict(), as_json=as_json, lines=new.lines())


@click.command(short_help="Find the videos nearest to a text or a video.")
@click.argument("index", type=PATH)
@click.option("--text", help="Find videos that a sentence describes.")
@click.option("--video", type=PATH, help="Find videos like this file.")
@click.option("--id", "video_id", help="Find videos like this video of the index.")
@click.option("-k", default=10, type=click.IntRange(1), help="How many videos to show.  [10]")
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

    from framebank.library.search_index import SearchIndex

    opened = SearchIndex.open(index, device=device)
    if text is not None:
        hits = opened.search_text(text, k=k)
    elif video is not None:
        hits = opened.search_file(video, k=k)
    else:
        hits = opened.search_id(str(video_id), k=k)
    report = {
        **hits.to_dict(),
        "drift": opened.difference.counts if opened.difference is not None else None,
        "made_by": {**opened.index.spec.to_dict(), **opened.index.made_by},
    }
    print_report(report, as_json=as_json, lines=hits.lines())
