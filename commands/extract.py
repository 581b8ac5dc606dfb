"""The command that embeds videos: extract."""

import contextlib
import functools
import os
import shlex
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framebank.commands.options import (
    PATH,
    device_names,
    encoder_options,
    json_option,
    model_options,
    read_shard,
    required,
    sampling_options,
    sampling_spec,
)
from framebank.commands.printing import print_report, progress, warn_if_random
from framebank.store.counts import counted

# Those of framebank.extract.decode, which loads PyAV; --help does not.
DECODER_NAMES = ("auto", "pyav", "torchcodec", "decord")
if TYPE_CHECKING:
    from framebank.extract.pipeline import Outcome


@click.command()
@click.argument("videos", nargs=-1, required=True, type=PATH)
@click.argument("store", type=PATH)
@model_options
@sampling_options
@click.option("--view", default="centre", help="centre, flip, three-crop, letterbox or ten-view; several with +.")
@click.option(
    "--streams", default="frame", help="frame, and with commas: pre_proj, regions:3, patch_mean, layers:6+12."
)
@click.option(
    "--split-file",
    "split_files",
    multiple=True,
    type=PATH,
    help="Official lists, such as trainlist01.txt; '*.txt' for many.",
)
@click.option("--actions", is_flag=True, help="Charades: each action in the lists is a video of its own.")
@encoder_options
@click.option("--devices", help="Several, one encoder on each: 0,1.  [--device alone]")
@click.option("--compile", "compiled", is_flag=True, help="Compile the image tower with torch.compile.")
@click.option("--decoder", default="auto", type=click.Choice(DECODER_NAMES), help="auto asks them in this order.")
@click.option("--deinterlace", is_flag=True, help="Make one picture of the two fields of interlaced frames.")
@click.option("--use-damaged", is_flag=True, help="Use those frames of damaged videos that are whole.")
@click.option("--batch-size", default=64, type=click.IntRange(1), help="Pictures encoded at once, across videos.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Processes that decode.  [one for each core]  With ray: of the cluster.  [one for each GPU, or machine]",
)
@click.option(
    "--time-limit",
    default=300.0,
    type=click.FloatRange(0, min_open=True),
    help="Seconds that decoding a video may take.",
)
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", help="This machine, or a Ray cluster.")
@click.option("--address", help="HOST:PORT of the Ray cluster.  [one is started here]")
@click.option("--shard", help="i/n: every n-th video from the i-th on, for n machines with a store each.")
@click.option("--retry-failed", is_flag=True, help="Try those again that failed before.")
@click.option("--strict", is_flag=True, help="Exit with 1 when any video failed.")
@json_option
def extract(
    videos: tuple[Path, ...],
    store: Path,
    split_files: tuple[Path, ...],
    actions: bool,
    model: str | None,
    pretrained: str | None,
    view: str,
    streams: str,
    device: str,
    devices: str | None,
    precision: str,
    compiled: bool,
    decoder: str,
    deinterlace: bool,
    use_damaged: bool,
    batch_size: int,
    workers: int | None,
    time_limit: float,
    engine: str,
    address: str | None,
    shard: str | None,
    retry_failed: bool,
    strict: bool,
    as_json: bool,
    **sampling: Any,
) -> None:
    """Embed the frames of VIDEOS into STORE: a folder of class folders, a manifest CSV, or video files.

    Killed and started again, it does what is left. A video that cannot be read, or on which the decoder hangs or
    crashes, gets a line in STORE/failed.csv.

    \b
    framebank extract videos/ bank --model ViT-B-16 --pretrained openai
    framebank extract videos/ bank --model ViT-B-16 --pretrained openai --fps 2
    framebank extract videos/ bank-2 --model ViT-B-16 --pretrained openai --shard 2/4
    framebank extract videos.csv bank --model ViT-B-16 --pretrained openai --engine ray --address 10.0.0.1:6379
    framebank extract UCF-101/ bank --model demo --split-file trainlist01.txt --split-file testlist01.txt
    """
    from framebank.extract.decode import decode_clip, decoder_versions
    from framebank.extract.encoder import Encoder
    from framebank.extract.fill import fill_store, store_spec
    from framebank.extract.pixels import reading_for
    from framebank.extract.sampling import read_sampling
    from framebank.extract.worker import Task
    from framebank.store import DataError, Manifest
    from framebank.store.adoption import adopt_leftovers
    from framebank.store.plan import plan_store, store_pixels

    if engine == "ray" and devices:
        raise click.UsageError("--devices is for one machine; with --engine ray each worker has a device of its own")
    if engine != "ray" and address:
        raise click.UsageError("--address is that of a Ray cluster; it goes with --engine ray")
    if (deinterlace or use_damaged) and decoder not in ("auto", "pyav"):
        raise click.UsageError("--deinterlace and --use-damaged are done by PyAV; they go with --decoder auto or pyav")
    chosen = read_sampling(sampling_spec(**sampling))
    if actions and not split_files:
        raise click.UsageError("--actions cuts the videos of Charades' lists; name them with --split-file")
    if "patch_mean" in streams and not chosen.is_fixed:
        raise DataError("the stream patch_mean is a mean over a fixed number of frames; expected --frames or --clips")
    manifest = Manifest.read(videos)
    if split_files:
        manifest, notes = manifest.with_actions(split_files) if actions else manifest.with_splits(split_files)
        click.echo("\n".join(notes), err=True)
    if shard:
        manifest = manifest.shard(*read_shard(shard))
    make_encoder = functools.partial(
        Encoder,
        required(model, "--model"),
        pretrained,
        precision=precision,
        view=view,
        streams=streams,
        compile=compiled,
    )
    reading = reading_for(store_pixels(store), deinterlace=deinterlace, use_damaged=use_damaged)
    decode = functools.partial(decode_clip, decoder=decoder, reading=reading)
    versions = functools.partial(decoder_versions, decoder=decoder)
    outcomes: Generator[Outcome, None, None]
    if engine == "ray":
        from framebank.extract.cluster import Cluster
        from framebank.extract.remote import Work

        work = Work(
            make_encoder,
            chosen,
            decode,
            versions,
            batch_size=batch_size,
            time_limit=time_limit,
            pixels=reading.pixels,
        )
        cluster = Cluster(work, address=address, num_workers=workers, device=device)
        click.get_current_context().with_resource(cluster)
        warn_if_random(cluster)
        spec = cluster.spec
        outcomes = cluster.fill(store, manifest, retry_failed=retry_failed)
    else:
        encoders = [make_encoder(device=name) for name in device_names(device, devices)]
        encoder = encoders[0]
        warn_if_random(encoder)
        spec = store_spec(encoder.spec, sampling=chosen.spec, decoder=versions(), pixels=reading.pixels)
        outcomes = fill_store(
            store,
            manifest,
            spec=spec,
            task=Task(chosen, encoder.preprocessing, decode),
            encoders=encoders,
            retry_failed=retry_failed,
            batch_size=batch_size,
            num_workers=workers or os.cpu_count() or 1,
            time_limit=time_limit,
        )
    adopt_leftovers(store)
    plan = plan_store(store, manifest, spec, retry_failed=retry_failed)
    started = time.perf_counter()
    done: dict[str, Outcome] = {}
    try:
        with contextlib.closing(outcomes):
            for outcome in progress(outcomes, total=len(plan.missing), unit="video"):
                done[outcome.video.video_id] = outcome
    except KeyboardInterrupt:
        command = shlex.join(["framebank", *sys.argv[1:]])
        click.echo(f"\nstopped; what was embedded is kept in {store}. To go on: {command}", err=True)
        sys.exit(130)
    failed = [outcome for outcome in done.values() if outcome.error]
    damaged = _left_out(store, done) if use_damaged else {}
    report = {
        "store": str(store),
        "videos": len(manifest),
        "embedded": len(done) - len(failed),
        "failed": len(failed),
        "damaged": len(damaged),
        "failed_before": len(plan.failed_before),
        "already_there": len(manifest) - len(plan.missing) - len(plan.failed_before),
        "frames": sum(outcome.num_frames for outcome in done.values()),
        "seconds": round(time.perf_counter() - started, 2),
        "model": spec.encoder,
    }
    print_report(report, as_json=as_json, lines=_extract_lines(report))
    for video_id, what in list(damaged.items())[:5]:
        click.echo(f"damaged: {video_id}: {what}", err=True)
    if damaged:
        told = f"of {counted(len(damaged), 'damaged video')} the frames that are whole were used"
        click.echo(f"{told}; what was left out stands beside each in {store}", err=True)
    for outcome in failed[:5]:
        click.echo(f"failed: {outcome.error}", err=True)
    without = len(failed) + len(plan.failed_before)
    if without:
        before = len(plan.failed_before)
        again = f"; {before} failed before, --retry-failed tries them again" if before else ""
        click.echo(f"{without} of {len(manifest)} videos have no embedding: {store / 'failed.csv'}{again}", err=True)
    if without == len(manifest):
        raise DataError(f"{store}: none of the {len(manifest)} videos could be embedded")
    if without and strict:
        sys.exit(1)


def _left_out(store: Path, done: "dict[str, Outcome]") -> dict[str, str]:
    """What was left out of each damaged video that was embedded now, by id, as the store tells it."""
    from framebank.store import FeatureStore
    from framebank.store.shard import shard_paths

    decoders = FeatureStore(store).decoders if shard_paths(store) else {}
    notes = {video_id: decoders.get(video_id, "").partition(" (")[2].rstrip(")") for video_id in done}
    return {video_id: note for video_id, note in notes.items() if note}


def _extract_lines(report: dict[str, Any]) -> list[str]:
    rate = report["frames"] / max(report["seconds"], 1e-9)
    return [
        f"{counted(report['videos'], 'video')}: {report['embedded']} embedded, {report['failed']} failed, "
        f"{report['already_there']} already there",
        f"{counted(report['frames'], 'frame')} in {report['seconds']:.1f} s ({rate:.0f} frames/s) -> {report['store']}",
        f"by {report['model']}",
    ]
