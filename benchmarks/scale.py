"""What grows with the number of videos, and how: seconds and memory of everyday steps at several sizes.

python benchmarks/scale.py [--videos 10000 --videos 100000 ...] [--folder DIR] [--json FILE]

A store of made-up videos is written for each size, 4 frames of 256 values each, of 100 classes. Then each step runs in
a process of its own: open the store, say what it holds, index it, find the videos nearest to one of it, label a video
by the votes of its neighbours, train a linear probe for one epoch, and evaluate it. Seconds are those of computing,
user and system, which other programs on the machine lengthen little; memory is the most that the process held. Both
have the libraries in them, whose bare import stands beside them. What 1,000 videos more cost between two sizes tells
how a step grows: where that does not rise, no faster than linear. A million videos take 3 GB of disk.
"""

import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from store import write_store

ROWS, WIDTH, CLASSES = 4, 256, 100

# What each step does, given the folder of a size as `at`, and the libraries that it needs.
STEPS = {
    "open": ("fb.open(at / 'bank')", "framebank.store.features"),
    "info": ("command('store', 'info', at / 'bank')", "framebank.store.features"),
    "index": ("command('index', at / 'bank', at / 'index', '--device', 'cpu', '--overwrite')", "torch, faiss"),
    "search": ("command('search', at / 'index', '--id', first, '-k', '10')", "faiss"),
    "label": ("label(at)", "torch, faiss"),
    "train": ("command('train', at / 'bank', at / 'run', *TRAIN, '--overwrite')", "torch"),
    "evaluate": ("command('evaluate', at / 'run', '--split', 'test', '--device', 'cpu')", "torch"),
}
TRAIN = "--head mean --classifier linear --epochs 1 --split train --val-fraction 0 --device cpu"

CODE = """
import json, os, resource, sys
from pathlib import Path

at, first, what, TRAIN = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4].split()

def command(*words):
    sys.argv = ["framebank", *map(str, words)]
    from framebank.cli import main
    try:
        main()
    except SystemExit as error:
        if error.code:
            raise

def label(at):
    from framebank.heads.labelling.answers import answers_of_index, decide
    from framebank.store.features import FeatureStore
    from framebank.store.indexes.index import Index
    index = Index.load(at / "index")
    rows = FeatureStore(at / "bank")[first]
    decide(answers_of_index(index, rows, k=10))

import framebank as fb
sys.stdout.flush()
keep = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
exec(what)
sys.stdout.flush()
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
told = {"seconds": sum(one.ru_utime + one.ru_stime for one in used), "megabytes": int(peak) / 1024}
os.write(keep, json.dumps(told).encode())
os._exit(0)
"""


@click.command()
@click.option(
    "--videos", "sizes", multiple=True, default=[10_000, 100_000], help="How many; may be given several times."
)
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="Where to write.  [the temporary folder]")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(sizes: tuple[int, ...], folder: Path | None, json_path: Path | None) -> None:
    """Measure every step at every size and print a table."""
    found: dict[str, Any] = {"rows": ROWS, "width": WIDTH, "classes": CLASSES, "imports": {}, "sizes": {}}
    libraries = sorted({needs for _, needs in STEPS.values()})
    found["imports"] = {needs: measure(Path(), f"import {needs}") for needs in libraries}
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            at = Path(scratch)
            write_store(at / "bank", size, rows=ROWS, width=WIDTH, num_classes=CLASSES, num_test=size // 10)
            found["sizes"][size] = {name: measure(at, what) for name, (what, _) in STEPS.items()}
    print_table(found)
    if json_path:
        json_path.write_text(json.dumps(found, indent=1), encoding="utf-8")


def measure(at: Path, what: str) -> dict[str, float]:
    """Return the seconds of computing and the megabytes at most that a process takes to do something."""
    first = f"class-{0:03d}/{0:07d}"
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(at), first, what, TRAIN], stdout=subprocess.PIPE, check=True, text=True
    )
    told = json.loads(done.stdout)
    return {"seconds": round(told["seconds"], 2), "megabytes": round(told["megabytes"])}


def print_table(found: dict[str, Any]) -> None:
    """Print a row for each step: imports, each size, and what 1,000 videos more cost from each size to the next."""
    sizes = list(found["sizes"])
    pairs = list(itertools.pairwise(sizes))
    more = [f"1,000 more, {before:,} to {after:,}" for before, after in pairs]
    header = ["step", "bare imports", *(f"{size:,} videos" for size in sizes), *more]
    print(f"| {' | '.join(header)} |")
    print(f"|{'---|' * len(header)}")
    for name, (_, needs) in STEPS.items():
        at = {size: found["sizes"][size][name] for size in sizes}
        told = [
            f"{cell['seconds']:.2f} s, {cell['megabytes']:,} MB" for cell in (found["imports"][needs], *at.values())
        ]
        told += [_more(at[before], at[after], thousands=(after - before) / 1000) for before, after in pairs]
        print(f"| {name} | {' | '.join(told)} |")


def _more(before: dict[str, float], after: dict[str, float], *, thousands: float) -> str:
    seconds, megabytes = ((after[name] - before[name]) / thousands for name in ("seconds", "megabytes"))
    return f"{1000 * seconds:.1f} ms, {megabytes:.2f} MB"


if __name__ == "__main__":
    main()
