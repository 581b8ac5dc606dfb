"""Command that divides the videos without a split into those that train and those that measure a run."""

from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Any

import click

from framebank.commands.options import PATH, json_option
from framebank.commands.printing import print_report
from framebank.store.counts import counted, listed


@click.command(short_help="Put some videos of each class into the split test.")
@click.argument("store", type=PATH)
@click.option("--fraction", default=0.2, show_default=True, help="About that part of each class is held out.")
@click.option("--split", default="test", show_default=True, help="The split of what is held out.")
@click.option("--seed", default=0, show_default=True, help="Draw other videos.")
@json_option
def hold_out(store: Path, fraction: float, split: str, seed: int, as_json: bool) -> None:
    """Divide the labelled videos of STORE that have no split: some of each class go into test, the others into train.

    The clips of one source stay together: those with one name in the column group, the parts of one file, and clips
    named as those of UCF101. A class with fewer than five videos without a split keeps all of them for training. You
    can do it again when videos have joined; none changes its split. `framebank store relabel STORE --undo` takes it
    back.

    \b
    framebank store hold-out bank
    framebank store hold-out bank --fraction 0.3
    """
    from framebank.store.upkeep.hold_out import hold_out as hold_out_of

    done = hold_out_of(store, fraction=fraction, split=split, seed=seed)
    report = {"store": str(store), **asdict(done)}
    print_report(report, as_json=as_json, lines=_lines(report))


def _lines(report: dict[str, Any]) -> list[str]:
    held = counted(len(report["held"]), "video")
    lines = [f"{held} held out as the split {report['split']}, {len(report['train'])} train -> {report['store']}"]
    if report["elsewhere"]:
        moved = counted(len(report["elsewhere"]), "video is", "videos are")
        lines.append(f"{moved} in another split, where other clips of the source are")
    if not report["held"] and not report["train"] and not report["elsewhere"]:
        lines.append("each labelled video had a split before")
    if never := report["never"]:
        classes = counted(len(never), "class has", "classes have")
        lines.append(f"{classes} no video held out, with fewer than five or all of one source: {listed(never)}")
    if report["unlabelled"]:
        lines.append(f"{counted(report['unlabelled'], 'video has', 'videos have')} no label, and no split still")
    if report["train"]:
        lines.append(f"next: framebank train {quote(report['store'])} RUN")
    return lines
