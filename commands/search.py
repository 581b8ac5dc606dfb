"""The command that searches an index."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from framebank.commands.options import PATH, Command, device_option, json_option
from framebank.commands.printing import print_report, say


def _once(context: click.Context, option: click.Parameter, given: tuple[Any, ...]) -> Any:
    """Return the one value of an option, or None. A search has one query, and the first of two must not be lost."""
    if len(given) > 1:
        raise click.UsageError(f"{option.opts[0]} is given {len(given)} times; expected one query", context)
    return given[0] if given else None


def once(*names: str, **how: Any) -> Callable[[Command], Command]:
    """Return an option that is an error when it is given twice."""
    return click.option(*names, multiple=True, callback=_once, **how)


@click.command(short_help="Find the videos nearest to a text or a video.")
@click.argument("index", type=PATH)
@once("--text", help="Find videos that a sentence describes.")
@once("--video", type=PATH, help="Find videos like this file.")
@once("--image", type=PATH, help="Find videos like this picture.")
@once("--id", "video_id", help="Find videos like this video of the index.")
@click.option("--from", "start", type=float, help="With --id and --to: the first second of the moment to search for.")
@click.option("--to", "end", type=float, help="With --id and --from: where that moment ends.")
@once("--minus-text", help="Find what is far from this text, and near to the query.")
@click.option("-k", default=10, type=click.IntRange(1), help="How many videos or moments to show.  [10]")
@click.option("--moments", is_flag=True, help="Find the best seconds of videos, by the rows of the store.")
@click.option(
    "--where",
    "filters",
    multiple=True,
    metavar="FILTER",
    help="Only videos like these: \"label in ('a', 'b') and split = 'train'\".",
)
@click.option("--store", type=PATH, help="The store of the rows, if it is no longer at its place.")
@click.option("--export-clips", type=PATH, metavar="DIR", help="Cut each hit out of its video, into this folder.")
@click.option("--exact", is_flag=True, help="With --export-clips: encode the clips anew, to start at the right frame.")
@click.option("--sheet", type=PATH, metavar="PNG", help="Draw a contact sheet: a row of frames for each hit.")
@click.option("--preview", type=PATH, metavar="WEBP|DIR", help="Play the hits: one animated picture, or one for each.")
@click.option("--all", "keep_all", is_flag=True, help="Show the nearest even if nothing is found.")
@device_option
@json_option
def search(
    index: Path,
    text: str | None,
    video: Path | None,
    image: Path | None,
    video_id: str | None,
    start: float | None,
    end: float | None,
    minus_text: str | None,
    k: int,
    moments: bool,
    filters: tuple[str, ...],
    store: Path | None,
    export_clips: Path | None,
    exact: bool,
    sheet: Path | None,
    preview: Path | None,
    keep_all: bool,
    device: str,
    as_json: bool,
) -> None:
    """Find the nearest videos of INDEX to a text, a video file, a picture or one of its own videos.

    Where nothing stands out from what everyday names find, the answer is that nothing is found. With --moments the
    answers are stretches of videos with their start and end. Videos that were removed from the store of INDEX are not
    shown. --export-clips copies what was found from the key frame before it on; what cannot be read is told of, and the
    exit code is 1.

    \b
    framebank search index --text "a person playing the piano"
    framebank search index --text "a person falls" --moments
    framebank search index --text "a person falls" --moments --export-clips clips --sheet falls.png
    framebank search index --text "a person falls" --moments --preview falls.webp
    framebank search index --text "a person" --minus-text "a crowd"
    framebank search index --id film --from 3.2 --to 5 --moments
    framebank search index --video clip.mp4 -k 5
    """
    if sum(given is not None for given in (text, video, image, video_id)) != 1:
        raise click.UsageError("give one of --text, --video, --image and --id")
    if text is not None and not text.strip():
        raise click.UsageError("--text is empty; give a sentence")
    if (start is None) != (end is None) or (start is not None and video_id is None):
        raise click.UsageError(
            "--from and --to are the start and the end of a moment of --id, in seconds; give all three"
        )
    if start is not None and end is not None and end <= start:
        raise click.UsageError(f"--to is {end:g} and --from is {start:g}; expected an end after the start")
    within = None if start is None or end is None else (start, end)
    if store is not None and not (moments or within or text):
        raise click.UsageError(
            "--store is the store whose rows are read; it needs --text, --moments or --from and --to"
        )

    if exact and export_clips is None:
        raise click.UsageError("--exact says how --export-clips cuts; give both")
    if minus_text is not None and not minus_text.strip():
        raise click.UsageError("--minus-text is empty; give a sentence")

    from framebank.library.search_index import SearchIndex
    from framebank.library.searching.asked import SearchOptions
    from framebank.library.searching.places import require_places

    opened = SearchIndex.open(index, device=device)
    if sheet or preview or export_clips:
        require_places(opened, sheet=sheet, preview=preview, clips=export_clips)
    where = filters[0] if len(filters) == 1 else " and ".join(f"({one})" for one in filters) or None
    how = SearchOptions(k=k, moments=moments, keep_all=keep_all, store=store, where=where)
    if text is not None:
        hits = opened.search_text(text, minus=minus_text, **how)
    elif video is not None:
        hits = opened.search_file(video, minus=minus_text, **how)
    elif image is not None:
        hits = opened.search_image(image, minus=minus_text, **how)
    else:
        hits = opened.search_id(str(video_id), within=within, minus=minus_text, **how)
    report = {
        **hits.to_dict(),
        "drift": opened.difference.counts if opened.difference is not None else None,
        "made_by": {**opened.index.spec.to_dict(), **opened.index.made_by},
    }
    drawn = hits.sheet(sheet) if sheet is not None and hits else None
    played = hits.preview(preview) if preview is not None and hits else None
    cut = hits.export_clips(export_clips, exact=exact) if export_clips is not None else None
    if sheet is not None:
        report["sheet"] = drawn.to_dict() if drawn else None
    if preview is not None:
        report["preview"] = played.to_dict() if played else None
    if cut is not None:
        report["clips"] = cut.to_dict()["clips"]
    made = [one for one in (drawn, played, cut) if one is not None]
    unmade = [f"no picture -> {path}" for path in (sheet, preview) if path is not None and not hits]
    told = [*hits.lines(), *(line for one in made for line in one.lines()), *unmade]
    print_report(report, as_json=as_json, lines=told)
    faults = [fault for one in made for fault in one.faults()]
    for fault in faults:
        say(f"Error: {fault}")
    if faults:
        sys.exit(1)
