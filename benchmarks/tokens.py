"""Places against frame rows: V-JEPA 2's decoder on tokens of the demo encoder, on the same videos.

python benchmarks/tokens.py [--work FOLDER] [--clips MANIFEST] [--seeds 1] [--tasks sides,usual] [--ways rows,tokens]
    [--shots K] [--set KEY=VALUE]

Task "sides": two figures share the picture, and the classes are which of two movements is on the left and which on the
right. Task "usual": the demo's own clips and classes. Both stores have the streams frame,tokens:2 of 8 frames, in fp32.
"rows" is the recipe attentive-probe on the frame rows, "tokens" the recipe attentive-tokens on the four places of each
frame, with the settings of --set. With several seeds, each way is one run of as many seeds. A run of the same settings
that is in FOLDER already is not trained again, so the work can be cut into parts. Prints top-1, the paired difference
as `compare-runs` gives it, and the seconds of CPU of each training.
"""

import json
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import click
import torch

WAYS = {"rows": "attentive-probe", "tokens": "attentive-tokens"}
TASKS = ("sides", "usual")
SECONDS = "cpu_seconds.json"


@click.command()
@click.option("--work", type=click.Path(path_type=Path), help="Keep clips, stores and runs here.  [a folder that goes]")
@click.option("--clips", type=click.Path(path_type=Path), help="The demo's clips, if they are rendered already.")
@click.option("--seeds", default=1)
@click.option("--tasks", default=",".join(TASKS))
@click.option("--ways", default=",".join(WAYS))
@click.option("--shots", default=0, help="Training videos of each class; 0: all.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Of the token decoder.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(
    work: Path | None,
    clips: Path | None,
    seeds: int,
    tasks: str,
    ways: str,
    shots: int,
    settings: tuple[str, ...],
    json_path: Path | None,
) -> None:
    """Train both ways on both tasks and print what each gives."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    chosen = dict(pair.split("=", 1) for pair in settings)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as gone:
        for task in tasks.split(","):
            bank = _store(task, work or Path(gone), clips)
            runs = [_runs(bank, way, seeds, shots=shots, settings=chosen) for way in ways.split(",")]
            figures[task] = _compared(runs)
            print(task, json.dumps(figures[task]), flush=True)
    if json_path:
        json_path.write_text(json.dumps(figures, indent=1))


def _store(task: str, work: Path, clips: Path | None) -> Any:
    import framebank as fb
    from framebank.demo.clips import render_clips
    from framebank.demo.sides import render_sides

    videos = clips if task == "usual" and clips else work / task / "manifest.csv"
    if not videos.exists():
        for _ in (render_sides if task == "sides" else render_clips)(work / task):
            pass
    how: Any = {"model": "demo", "frames": 8, "precision": "fp32", "streams": "frame,tokens:2", "device": "cpu"}
    return fb.extract(videos, work / f"{task}-store", **how)


def _runs(bank: Any, way: str, seeds: int, *, shots: int, settings: dict[str, str]) -> list[Path]:
    """Return the runs of all seeds, trained where they are not there yet; their folder names their settings."""
    import framebank as fb

    own = settings if way == "tokens" else {}
    differ = [*([f"shots={shots}"] if shots else []), *(f"{key}={value}" for key, value in sorted(own.items()))]
    folder = Path("-".join([str(bank.path), way, *differ]))
    runs = [folder / f"seed-{seed}" for seed in range(seeds)]
    for seed, place in enumerate(runs):
        if (place / "metrics.json").exists():
            continue
        started = time.process_time()
        fb.train(bank, place, recipe=WAYS[way], seed=seed, shots=shots, settings=own, device="cpu", overwrite=True)
        seconds = time.process_time() - started
        (place / SECONDS).write_text(json.dumps(seconds))
        found = fb.evaluate(place, bank, device="cpu")
        print(f"{place.name} of {folder.name}: {found.to_dict()['top1']:.3f}, {seconds:.0f} s", flush=True)
    return runs


def _compared(ways: list[list[Path]]) -> dict[str, Any]:
    """Return the figures of each way, and the paired difference of the asked seeds: a folder may hold more of them."""
    import framebank as fb

    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as gone:
        folders = [Path(gone) / runs[0].parent.name for runs in ways]
        for folder, runs in zip(folders, ways, strict=True):
            folder.mkdir()
            for run in runs:
                (folder / run.name).symlink_to(run.absolute())
            figures = [json.loads((run / "metrics.json").read_text()) for run in runs]
            seconds = [json.loads((run / SECONDS).read_text()) for run in runs]
            told[folder.name] = {"top1": [each["top1"] for each in figures], "cpu_seconds": seconds}
        if len(folders) > 1:
            told["paired"] = fb.compare_runs(*folders).to_dict()
    return told


if __name__ == "__main__":
    main()
