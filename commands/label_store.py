"""The command label-store: a label for every unlabelled video of a store, from its rows."""

import sys
from pathlib import Path

import click

from framebank.commands.options import PATH, device_option, json_option
from framebank.commands.printing import print_report, progress, say


@click.command("label-store", short_help="Name the unlabelled videos of a store.")
@click.argument("store", type=PATH)
@click.option("--bank", type=PATH, help="Name by the texts of a label bank (`framebank labels build`, `prompts`).")
@click.option("--index", type=PATH, help="Name by an index: its enrolled classes, and its votes.")
@click.option("--run", type=PATH, help="Name by a trained run.")
@click.option("-k", type=click.IntRange(1), help="With --index: how many neighbours vote.  [10, or all there are]")
@click.option("--split", default="all", help="The split whose videos are named, or all.")
@click.option("--all", "everything", is_flag=True, help="Name the videos that have a label too, and compare.")
@click.option("--out", type=PATH, default=Path("labels.csv"), help="Write the table here.")
@click.option("--threshold", default=0.5, type=click.FloatRange(0, 1), help="The confidence from which one is sure.")
@click.option("--write", is_flag=True, help="Write the labels at or above the threshold into the manifest of STORE.")
@device_option
@json_option
def label_store(
    store: Path,
    bank: Path | None,
    index: Path | None,
    run: Path | None,
    k: int | None,
    split: str,
    everything: bool,
    out: Path,
    threshold: float,
    write: bool,
    device: str,
    as_json: bool,
) -> None:
    """Name every unlabelled video of STORE from its stored rows. No video is read.

    The table has a row for each video: its label, the confidence, the next labels, and who gave them. The confidence is
    a probability (--bank, --run), a share of the neighbours' votes, or the cosine of an enrolled class (--index). With
    --write, the sure labels go into the manifest; `framebank store relabel STORE --undo` takes them back. A label that
    a video has is never replaced.

    \b
    framebank label-store bank --bank names.h5
    framebank label-store bank --run run --threshold 0.9 --write
    framebank label-store bank --index index --out named.csv
    """
    if not (bank or index or run):
        raise click.UsageError("give at least one of --bank, --index and --run")

    from framebank.library.asking.store_labels import label_store as name_videos

    found = name_videos(
        store,
        prompts=bank,
        index=index,
        run=run,
        k=k,
        split=split,
        csv=out,
        threshold=threshold,
        write=write,
        everything=everything,
        device=device,
        watch=progress,
    )
    print_report(found.to_dict(), as_json=as_json, lines=found.lines())
    if found.labels.failed:
        say(f"failed: {found.labels.failed[0].reason}")
        sys.exit(1)
