"""What the user sees: progress on stderr, results on stdout as a table or as one JSON object."""

import contextlib
import json
import shlex
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from framebank.library.table import csv_table as csv_table
from framebank.library.table import markdown_table as markdown_table
from framebank.library.table import percent as percent
from framebank.library.table import table as table
from framebank.store.counts import counted
from framebank.store.errors import DataWarning, PlaceError

if TYPE_CHECKING:
    from framebank.extract.encoders.encoder import Encoder
    from framebank.extract.extraction import Engine
    from framebank.library.exchange.prompt_files import PromptFile

T = TypeVar("T")
LOG_SECONDS = 30.0  # between two lines of progress, if stderr is not a terminal


def say(text: str, **style: Any) -> None:
    """Print a line to stderr; one that cannot be written, as to a log on a full disk, stops no work."""
    with contextlib.suppress(OSError):
        click.secho(text, err=True, **style)


class Bar:
    """Progress on stderr, with rate and time left: a moving bar on a terminal.

    Elsewhere, as in the log of a job, it is a plain line every half minute. Work that takes less than a second on a
    terminal, or less than half a minute elsewhere, shows nothing. The rate is the mean since the start, and the time
    left comes from it.
    """

    def __init__(self, *, unit: str, total: int | None = None, title: str | None = None) -> None:
        self.unit, self.total, self.title = unit, total, title
        self.done = self.before = 0
        self._facts: dict[str, str] = {}
        self._drawn: Any = None  # the bar of tqdm, on a terminal
        self._started = self._told = time.monotonic()

    def __enter__(self) -> "Bar":
        """Start the clock."""
        self._started = self._told = time.monotonic()
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._drawn = tqdm(
                total=self.total,
                unit=self.unit,
                desc=self.title,
                delay=1.0,
                smoothing=0.0,
                miniters=1,
                file=sys.stderr,
                dynamic_ncols=True,
            )
        return self

    def __exit__(self, *error: object) -> None:
        """Close the bar and leave it on the screen."""
        if self._drawn is not None:
            self._drawn.close()

    def move(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done; the functions of the library call this."""
        step, self.done, self.total = done - self.done, done, total
        if self._drawn is not None:
            self._drawn.total = total
            self._drawn.update(step)
        elif time.monotonic() - self._told >= LOG_SECONDS:
            self._told = time.monotonic()
            say(self._line())

    def skip(self, before: int) -> None:
        """Take that many for done by an earlier call: they count, and say nothing of the rate."""
        self.done = self.before = before
        if self._drawn is not None:
            self._drawn.initial = self._drawn.n = before

    def show(self, **facts: str) -> None:
        """Show some facts after the count; each replaces the last one of its name."""
        self._facts |= facts
        if self._drawn is not None:
            self._drawn.set_postfix(self._facts, refresh=False)

    def _line(self) -> str:
        passed = time.monotonic() - self._started
        made = self.done - self.before
        left = passed * ((self.total or 0) - self.done) / made if made else 0.0
        parts = [
            f"{self.done} of {counted(self.total or 0, self.unit, _plural(self.unit))}",
            *(f"{name} {value}" for name, value in self._facts.items()),
            *([_rate(made, passed)] if made else []),
            f"{_clock(passed)} passed",
            *([f"about {_clock(left)} left"] if made else []),
        ]
        return f"{self.title}: {', '.join(parts)}" if self.title else ", ".join(parts)


def _plural(unit: str) -> str:
    if unit.endswith("y"):
        return f"{unit[:-1]}ies"
    return f"{unit}es" if unit.endswith("tch") else f"{unit}s"


def _rate(made: int, seconds: float) -> str:
    return f"{made / seconds:.1f} a second" if made >= seconds else f"{seconds / made:.1f} s each"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def progress(
    items: Iterable[T],
    *,
    total: int,
    unit: str,
    title: str | None = None,
    show: Callable[[T], dict[str, str]] | None = None,
) -> Iterator[T]:
    """Yield the items under a Bar that counts them."""
    with Bar(unit=unit, total=total, title=title) as bar:
        for number, item in enumerate(items, start=1):
            if show:
                bar.show(**show(item))
            yield item
            bar.move(number, total)  # when the next is asked for: the caller may do the work


class BarOfParts:
    """A bar that counts the parts of items: the steps of epochs, say, as a call of the library tells of them.

    Its `watch` and `tell` are handed to that call. Items of the unit `per` are gone through under a Bar of `unit`, with
    the facts that `facts` gives of each, its number and the total; items of another unit have a bar of their own.
    """

    def __init__(self, *, per: str, unit: str, facts: Callable[[Any, int, int], dict[str, str]]) -> None:
        self.per, self.unit, self.facts = per, unit, facts
        self._bar: Bar | None = None
        self._seen = 0

    def watch(self, items: Iterable[T], *, total: int, unit: str, title: str | None = None) -> Iterator[T]:
        """Yield the items under a bar."""
        if unit != self.per:
            yield from progress(items, total=total, unit=unit, title=title)
            return
        with Bar(unit=self.unit, title=title) as self._bar:
            for number, item in enumerate(items, start=1):
                self._seen = number
                self._bar.show(**self.facts(item, number, total))
                yield item

    def tell(self, done: int, total: int) -> None:
        """Move the bar. Items that come before the first part is told of were done by an earlier call."""
        if self._bar:
            if self._seen and not self._bar.done:
                self._bar.skip(done - 1)
            self._bar.move(done, total)


def called_as() -> str:
    """Return the command that starts this program in a shell: framebank if that is on the path."""
    path = Path(sys.argv[0])
    if path.name in ("__main__.py", "cli.py"):
        return f"{shlex.quote(sys.executable)} -m framebank"
    found = shutil.which("framebank")
    if path.name != "framebank" or (found and Path(found).resolve() == path.resolve()):
        return "framebank"
    return shlex.quote(str(path))


def print_report(report: dict[str, Any], *, as_json: bool, lines: Iterable[str]) -> None:
    """Print a report as one JSON object, or as lines. DataError where stdout cannot be written to."""
    try:
        click.echo(json.dumps(report) if as_json else "\n".join(lines))
    except BrokenPipeError:
        raise  # who reads has read enough, as `head` has; click ends the command
    except OSError as error:
        raise PlaceError(f"the results cannot be printed: {error.strerror or error}") from error


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
                say(f"note: {message}", fg="yellow")

        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        yield


def warn_if_random(encoder: "Encoder | Engine | PromptFile") -> None:
    """Warn that an encoder, or that of some prompts, has no trained weights."""
    if encoder.random_weights:
        warning = f"WARNING: {encoder.spec.model} has RANDOM WEIGHTS (--pretrained none): its embeddings mean nothing."
        say(warning, fg="red", bold=True)
