"""Extraction against the loop everybody writes, on the same videos in one run.

python benchmarks/extract.py [--videos DIR] [--model demo] [--pretrained TAG] [--frames 16] [--repeats 3] [--json FILE]

Without --videos, clips of the demo world are rendered. The loop takes one video at a time, in one thread, one batch for
each video; the pipeline decodes ahead and fills its batches across videos. Repeats of the two take turns, so that a
machine whose speed drifts is fair to both; the medians are printed.
"""

import functools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as framebank's own commands


@click.command()
@click.option("--videos", type=click.Path(path_type=Path, exists=True), help="A folder of videos.  [rendered clips]")
@click.option("--model", default="demo")
@click.option("--pretrained")
@click.option("--frames", default=16)
@click.option("--repeats", default=3)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(
    videos: Path | None, model: str, pretrained: str | None, frames: int, repeats: int, json_path: Path | None
) -> None:
    """Time both and print the ratio."""
    import torch

    from framebank.extract.decode import read_clip
    from framebank.extract.encoder import Encoder
    from framebank.extract.pipeline import embed_clip, extract_videos
    from framebank.extract.sampling import segment_indices
    from framebank.store import Manifest

    with tempfile.TemporaryDirectory() as scratch:
        manifest = Manifest.read([videos or _render(Path(scratch))])
        encoder = Encoder(model, pretrained)
        read = functools.partial(read_clip, sample=lambda times: segment_indices(len(times), frames))
        ways: dict[str, Callable[[], Any]] = {
            "loop": lambda: [embed_clip(video.path, read_clip=read, encoder=encoder) for video in manifest.videos],
            "pipeline": lambda: list(extract_videos(manifest.videos, read_clip=read, encoder=encoder)),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(repeats):
            for name, way in ways.items():
                started = time.perf_counter()
                way()
                seconds[name].append(time.perf_counter() - started)
    rate = {name: len(manifest) * frames / statistics.median(taken) for name, taken in seconds.items()}
    device = (
        torch.cuda.get_device_name() if encoder.device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    )
    report = {
        "videos": len(manifest),
        "frames": frames,
        "model": encoder.spec.encoder,
        "precision": encoder.spec.precision,
        "device": device,
        "loop_fps": round(rate["loop"], 1),
        "pipeline_fps": round(rate["pipeline"], 1),
        "ratio": round(rate["pipeline"] / rate["loop"], 2),
    }
    print("\n".join(f"{name:14}{value}" for name, value in report.items()))
    if json_path:
        json_path.write_text(json.dumps(report), encoding="utf-8")


def _render(folder: Path) -> Path:
    from framebank.demo.clips import render_clips

    for _ in render_clips(folder, num_train=6, num_test=0, processes=1):
        pass
    return folder / "manifest.csv"


if __name__ == "__main__":
    main()
