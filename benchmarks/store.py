"""Reading a store against reading the same bytes with numpy, in one run.

python benchmarks/store.py [--gigabytes 2] [--reads 5000] [--repeats 5] [--json FILE]

A store of random rows is written, 16 rows of 512 values for each video, and the same rows and frame indices as plain
files that numpy.fromfile reads into one array each. Both lie in the page cache, and the two take turns; medians are
printed. A random read is `store[video_id]` for one of all videos: embeddings, timestamps, frame indices, views, clips.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

ROWS, WIDTH = 16, 512


@click.command()
@click.option("--gigabytes", default=2.0, help="Size of the embeddings.")
@click.option("--reads", default=5000, help="Random reads of one video.")
@click.option("--repeats", default=5)
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="Where to write.  [the temporary folder]")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(gigabytes: float, reads: int, repeats: int, folder: Path | None, json_path: Path | None) -> None:
    """Time both and print the ratio."""
    from framebank.store import FeatureStore

    num_videos = int(gigabytes * 1e9 / (ROWS * WIDTH * 2))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        bank = Path(scratch) / "bank"
        write_store(bank, num_videos)
        _write_plain(Path(scratch), FeatureStore(bank))
        started = time.perf_counter()
        store = FeatureStore(bank)
        opening = time.perf_counter() - started
        order = np.random.default_rng(0).choice(store.ids, reads).tolist()
        for video_id in order:  # every shard open, every page there
            store[video_id]
        single = [_seconds(lambda one=one: store[one]) for one in order]
        ways: dict[str, Callable[[], Any]] = {
            "numpy": lambda: [
                np.fromfile(Path(scratch) / "data.bin", dtype=np.float16).reshape(-1, WIDTH),  # (R, D)
                np.fromfile(Path(scratch) / "indices.bin", dtype=np.int64),
            ],
            "framebank": store.read_packed,
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for repeat in range(repeats + 1):
            for name, way in ways.items():
                taken = _seconds(way)
                if repeat:  # the first fills the page cache
                    seconds[name].append(taken)
        num_bytes = store.num_rows * (WIDTH * 2 + 8)
    rate = {name: num_bytes / statistics.median(taken) / 1e9 for name, taken in seconds.items()}
    report = {
        "videos": num_videos,
        "gigabytes": round(num_bytes / 1e9, 2),
        "cores": os.cpu_count(),
        "open_seconds": round(opening, 3),
        "random_read_us": round(statistics.median(single) * 1e6, 1),
        "random_read_us_99th": round(float(np.percentile(single, 99)) * 1e6, 1),
        "numpy_gb_per_s": round(rate["numpy"], 2),
        "framebank_gb_per_s": round(rate["framebank"], 2),
        "ratio": round(rate["framebank"] / rate["numpy"], 2),
    }
    print("\n".join(f"{name:22}{value}" for name, value in report.items()))
    if json_path:
        json_path.write_text(json.dumps(report), encoding="utf-8")


def _seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def write_store(
    folder: Path, num_videos: int, *, rows: int = ROWS, width: int = WIDTH, num_classes: int = 1, num_test: int = 0
) -> None:
    """Write a store of made-up videos of `rows` rows, which differ by class; the last `num_test` are the split test."""
    from framebank.store import Embeddings, FeatureSpec, Manifest, ShardWriter, Video

    spec = FeatureSpec("none", "", "0" * 32, width, "none", "fp16", f"segments:{rows}", "none")
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((num_classes, width), dtype=np.float32)  # (C, D)
    folder.mkdir()
    videos = []
    with ShardWriter(folder, spec, min_seconds=float("inf")) as writer:
        for number in range(num_videos):
            place = number % num_classes
            data = centres[place] + 2 * generator.standard_normal((rows, width), dtype=np.float32)
            video_id = f"class-{place:03d}/{number:07d}"
            writer.add(video_id, Embeddings(data.astype(np.float16), np.arange(rows) / 25, np.arange(rows)))
            split = "train" if number < num_videos - num_test else "test"
            videos.append(Video(video_id, Path(f"/videos/{video_id}.mp4"), f"class {place:03d}", split))
    Manifest(tuple(videos)).write(folder / "manifest.csv")


def _write_plain(folder: Path, store: Any) -> None:
    data, indices, _ = store.read_packed()
    data.tofile(folder / "data.bin")
    indices.tofile(folder / "indices.bin")


if __name__ == "__main__":
    main()
