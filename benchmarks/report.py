"""The page of many made-up videos: seconds to build it, its size, and seconds until a browser shows it.

python benchmarks/report.py [--videos 240000] [--classes 400] [--folder DIR] [--json FILE]

A store of random rows is written, 4 rows of 256 values for each video, half of it for testing, and a linear probe is
trained on it for one epoch and evaluated on every video. Every fourth answer is then made a mistake, spread over all
classes. Then `framebank report` builds the page of the run and that of the store, each in a process of its own, without
pictures: made-up videos have none. A bare start of Python with torch is timed beside them in the same run. Seconds are
those of the clock; `computing` are user and system seconds, which other programs lengthen little. A page counts as
shown when its script has run and the browser has painted; this needs chromium and playwright, and is left out without
them.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from store import write_store

ROWS, WIDTH = 4, 256
TRAIN = ("--head", "mean", "--classifier", "linear", "--epochs", "1", "--split", "train", "--val-fraction", "0")


@click.command()
@click.option("--videos", default=240_000)
@click.option("--classes", default=400)
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="Where to write.  [the temporary folder]")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(videos: int, classes: int, folder: Path | None, json_path: Path | None) -> None:
    """Build both pages and print what they cost."""
    found: dict[str, Any] = {"videos": videos, "classes": classes}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        at = Path(scratch)
        write_store(at / "bank", videos, rows=ROWS, width=WIDTH, num_classes=classes, num_test=videos // 2)
        command("train", at / "bank", at / "run", *TRAIN)
        command("evaluate", at / "run", "--split", "all")
        spread_mistakes(at / "run")
        found["import torch, seconds"] = seconds_of([sys.executable, "-c", "import torch"])
        for name in ("run", "bank"):
            page = at / f"{name}.html"
            found[f"{name}: seconds to build"] = command("report", at / name, page, "--pictures", "0")
            found[f"{name}: megabytes"] = round(page.stat().st_size / 1e6, 2)
            found[f"{name}: seconds until shown"] = seconds_until_shown(page)
    for name, value in found.items():
        print(f"{name:28}{value}")
    if json_path:
        json_path.write_text(json.dumps(found), encoding="utf-8")


def spread_mistakes(run: Path) -> None:
    """Make every fourth answer of an evaluated run a mistake that is spread over all classes, as hard data has them."""
    from framebank.heads.predictions import Predictions

    made = Predictions.read(run / "predictions.npz")
    rng = np.random.default_rng(0)
    videos, classes = made.scores.shape
    best = np.where(rng.random(videos) < 0.75, made.targets, rng.integers(0, classes, videos))
    sure = rng.uniform(0.3, 0.99, videos)
    made.scores[:] = ((1 - sure) / (classes - 1))[:, None]
    made.scores[np.arange(videos), best] = sure
    made.write(run / "predictions.npz")


def command(*words: object) -> tuple[float, float]:
    """Call a command in a process of its own; return its seconds by the clock, and those of computing."""
    return seconds_of([sys.executable, "-m", "framebank", *map(str, words)])


def seconds_of(words: list[str]) -> tuple[float, float]:
    """Return the seconds that a process takes by the clock, and those of computing, user and system."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    after, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    return round(clock, 2), round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)


def seconds_until_shown(page: Path) -> float | None:
    """Return the seconds until a new browser tab shows a page, the least of three; None without a browser."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if not chromium:
        return None
    taken = []
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(3):
            tab = browser.new_page()
            started = time.perf_counter()
            tab.goto(page.as_uri())
            tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            taken.append(time.perf_counter() - started)
            tab.close()
        browser.close()
    return round(min(taken), 2)


if __name__ == "__main__":
    main()
