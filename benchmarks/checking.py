"""What it costs that files are examined and held against their checksums: opening a store, and reading all of it.

    python benchmarks/checking.py --videos 100000

Four ways, side by side in one run, each in a process of its own, the pages of the store in memory:

- h5py: every shard opened by h5py in the process itself, ids and numbers read, nothing checked
- unknown: a store that this user never opened
- opened: one that was opened before, and whose numbers were never read
- known: one that was read before, or written here

`open` is a FeatureStore made, `read` its `read_packed`, `one` a video of each of a hundred shards. A store of V videos
has 16 rows of 512 for each, in shards of 512 videos.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from store import ROWS, WIDTH, write_store

WAYS = ("h5py", "unknown", "opened", "known")
STEPS = ("open", "one", "read")


@click.command()
@click.option("--videos", default=10_000)
@click.option("--repeats", default=3)
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="Where to write.  [the temporary folder]")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(videos: int, repeats: int, folder: Path | None, json_path: Path | None) -> None:
    """Time the ways and print seconds, and ratios to h5py."""
    from framebank.store import FeatureStore

    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        os.environ["XDG_CACHE_HOME"] = str(Path(scratch) / "cache")
        bank = Path(scratch) / "bank"
        write_store(bank, videos)
        FeatureStore(bank).read_packed()  # into memory
        seconds: dict[str, dict[str, list[float]]] = {way: {step: [] for step in STEPS} for way in WAYS}
        for _ in range(repeats):
            for way in WAYS:
                for step in ("one", "read"):
                    for name, taken in _timed(way, step, bank).items():
                        seconds[way][name].append(taken)
    median = {way: {step: statistics.median(taken[step]) for step in STEPS} for way, taken in seconds.items()}
    report = {
        "videos": videos,
        "gigabytes": round(videos * ROWS * WIDTH * 2 / 1e9, 2),
        "cores": os.cpu_count(),
        "seconds": {way: {step: round(taken, 3) for step, taken in steps.items()} for way, steps in median.items()},
        "ratio": {
            way: {step: round(taken / median["h5py"][step], 2) for step, taken in steps.items()}
            for way, steps in median.items()
        },
    }
    print(f"{videos} videos, {report['gigabytes']} GB, {report['cores']} cores; seconds (and ratio to h5py)")
    for way in WAYS:
        shown = (f"{step} {median[way][step]:8.3f} ({report['ratio'][way][step]:6.2f})" for step in STEPS)  # type: ignore[index]
        print(f"{way:8}", *shown, sep="   ")
    if json_path:
        json_path.write_text(json.dumps(report), encoding="utf-8")


def _timed(way: str, step: str, bank: Path) -> dict[str, float]:
    """Seconds of opening, and of one step more, in a new process that remembers what the way says."""
    memory = Path(os.environ["XDG_CACHE_HOME"])
    if way in ("unknown", "opened"):
        shutil.rmtree(memory, ignore_errors=True)
    if way == "opened":
        _run("unknown", "open", bank)
    if way == "known":
        _run("unknown", "read", bank)
    return _run(way, step, bank)


def _run(way: str, step: str, bank: Path) -> dict[str, float]:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import checking; checking.measure(*sys.argv[2:])"
    command = [sys.executable, "-c", code, str(Path(__file__).parent), way, step, str(bank)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def measure(way: str, step: str, bank: str) -> None:
    """Print the seconds of opening and of one step more."""
    import h5py

    from framebank.store import FeatureStore  # before the clock starts

    started = time.perf_counter()
    if way == "h5py":
        files = [h5py.File(path, "r", locking=False) for path in sorted(Path(bank).glob("*.h5"))]
        ends = [file["end"][:] for file in files]
        ids = [bytes(file[name][:]).decode().split("\0") for file in files for name in ("video_id", "decoder")]
        assert ids
        opened = time.perf_counter()
        if step == "one":
            for file, end in list(zip(files, ends, strict=True))[:100]:
                for name in ("streams/frame", "timestamp", "frame_index", "view", "clip"):
                    file[name][0 : end[0]]
        if step == "read":
            for name in ("streams/frame", "frame_index"):
                first = files[0][name]
                out = np.empty((sum(len(file[name]) for file in files), *first.shape[1:]), first.dtype)
                at = 0
                for file in files:
                    file[name].read_direct(out, np.s_[:], np.s_[at : at + len(file[name])])
                    at += len(file[name])
    else:
        store = FeatureStore(bank)
        opened = time.perf_counter()
        if step == "one":
            for video_id in store.ids[: 512 * 100 : 512]:
                store[video_id]
        if step == "read":
            store.read_packed()
    seconds = {"open": opened - started, step: time.perf_counter() - opened}
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
