"""Extraction against its own ceilings and against the loop everybody writes, on the same videos in one run.

python benchmarks/extract.py [--videos DIR] [--model demo] [--model ViT-B-32 ...] [--frames 16] [--json FILE]
python benchmarks/extract.py --small 1 --small 20 --small 100 --model ViT-B-32 --precision fp32 --frames 8

decode    the worker processes alone, their pictures thrown away
encode    the encoder alone, on full batches that lie in memory, in lanes as the pipeline has them
pipeline  both, as `framebank extract` runs them, without the writing; as there, the decoding processes start before
          the clock, while the encoder loads
baseline  one video at a time in one process, a batch for each video

Without --videos, clips of the demo world are rendered. The repeats of the four take turns, so that a machine whose
speed drifts is fair to all; medians are told, in frames a second. A model without weights here gets random ones: its
speed is the same. On a CPU the two stages share the cores, and even a perfect pipeline takes the sum of both: `shared`
is that bound, 1 / (1 / decode + 1 / encode).

With --small, whole programs are timed, from the start of Python to its end, on so many of the videos: one that only
loads the encoder, the loop (which keeps an .npy for each video), and `fb.extract`. They take turns too. Seconds of
computing are those of all processes of a program; where the machine is idle, part of them runs at the same time.
"""

import functools
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as framebank's own commands


# What each program of --small does, given a JSON of its arguments.
LOAD = """
import json, sys
from framebank.extract.decoders.decode import decode_clip
from framebank.extract.encoders.encoder import Encoder
given = json.loads(sys.argv[1])
encoder = Encoder(given["model"], given["pretrained"], device=given["device"], precision=given["precision"])
"""
LOOP = (
    LOAD
    + """
from pathlib import Path
import numpy as np
from framebank.extract.pipeline import embed_clip
from framebank.extract.sampling import read_sampling
from framebank.extract.worker import Job, Task
task = Task(read_sampling(f"segments:{given['frames']}"), encoder.preprocessing, decode_clip)
for number, path in enumerate(given["paths"]):
    np.save(f"{given['out']}-{number}.npy", embed_clip(Job(Path(path)), task=task, encoder=encoder).data)
"""
)
PIPELINE = """
import json, sys, warnings
import framebank as fb
warnings.simplefilter("ignore", fb.DataWarning)
given = json.loads(sys.argv[1])
made = {name: given[name] for name in ("model", "pretrained", "frames", "device", "precision", "batch_size", "workers")}
fb.extract(given["paths"], given["out"], **made)
"""
PROGRAMS = {"load": LOAD, "loop": LOOP, "pipeline": PIPELINE}


@dataclass(frozen=True)
class Way:
    """What is timed, and what is done before the clock starts."""

    run: Callable[[], Any]
    prepare: Callable[[], Any] = lambda: None


@click.command()
@click.option("--videos", type=click.Path(path_type=Path, exists=True), help="A folder of videos.  [rendered clips]")
@click.option("--model", "models", multiple=True, default=["demo"])
@click.option("--pretrained")
@click.option("--device", default="auto")
@click.option("--precision", default="auto")
@click.option("--frames", default=16)
@click.option("--limit", type=int, help="So many of the videos.")
@click.option("--batch-size", default=64)
@click.option("--workers", default=os.cpu_count())
@click.option("--repeats", default=3)
@click.option("--small", "sizes", type=int, multiple=True, help="Time whole programs on so many of the videos.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(
    videos: Path | None,
    models: tuple[str, ...],
    pretrained: str | None,
    device: str,
    precision: str,
    frames: int,
    limit: int | None,
    batch_size: int,
    workers: int,
    repeats: int,
    sizes: tuple[int, ...],
    json_path: Path | None,
) -> None:
    """Time all four for each model and print the ratios."""
    from framebank.store import Manifest

    with tempfile.TemporaryDirectory() as scratch:
        manifest = Manifest.read([videos or _render(Path(scratch))])
        chosen = manifest.videos[:: max(1, len(manifest) // (limit or len(manifest)))][:limit]
        reports = []
        for model, size in itertools.product(models, sizes):
            given = {
                "model": model,
                "pretrained": _weights(model, pretrained),
                "frames": frames,
                "device": device,
                "precision": precision,
                "batch_size": batch_size,
                "workers": workers,
                "paths": [str(video.path) for video in chosen[:: max(1, len(chosen) // size)][:size]],
            }
            reports.append(_measure_programs(given, Path(scratch), repeats=repeats))
        for model in () if sizes else models:
            ways, facts = _ways(chosen, model, pretrained, device, precision, frames, batch_size, workers)
            report = {**facts, **_measure(ways, len(chosen) * frames, repeats=repeats)}
            print("\n".join(f"{name:28}{value}" for name, value in report.items()), end="\n\n", flush=True)
            reports.append(report)
    if json_path:
        json_path.write_text(json.dumps(reports, indent=1), encoding="utf-8")


def _ways(
    videos: Iterable[Any],
    model: str,
    pretrained: str | None,
    device: str,
    precision: str,
    frames: int,
    batch_size: int,
    workers: int,
) -> tuple[dict[str, Way], dict[str, Any]]:
    """Return what is timed, and what it is."""
    import torch

    from framebank.extract.decoders.decode import decode_clip
    from framebank.extract.encoders.encoder import Encoder
    from framebank.extract.lanes import ON_CPU, Lanes, Pending
    from framebank.extract.pipeline import embed_clip, extract_videos
    from framebank.extract.pool import DecodePool, WaitingWorkers
    from framebank.extract.sampling import read_sampling
    from framebank.extract.worker import Job, Task

    videos = list(videos)
    waiting: deque[WaitingWorkers] = deque()
    load = functools.partial(Encoder, model, _weights(model, pretrained), device=device, precision=precision)
    encoder = load()
    task = Task(read_sampling(f"segments:{frames}"), encoder.preprocessing, decode_clip)
    on_cuda = encoder.device.type == "cuda"
    batch_size = batch_size if on_cuda else min(batch_size, ON_CPU)
    batch = torch.randint(0, 256, (batch_size, *encoder.preprocessing.size, 3), dtype=torch.uint8).numpy()
    num_batches = -(-len(videos) * frames // batch_size)

    def decode() -> None:
        with DecodePool(task, num_workers=workers) as pool:
            for _ in pool.run(videos):
                pass

    def encode() -> None:
        pending = Pending(videos[0])
        with Lanes([encoder], batch_size) as lanes:
            for _ in range(num_batches):
                lanes.fill(pending, batch)
            deque(lanes.finish(), maxlen=0)

    def start_workers() -> None:
        waiting.append(WaitingWorkers(min(workers, len(videos))).__enter__())
        load()

    def pipeline() -> None:
        with waiting.popleft() as started:
            done = extract_videos(
                videos,
                task=task,
                encoders=[encoder],
                batch_size=batch_size,
                num_workers=workers,
                waiting_workers=started,
            )
            failed = [outcome.error for outcome in done if outcome.error]
        if failed:
            raise SystemExit(f"{len(failed)} videos failed: {failed[0]}")

    def baseline() -> None:
        for video in videos:
            embed_clip(Job(video.path), task=task, encoder=encoder)

    facts = {
        "model": model,
        "precision": encoder.spec.precision,
        "device": torch.cuda.get_device_name() if on_cuda else f"CPU, {torch.get_num_threads()} threads",
        "videos": len(videos),
        "frames": frames,
        "workers": workers,
    }
    ways = {
        "decode_only": Way(decode),
        "encode_only": Way(encode),
        "pipeline": Way(pipeline, prepare=start_workers),
        "baseline": Way(baseline),
    }
    return ways, facts


def _measure(ways: dict[str, Way], num_frames: int, *, repeats: int) -> dict[str, float]:
    ways["encode_only"].run()  # warm
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            way.prepare()
            started = time.perf_counter()
            way.run()
            seconds[name].append(time.perf_counter() - started)
    rate = {name: num_frames / statistics.median(taken) for name, taken in seconds.items()}
    lower = min(rate["decode_only"], rate["encode_only"])
    shared = 1 / (1 / rate["decode_only"] + 1 / rate["encode_only"])
    return {
        **{f"{name}_fps": round(value, 1) for name, value in rate.items()},
        "ratio": round(rate["pipeline"] / rate["baseline"], 2),
        "share_of_lower_ceiling": round(rate["pipeline"] / lower, 2),
        "share_of_shared": round(rate["pipeline"] / shared, 2),
    }


def _weights(model: str, pretrained: str | None) -> str | None:
    return pretrained or (None if model == "demo" else "none")


def _measure_programs(given: dict[str, Any], scratch: Path, *, repeats: int) -> dict[str, Any]:
    """Print and return the seconds of the programs, and how fast the pipeline is: all of it, and beyond the loading."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in PROGRAMS}
    for repeat, name in itertools.product(range(repeats), PROGRAMS):
        out = scratch / f"{given['model']}-{len(given['paths'])}-{name}-{repeat}".replace("/", "-")
        found[name].append(_seconds_of(PROGRAMS[name], {**given, "out": str(out)}))
    report: dict[str, Any] = {name: given[name] for name in ("model", "precision", "frames", "workers")}
    report["videos"] = len(given["paths"])
    for place, what in enumerate(("seconds", "computing")):
        taken = {name: statistics.median(one[place] for one in each) for name, each in found.items()}
        report |= {f"{what}_{name}": round(value, 2) for name, value in taken.items()}
        beyond = {name: taken[name] - taken["load"] for name in ("loop", "pipeline")}
        report[f"ratio_of_{what}"] = round(taken["loop"] / taken["pipeline"], 2)
        if beyond["pipeline"] > 0:  # with one video, the two loads may differ by more than that
            report[f"ratio_of_{what}_beyond_load"] = round(beyond["loop"] / beyond["pipeline"], 2)
    report["load_average"] = round(os.getloadavg()[0], 1)
    print("\n".join(f"{name:34}{value}" for name, value in report.items()), end="\n\n", flush=True)
    return report


def _seconds_of(program: str, given: dict[str, Any]) -> tuple[float, float]:
    """Return the seconds that a program takes, and those of computing of all its processes."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", program, json.dumps(given)])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"a program ended with {process.returncode}")
    return time.perf_counter() - started, used.ru_utime + used.ru_stime


def _render(folder: Path) -> Path:
    from framebank.demo.clips import render_clips

    for _ in render_clips(folder, num_train=6, num_test=0, processes=1):
        pass
    return folder / "manifest.csv"


if __name__ == "__main__":
    main()
