"""The command that embeds videos: extract."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

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
from framebank.commands.printing import print_report, progress, say, warn_if_random
from framebank.commands.signals import ended_by_signals, hear_signals_again

# Those of framebank.extract.decoders.decode, which loads PyAV; --help does not.
DECODER_NAMES = ("auto", "pyav", "torchcodec", "decord")
if TYPE_CHECKING:
    from framebank.extract.extraction import Engine


@click.command(short_help="Embed the frames of videos into a store.")
@click.argument("videos", nargs=-1, required=True, type=PATH)
@click.argument("store", type=PATH)
@model_options
@sampling_options
@click.option("--view", default="centre", help="centre, flip, three-crop, letterbox or ten-view; several with +.")
@click.option(
    "--streams",
    default="frame",
    help="frame, and with commas: pre_proj, regions:3, tokens:7, patch_mean, layers:6+12, trunk:2.",
)
@click.option(
    "--split-file",
    "split_files",
    multiple=True,
    type=PATH,
    help="An official list, such as trainlist01.txt, or '*.txt' for several.",
)
@click.option("--any-suffix", is_flag=True, help="Also take files with an unknown suffix whose content is a video.")
@click.option("--actions", is_flag=True, help="Charades: make each action in the lists a separate video.")
@encoder_options
@click.option("--devices", help="Several devices, with one encoder on each: 0,1.  [only --device]")
@click.option("--compile", "compiled", is_flag=True, help="Compile the image tower with torch.compile.")
@click.option("--decoder", default="auto", type=click.Choice(DECODER_NAMES), help="auto tries them in this order.")
@click.option("--deinterlace", is_flag=True, help="Make one picture from the two fields of an interlaced frame.")
@click.option("--use-damaged", is_flag=True, help="Use the good frames of damaged videos.")
@click.option(
    "--batch-size", default=64, type=click.IntRange(1), help="Pictures in one batch of the encoder; at most 8 on a CPU."
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of processes that decode.  [one for each core]  With ray: workers.  [one for each GPU or machine]",
)
@click.option(
    "--time-limit",
    default=300.0,
    type=click.FloatRange(0, min_open=True),
    help="Seconds that decoding a video may take.",
)
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", help="This machine, or a Ray cluster.")
@click.option("--address", help="HOST:PORT of the Ray cluster.  [start one here]")
@click.option(
    "--limit",
    default=16.0,
    type=click.FloatRange(0, min_open=True),
    help="GiB that the videos may take with the stream trunk, which keeps all tokens.",
)
@click.option("--shard", help="i/n: take every n-th video from the i-th on, for n machines with a store each.")
@click.option("--retry-failed", is_flag=True, help="Try the videos again that failed before.")
@click.option("--refresh", is_flag=True, help="Embed videos again whose file has changed, and replace their rows.")
@click.option("--prune", is_flag=True, help="Remove videos from STORE whose file is gone from the folder.")
@click.option("--strict", is_flag=True, help="Exit with 1 if any video failed.")
@json_option
def extract(
    videos: tuple[Path, ...],
    store: Path,
    split_files: tuple[Path, ...],
    any_suffix: bool,
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
    limit: float,
    shard: str | None,
    retry_failed: bool,
    refresh: bool,
    prune: bool,
    strict: bool,
    as_json: bool,
    **sampling: Any,
) -> None:
    """Embed the frames of VIDEOS into STORE: a folder of class folders, a manifest CSV, or video files.

    Files that are not videos are counted by reason; docs/videos.md lists the reasons. If you stop the command, start it
    again: it does what is left. A video that cannot be read, or on which the decoder hangs or crashes, gets a line in
    STORE/failed.csv.

    Give a folder again, and the command embeds what is new and reports what has changed, moved or is gone. A store
    knows how it was made: for an existing store you can leave out --model, --frames and similar options.

    \b
    framebank extract videos/ bank --model PE-Core-B-16 --pretrained meta
    framebank extract videos/ bank --model PE-Core-B-16 --pretrained meta --fps 2
    framebank extract videos/ bank --refresh --prune
    framebank extract videos/ bank-2 --model PE-Core-B-16 --pretrained meta --shard 2/4
    framebank extract videos.csv bank --model PE-Core-B-16 --pretrained meta --engine ray --address 10.0.0.1:6379
    framebank extract UCF-101/ bank --model demo --split-file trainlist01.txt --split-file testlist01.txt
    """
    if engine == "ray" and devices:
        raise click.UsageError("--devices is for one machine; with --engine ray each worker has its own device")
    if engine != "ray" and address:
        raise click.UsageError("--address is the address of a Ray cluster; it needs --engine ray")
    if (deinterlace or use_damaged) and decoder not in ("auto", "pyav"):
        raise click.UsageError("only PyAV does --deinterlace and --use-damaged; they need --decoder auto or pyav")
    if actions and not split_files:
        raise click.UsageError("--actions cuts the videos of Charades' lists; give the lists with --split-file")
    sampled, part = sampling_spec(**sampling), read_shard(shard) if shard else None

    from framebank.extract.setup import Setup, spec_of
    from framebank.library.extraction import Machines, VideoSource, embed_videos
    from framebank.store.upkeep.plan import Choices

    if spec_of(store) is None:
        required(model, "--model")
    source = VideoSource(videos, lists=split_files, with_actions=actions, part=part, any_suffix=any_suffix)
    machines = Machines(
        device_names(devices), workers=workers, on_cluster=engine == "ray", address=address, limit=limit
    )
    setup = Setup(
        model=model,
        pretrained=pretrained,
        sampling=sampled if any(sampling.values()) else None,
        deinterlace=deinterlace,
        use_damaged=use_damaged,
        compiled=compiled,
        batch_size=batch_size,
        time_limit=time_limit,
        **{name: _given(name) for name in ("view", "streams", "precision", "device", "decoder")},
    )
    choices = Choices(retry_failed=retry_failed, refresh=refresh, prune=prune)
    done = ended_by_signals(
        lambda: embed_videos(source, store, setup, machines, choices=choices, tell=_tell, begin=_begin, watch=progress),
        told=lambda: _how_to_go_on(store),
    )
    print_report(done.to_dict(), as_json=as_json, lines=done.lines())
    _tell(*done.notes())
    done.require_some()
    if strict and not done.is_whole:
        sys.exit(1)


def _begin(engine: "Engine") -> None:
    warn_if_random(engine)
    hear_signals_again()  # a Ray that was started here handles them itself


def _how_to_go_on(store: Path) -> str:
    from framebank.store.shard import shard_paths

    command = shlex.join(["framebank", *sys.argv[1:]])
    if shard_paths(store):
        return f"stopped; what was embedded is kept in {store}. To go on: {command}"
    there = "holds none" if store.exists() else "is not there"
    return f"stopped before a video was embedded; {store} {there} yet. To begin again: {command}"


def _tell(*lines: str) -> None:
    for line in lines:
        say(line)


def _given(name: str) -> str | None:
    """Return the value of an option if the user gave it; None if it has its default."""
    context = click.get_current_context()
    default = context.get_parameter_source(name) is ParameterSource.DEFAULT
    return None if default else context.params[name]
