"""Commands that import features of other programs into a store, and export a store for other programs."""

import sys
from pathlib import Path
from typing import Any

import click

from framebank.commands.options import PATH, json_option, together
from framebank.commands.printing import print_report, progress, say

prompt_import_options = together(
    click.option("--import", "source", type=PATH, help="Class embeddings: npz, HDF5 or parquet; needs --like."),
    click.option("--array", help="The embeddings in that file.  [embeddings, features ...]"),
    click.option("--names", help="The names of its rows.  [names, classes, labels ...]"),
    click.option("--map", "renamed", multiple=True, metavar="CLASS=NAME", help="The name of a class in that file."),
    click.option("--logit-scale", type=click.FloatRange(0, min_open=True), help="Multiply the cosine by this.  [100]"),
)


@click.command("import", short_help="Make a store of features from another program.")
@click.argument("src", type=PATH)
@click.argument("store", type=PATH)
@click.option("--describe", multiple=True, help="What made them: model=VGG16,pretrained=imagenet,...")
@click.option("--array", help="The embeddings in a file, or in each group of it.  [features, embeddings, x]")
@click.option("--ids", help="The video_ids in a file.  [video_id, video, ids]")
@click.option("--label", help="The labels in a file: strings, or numbers into --classes.  [label, labels]")
@click.option("--classes", help="The class names in a file.  [classes, class_names, names]")
@click.option("--split", help="The splits in a file: strings, or numbers.  [split, or an array whose name begins so]")
@click.option("--split-values", help="The names of the numbers in --split, 0 first: train,test.")
@click.option("--end", help="The row after the last one of each video, for an array (R, D).  [end]")
@click.option("--fps", default=1.0, type=click.FloatRange(0, min_open=True), help="Rows a second, if not known.")
@click.option("--only-labels", type=PATH, help="Import only videos of the classes in this file.")
@click.option(
    "--clips-by",
    metavar="MODEL",
    help="SRC is a store of frames: embed their clips by hf:MODEL, a PE-Video, whose picture tower made it.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 if any video failed.")
@json_option
def import_features(
    src: Path,
    store: Path,
    describe: tuple[str, ...],
    split_values: str | None,
    fps: float,
    only_labels: Path | None,
    clips_by: str | None,
    strict: bool,
    as_json: bool,
    **names: Any,
) -> None:
    """Make STORE of the features in SRC, or add to it: a folder, a tar, a CSV of feature files, or one file of arrays.

    A folder holds an .npy, .npz, .h5 or .pt (T, D) for each video, as video_features, clip-video-encode and `store
    export` write them, or WebDataset tars of .npy. A file of arrays is an .npz, .h5, .npy or .parquet of (V, T, D), (V,
    D), or (R, D) with --end; or it holds an array (T, D) for each video, as v_x/c3d_features. A video that cannot be
    read or has only zeros gets a line in STORE/failed.csv. Start the command again, and it does what is left.

    \b
    framebank store import features/ bank --describe model=CLIP-ViT-B/32,pretrained=openai
    framebank store import ucf101-vgg16.npz bank --describe model=VGG16,pretrained=imagenet --split split1
    framebank store import frames clips --clips-by hf:pe-video/
    """
    from framebank.library.exchange.imported_store import import_store
    from framebank.store.exchange.source import Names

    values = tuple(value.strip() for value in split_values.split(",")) if split_values else ()
    columns = Names(split_values=values, **names)
    if clips_by and (describe or columns != Names()):
        raise click.UsageError("--clips-by reads a store, which says what its features are; leave out the others")
    done = import_store(
        src, store, columns, describe=describe, fps=fps, only_labels=only_labels, clips_by=clips_by, watch=progress
    )
    print_report(done.to_dict(), as_json=as_json, lines=done.lines())
    for note in done.notes():
        say(note)
    done.require_some()
    if done.failed and strict:
        sys.exit(1)


@click.command("export", short_help="Write the embeddings as .npy, parquet or tars.")
@click.argument("store", type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--format",
    "form",
    type=click.Choice(["npy", "parquet", "webdataset", "fiftyone"]),
    default="npy",
    help="A file for each video, one table, or tars; or labels for FiftyOne.",
)
@click.option("--split", default="all", help="The split to export, or all.")
@click.option("--stream", default="frame", help="The stream to export: frame, or another that STORE holds.")
@click.option("--run", "run_path", type=PATH, help="Add what this run says of each video (fiftyone).")
@click.option("--spans", type=PATH, help="Add the spans of this file, such as of `shots --csv` (fiftyone).")
@json_option
def export_features(
    store: Path, out: Path, form: str, split: str, stream: str, run_path: Path | None, spans: Path | None, as_json: bool
) -> None:
    """Write the embeddings of STORE to OUT: a folder of .npy, one .parquet, or a folder of WebDataset tars.

    With --format fiftyone, OUT is a folder that FiftyOne imports: the videos with their labels, and no embeddings.
    OUT must not exist yet; it appears only when it is complete.

    \b
    framebank store export bank features --format npy
    framebank store export bank bank.parquet --format parquet --split train
    framebank store export bank layers --stream layers
    framebank store export bank dataset --format fiftyone --run run --spans spans.csv
    """
    if form != "fiftyone" and (run_path or spans):
        raise click.UsageError("--run and --spans go with --format fiftyone")
    if form == "fiftyone":
        from framebank.library.exchange.fiftyone_export import export_fiftyone

        if stream != "frame":
            raise click.UsageError("--stream does not go with --format fiftyone, which has no embeddings")
        done = export_fiftyone(store, out, split=split, run=run_path, spans=spans, watch=progress)
    else:
        done = _export_embeddings(store, out, form=form, split=split, stream=stream)
    print_report(done.to_dict(), as_json=as_json, lines=done.lines())
    for note in done.notes():
        say(note)


def _export_embeddings(store: Path, out: Path, **how: str) -> Any:
    from framebank.library.exchange.exported_store import export_embeddings

    return export_embeddings(store, out, **how, watch=progress)
