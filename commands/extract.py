"""Commands that embed: extract and prompts."""

import sys
import time
from pathlib import Path
from typing import Any

import click

from framebank.commands.options import (
    PATH,
    encoder_options,
    json_option,
    model_options,
    required,
    template_option,
    texts_option,
)
from framebank.commands.printing import print_report, progress, warn_if_random
from framebank.commands.wiring import clip_reader, embed_texts


@click.command()
@click.argument("videos", nargs=-1, required=True, type=PATH)
@click.argument("store", type=PATH)
@model_options
@click.option(
    "--frames", default=16, type=click.IntRange(1), help="Frames of each video: the centres of equal segments."
)
@click.option("--split-file", "split_files", multiple=True, type=PATH, help="UCF101's trainlist01.txt and the like.")
@encoder_options
@click.option("--decoder", default="auto", help="auto, pyav or decord.")
@click.option("--batch-size", default=64, type=click.IntRange(1), help="Frames encoded at once, across videos.")
@click.option("--workers", default=2, type=click.IntRange(1), help="Videos decoded at once.")
@click.option("--strict", is_flag=True, help="Exit with 1 when any video failed.")
@json_option
def extract(
    videos: tuple[Path, ...],
    store: Path,
    split_files: tuple[Path, ...],
    model: str | None,
    pretrained: str | None,
    frames: int,
    device: str,
    precision: str,
    decoder: str,
    batch_size: int,
    workers: int,
    strict: bool,
    as_json: bool,
) -> None:
    """Embed the frames of VIDEOS into STORE: a folder of class folders, a manifest CSV, or video files.

    Killed and started again, it does what is left. A video that cannot be read gets a line in STORE/failed.csv.

    \b
    framebank extract videos/ bank --model ViT-B-16 --pretrained openai
    framebank extract UCF-101/ bank --model demo --split-file trainlist01.txt --split-file testlist01.txt
    """
    from framebank.extract.decode import decoder_versions
    from framebank.extract.encoder import Encoder
    from framebank.extract.fill import fill_store, plan_store, store_spec
    from framebank.store import DataError, Manifest

    manifest = Manifest.read(videos)
    if split_files:
        manifest, notes = manifest.with_splits(split_files)
        click.echo("\n".join(notes), err=True)
    encoder = Encoder(required(model, "--model"), pretrained, device=device, precision=precision)
    warn_if_random(encoder)
    spec = store_spec(encoder.spec, num_frames=frames, decoder=decoder_versions(decoder=decoder))
    merged, todo = plan_store(store, manifest, spec)
    started = time.perf_counter()
    read_clip = clip_reader(frames, decoder=decoder)
    outcomes = fill_store(
        store, merged, todo, spec=spec, read_clip=read_clip, encoder=encoder, batch_size=batch_size, num_workers=workers
    )
    done = list(progress(outcomes, total=len(todo), unit="video"))
    failed = [outcome for outcome in done if outcome.error]
    report = {
        "store": str(store),
        "videos": len(manifest),
        "embedded": len(done) - len(failed),
        "failed": len(failed),
        "already_there": len(manifest) - len(todo),
        "frames": sum(outcome.num_frames for outcome in done),
        "seconds": round(time.perf_counter() - started, 2),
        "model": spec.encoder,
    }
    print_report(report, as_json=as_json, lines=_extract_lines(report))
    for outcome in failed[:5]:
        click.echo(f"failed: {outcome.error}", err=True)
    if failed:
        click.echo(f"{len(failed)} of {len(manifest)} videos gave no embedding: {store / 'failed.csv'}", err=True)
    if len(failed) == len(manifest):
        raise DataError(f"{store}: none of the {len(manifest)} videos could be embedded")
    if failed and strict:
        sys.exit(1)


@click.command()
@click.argument("labels", type=PATH)
@click.argument("out", type=PATH)
@click.option("--like", type=PATH, help="A store: its encoder is used.")
@model_options
@template_option
@texts_option
@encoder_options
@json_option
def prompts(
    labels: Path,
    out: Path,
    like: Path | None,
    model: str | None,
    pretrained: str | None,
    templates: str | None,
    texts: str | None,
    device: str,
    precision: str,
    as_json: bool,
) -> None:
    """Embed the texts of the classes in LABELS into the file OUT.

    \b
    framebank prompts labels.txt classes.h5 --like bank --templates actionclip
    """
    from framebank.extract.encoder import Encoder, encoder_like
    from framebank.store import FeatureStore, LabelSet

    if like and (model or pretrained or precision != "auto"):
        raise click.UsageError("--like brings its own --model, --pretrained and --precision")
    classes = LabelSet.read(labels)
    if like:
        encoder = encoder_like(FeatureStore(like).spec, device=device)
    else:
        encoder = Encoder(required(model, "--like or --model"), pretrained, device=device, precision=precision)
    warn_if_random(encoder)
    bank = embed_texts(classes, encoder, templates=templates, texts=texts or "names")
    bank.write(out)
    report = {
        "prompts": str(out),
        "classes": len(bank.labels),
        "rows": len(bank.texts),
        "texts": bank.kind,
        "templates": list(bank.templates),
        "model": bank.encoder.encoder,
    }
    lines = [
        f"{len(bank.labels)} classes, {len(bank.texts)} prompts of their {bank.kind} -> {out}",
        f"by {report['model']}",
    ]
    print_report(report, as_json=as_json, lines=lines)


def _extract_lines(report: dict[str, Any]) -> list[str]:
    rate = report["frames"] / max(report["seconds"], 1e-9)
    return [
        f"{report['videos']} videos: {report['embedded']} embedded, {report['failed']} failed, "
        f"{report['already_there']} already there",
        f"{report['frames']} frames in {report['seconds']:.1f} s ({rate:.0f} frames/s) -> {report['store']}",
        f"by {report['model']}",
    ]
