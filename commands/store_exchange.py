"""Commands that import features of other programs into a store, and export a store for other programs."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.options import PATH, json_option, together
from framebank.commands.printing import print_report, progress
from framebank.store.counts import counted, listed

if TYPE_CHECKING:
    from framebank.store.exchange.imports import Imported

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
@click.option("--strict", is_flag=True, help="Exit with 1 if any video failed.")
@json_option
def import_features(
    src: Path,
    store: Path,
    describe: tuple[str, ...],
    split_values: str | None,
    fps: float,
    only_labels: Path | None,
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
    """
    from framebank.store import DataError, LabelSet
    from framebank.store.exchange.imports import find_width, imported_spec, read_description
    from framebank.store.exchange.imports import import_features as imported
    from framebank.store.exchange.imports import only_labels as with_labels
    from framebank.store.exchange.source import Names
    from framebank.store.exchange.sources import open_source
    from framebank.store.files.replacing import refuse_inside
    from framebank.store.upkeep.plan import plan_store

    refuse_inside(store, [src], what="store")
    values = tuple(value.strip() for value in split_values.split(",")) if split_values else ()
    found = source = open_source(src, Names(split_values=values, **names))
    if only_labels:
        source = with_labels(found, LabelSet.read(only_labels), where=only_labels)
    spec = imported_spec(read_description(describe), dim=find_width(source), made_by=source.spec)
    todo = plan_store(store, source.manifest, spec, retry_failed=True, what="import").missing
    started = time.perf_counter()
    done = list(progress(imported(store, source, spec=spec, fps=fps), total=len(todo), unit="video"))
    failed = [outcome for outcome in done if outcome.error]
    report = {
        "store": str(store),
        "videos": len(source.manifest),
        "imported": len(done) - len(failed),
        "failed": len(failed),
        "already_there": len(source.manifest) - len(todo),
        "left_out": len(found.manifest) - len(source.manifest),
        "not_taken": dict(sorted(found.not_taken.items())),
        "rows": sum(outcome.num_rows for outcome in done),
        "zero_rows": sum(outcome.zero_rows for outcome in done),
        "width": spec.dim,
        "seconds": round(time.perf_counter() - started, 2),
        "model": spec.encoder,
    }
    print_report(report, as_json=as_json, lines=_import_lines(report))
    for note in (*source.notes, *_import_notes(done, found.not_taken, width=spec.dim)):
        click.echo(note, err=True)
    if failed:
        click.echo(
            f"not imported: {len(failed)} of {counted(len(source.manifest), 'video')}, each with its reason in "
            f"{store / 'failed.csv'}",
            err=True,
        )
    if len(failed) == len(source.manifest):
        raise DataError(f"{src}: no video was imported of {len(source.manifest)}; {store / 'failed.csv'} says why")
    if failed and strict:
        sys.exit(1)


@click.command("export", short_help="Write the embeddings as .npy, parquet or tars.")
@click.argument("store", type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--format",
    "form",
    type=click.Choice(["npy", "parquet", "webdataset"]),
    default="npy",
    help="A file for each video, one table, or tars.",
)
@click.option("--split", default="all", help="The split to export, or all.")
@click.option("--stream", default="frame", help="The stream to export: frame, or another that STORE holds.")
@json_option
def export_features(store: Path, out: Path, form: str, split: str, stream: str, as_json: bool) -> None:
    """Write the embeddings of STORE to OUT: a folder of .npy, one .parquet, or a folder of WebDataset tars.

    OUT must not exist yet; it appears only when it is complete.

    \b
    framebank store export bank features --format npy
    framebank store export bank bank.parquet --format parquet --split train
    framebank store export bank layers --stream layers
    """
    from framebank.library.stores import open_store
    from framebank.store.exchange.exports import export_store
    from framebank.store.files.replacing import refuse_inside

    refuse_inside(out, [store], what="export")
    features = open_store(store)
    manifest = features.split(split)
    there = sum(video.video_id in features for video in manifest.videos)
    exported = list(
        progress(export_store(features, manifest, out, form=form, stream=stream), total=there, unit="video")
    )
    left_out = sorted(set(features.streams) - {stream})
    report = {
        "out": str(out),
        "format": form,
        "stream": stream,
        "videos": len(exported),
        "without_embedding": len(manifest) - len(exported),
        "streams_left_out": left_out,
    }
    print_report(report, as_json=as_json, lines=[f"{counted(len(exported), 'video')} -> {out}"])
    if left_out:
        click.echo(f"only the stream {stream} is exported; not exported: {listed(left_out)}", err=True)
    if len(exported) < len(manifest):
        missing = len(manifest) - len(exported)
        click.echo(f"not exported: {missing} of {counted(len(manifest), 'video')}, without an embedding", err=True)


def write_imported_prompts(
    labels: Path,
    out: Path,
    *,
    like: Path | None,
    source: Path | None,
    array: str | None,
    names: str | None,
    renamed: tuple[str, ...],
    logit_scale: float | None,
    as_json: bool,
) -> None:
    """Write the rows of `source` that have the names of the classes as prompts of the store's encoder."""
    from framebank.store import FeatureStore, LabelSet
    from framebank.store.exchange.imported_prompts import look_up_prompts, read_renamed

    if not source or not like:
        raise click.UsageError(
            "--import needs --like, the store whose encoder made them, and --array, --names, --map "
            "and --logit-scale need --import"
        )
    bank = look_up_prompts(
        LabelSet.read(labels),
        source,
        array=array,
        names=names,
        renamed=read_renamed(renamed),
        encoder=FeatureStore(like).spec,
        logit_scale=logit_scale or 100.0,
    )
    bank.write(out)
    report = {
        "prompts": str(out),
        "classes": len(bank.labels),
        "rows": len(bank.texts),
        "imported_from": str(source),
        "model": bank.encoder.encoder,
    }
    lines = [
        f"{counted(len(bank.labels), 'class', 'classes')}, {counted(len(bank.texts), 'row')} of {source} -> {out}",
        f"for {report['model']}",
    ]
    print_report(report, as_json=as_json, lines=lines)


def _import_notes(done: Sequence["Imported"], not_taken: Mapping[str, int], *, width: int) -> Iterator[str]:
    """Yield what is worth knowing of an import beside its counts."""
    from framebank.store.videos.intake import told

    if not_taken:
        yield told(not_taken)
    shapes = [outcome.flattened for outcome in done if outcome.flattened]
    if shapes:
        yield f"flattened: {counted(len(shapes), 'video')}, such as {shapes[0]} to ({shapes[0][0]}, {width})"
    zeros = [outcome for outcome in done if outcome.zero_rows]
    if zeros:
        rows = counted(sum(outcome.zero_rows for outcome in zeros), "row")
        ids = listed((outcome.video.video_id for outcome in zeros), most=3)
        yield f"kept: {rows} of zeros in {counted(len(zeros), 'video')} ({ids})"
    yield from [f"failed: {outcome.error}" for outcome in done if outcome.error][:5]


def _import_lines(report: dict[str, Any]) -> list[str]:
    left_out = f", {report['left_out']} left out by --only-labels" if report["left_out"] else ""
    return [
        f"{counted(report['videos'], 'video')}: {report['imported']} imported, {report['failed']} failed, "
        f"{report['already_there']} already there{left_out}",
        f"{counted(report['rows'], 'row')} of {counted(report['width'], 'value')} in {report['seconds']:.1f} s "
        f"-> {report['store']}",
        f"by {report['model']}",
    ]
