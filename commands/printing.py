"""What the user sees: progress on stderr, results on stdout as a table or as one JSON object."""

import contextlib
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from framebank.store.counts import counted
from framebank.store.errors import DataWarning

if TYPE_CHECKING:
    from framebank.extract.encoder import Encoder
    from framebank.extract.extraction import Engine

T = TypeVar("T")


def progress(
    items: Iterable[T],
    *,
    total: int,
    unit: str,
    title: str | None = None,
    show: Callable[[T], dict[str, str]] | None = None,
) -> Iterator[T]:
    """Yield the items under a bar with rate and time left, drawn when they take longer than a second."""
    from tqdm import tqdm

    with tqdm(items, total=total, unit=unit, desc=title, delay=1.0, file=sys.stderr, dynamic_ncols=True) as bar:
        for item in bar:
            if show:
                bar.set_postfix(show(item), refresh=False)
            yield item


def print_report(report: dict[str, Any], *, as_json: bool, lines: Iterable[str]) -> None:
    """Print a report as one JSON object, or the lines that tell it."""
    click.echo(json.dumps(report) if as_json else "\n".join(lines))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned lines, the header first."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]]
    return [line.rstrip() for line in lines]


def percent(fraction: float) -> str:
    """Return a fraction as a percentage."""
    return f"{100 * fraction:.1f} %"


def figures(report: dict[str, Any]) -> dict[str, str]:
    """Return the figures of a report under the names of their columns."""
    if "map" in report:
        occurring = sum(value is not None for value in report["average_precision"])
        return {"mAP": percent(report["map"]), "classes": f"{occurring} of {len(report['labels'])} occur"}
    low, high = report["top1_interval"]
    return {
        "top-1": percent(report["top1"]),
        "95 %": f"{100 * low:.1f}-{100 * high:.1f}",
        "top-5": percent(report["top5"]),
        "class mean": percent(report["mean_class_accuracy"]),
    }


def protocol_lines(facts: dict[str, Any]) -> list[str]:
    """Return what made a number, for a reader."""
    encoder = f"{facts['model']}/{facts['pretrained'] or 'RANDOM WEIGHTS'}, weights {facts['weights_hash'][:12]}"
    lines = [
        "",
        f"videos     {facts['videos_evaluated']} of {facts['videos_listed']} listed in split {facts['split']}",
        f"encoder    {encoder}, {facts['precision']}",
        f"frames     {facts['sampling']}, {facts['view']}, decoder {facts['decoder']}",
    ]
    templates = facts.get("templates")
    if templates:
        shown = "; ".join(templates[:2]) + ("; ..." if len(templates) > 2 else "")
        lines.append(
            f"texts      {facts['texts']}, {counted(len(templates), 'template')} ({shown}), {facts['scoring']} averaged"
        )
    return [*lines, f"protocol   {facts['protocol_hash']}"]


@contextlib.contextmanager
def printed_warnings() -> Iterator[None]:
    """Print each DataWarning to stderr, once, as a note."""
    told: set[str] = set()
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, DataWarning):
                others(message, category, *place, **more)
            elif str(message) not in told:
                told.add(str(message))
                click.secho(f"note: {message}", fg="yellow", err=True)

        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        yield


def warn_if_random(encoder: "Encoder | Engine") -> None:
    """Say loudly that an encoder has no trained weights."""
    if encoder.random_weights:
        warning = f"WARNING: {encoder.spec.model} has RANDOM WEIGHTS (--pretrained none): its embeddings mean nothing."
        click.secho(warning, fg="red", bold=True, err=True)
