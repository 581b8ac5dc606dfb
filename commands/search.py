"""The command that searches an index."""

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from framebank.commands.options import PATH, device_option, json_option
from framebank.commands.printing import print_report, say

KINDS = ("text", "video", "image", "id", "minus-text")


def _weights_of(given: Sequence[str], counts: Mapping[str, int]) -> dict[str, list[float]]:
    """Return the weight of each query by kind, 1 if it is not given: "text=2,1" for two texts, "text=2" for all."""
    from framebank.store.formats.settings import read_pairs

    weights = {kind: [1.0] * count for kind, count in counts.items()}
    expected = f"{', '.join(KINDS)}, then = and numbers above 0"
    for kind, numbers in read_pairs(given, what="--weight", expected=expected).items():
        try:
            own = [float(number) for number in numbers.split(",")]
        except ValueError:
            own = [0.0]
        if kind not in counts or not all(0 < number < math.inf for number in own):
            raise click.UsageError(f"--weight is '{kind}={numbers}'; expected {expected}")
        if not counts[kind]:
            raise click.UsageError(f"--weight is '{kind}={numbers}', but no --{kind} is given")
        if len(own) not in (1, counts[kind]):
            raise click.UsageError(f"--weight is '{kind}={numbers}'; expected one number, or one for each --{kind}")
        weights[kind] = own * counts[kind] if len(own) == 1 else own
    return weights


@click.command(short_help="Find the videos nearest to a text or a video.")
@click.argument("index", type=PATH)
@click.option(
    "--text", "texts", multiple=True, help="Find videos that a sentence describes; each of these may be repeated."
)
@click.option("--video", "videos", multiple=True, type=PATH, help="Find videos like this file.")
@click.option("--image", "images", multiple=True, type=PATH, help="Find videos like this picture.")
@click.option("--id", "ids", multiple=True, help="Find videos like this video of the index.")
@click.option("--from", "starts", multiple=True, type=float, help="With --id and --to: where a moment of it starts.")
@click.option("--to", "ends", multiple=True, type=float, help="With --id and --from: where that moment ends.")
@click.option("--minus-text", "minus", multiple=True, help="Find what is far from this text, and near to the others.")
@click.option(
    "--weight",
    "weights",
    multiple=True,
    metavar="KIND=NUMBER",
    help="How much queries of a kind count: text=2, or text=2,1 for two texts.  [1]",
)
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
    texts: tuple[str, ...],
    videos: tuple[Path, ...],
    images: tuple[Path, ...],
    ids: tuple[str, ...],
    starts: tuple[float, ...],
    ends: tuple[float, ...],
    minus: tuple[str, ...],
    weights: tuple[str, ...],
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
    exit code is 1. Several queries are searched for together, by the sum of their unit vectors; --weight says how much
    each counts.

    \b
    framebank search index --text "a person playing the piano"
    framebank search index --text "a person falls" --moments
    framebank search index --text "a person falls" --moments --export-clips clips --sheet falls.png
    framebank search index --text "a person falls" --moments --preview falls.webp
    framebank search index --text "a person" --minus-text "a crowd"
    framebank search index --id film --from 3.2 --to 5 --moments
    framebank search index --text "a person falls" --id film --weight text=2
    framebank search index --video clip.mp4 -k 5
    """
    if not (texts or videos or images or ids):
        raise click.UsageError("give --text, --video, --image or --id, or several of them")
    for option, given in (("--text", texts), ("--minus-text", minus)):
        if not all(text.strip() for text in given):
            raise click.UsageError(f"{option} is empty; give a sentence")
    if len(starts) != len(ends) or (starts and len(starts) != len(ids)):
        raise click.UsageError(
            "--from and --to are the start and the end of a moment of --id, in seconds; give all three, once for each"
        )
    for start, end in zip(starts, ends, strict=True):
        if end <= start:
            raise click.UsageError(f"--to is {end:g} and --from is {start:g}; expected an end after the start")
    if store is not None and not (moments or starts or texts):
        raise click.UsageError(
            "--store is the store whose rows are read; it needs --text, --moments or --from and --to"
        )
    if exact and export_clips is None:
        raise click.UsageError("--exact says how --export-clips cuts; give both")
    counts = dict(zip(KINDS, map(len, (texts, videos, images, ids, minus)), strict=True))
    weight = _weights_of(weights, counts)
    if weights and sum(counts.values()) == 1:
        raise click.UsageError("--weight says how much each of several queries counts; there is one")
    if not all(one.strip() for one in filters):
        raise click.UsageError("--where is empty; give a filter")

    from framebank.library.search_index import SearchIndex
    from framebank.library.searching.asked import SearchOptions
    from framebank.library.searching.places import require_places
    from framebank.library.searching.query import Query

    opened = SearchIndex.open(index, device=device)
    if sheet or preview or export_clips:
        require_places(opened, sheet=sheet, preview=preview, clips=export_clips)
    where = filters[0] if len(filters) == 1 else " and ".join(f"({one})" for one in filters) or None
    how = SearchOptions(k=k, moments=moments, keep_all=keep_all, store=store, where=where)
    moments_of: Sequence[tuple[float, float] | None] = list(zip(starts, ends, strict=True)) or [None] * len(ids)
    parts = [
        *(Query(text=one, weight=own) for one, own in zip(texts, weight["text"], strict=True)),
        *(Query(file=one, weight=own) for one, own in zip(videos, weight["video"], strict=True)),
        *(Query(image=one, weight=own) for one, own in zip(images, weight["image"], strict=True)),
        *(
            Query(video_id=one, within=seconds, weight=own)
            for one, seconds, own in zip(ids, moments_of, weight["id"], strict=True)
        ),
        *(Query(text=one, weight=-own) for one, own in zip(minus, weight["minus-text"], strict=True)),
    ]
    hits = opened.search(parts, **how)
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
