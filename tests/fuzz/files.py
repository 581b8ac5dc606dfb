"""Fuzzing: mutated files for every reader, and what came of each; run as a module it tries as many as asked.

A reader must refuse what it cannot read by one sentence that names the file. A traceback, a hang, much memory, a crash,
a file opened outside the folder, and a value other than was written where there is a digest, are faults.
"""

import argparse
import json
import math
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from framebank.store import DataError
from framebank.tests.fuzz.mutations import mutate
from framebank.tests.fuzz.readers import READERS
from framebank.tests.fuzz.readers.reader import fingerprint
from framebank.tests.places import ROOT

HANG_SECONDS = 20.0  # on a machine that has nothing else to do
MEMORY_BYTES = 2 << 30

REFUSED, SAME, OTHER = "refused", "same values", "other values"
TRACEBACK, HANG, MEMORY, CRASH, OUTSIDE, UNCLEAR = (
    "traceback",
    "hang",
    "memory",
    "crash",
    "outside",
    "no clear sentence",
)
OUTCOMES = (REFUSED, SAME, OTHER, TRACEBACK, HANG, MEMORY, CRASH, OUTSIDE, UNCLEAR)


@dataclass(frozen=True)
class Case:
    """One mutated file and what came of it: `reader` and `number` make it again."""

    reader: str
    number: int
    mutation: str = ""
    file: str = ""
    outcome: str = ""
    said: str = ""
    seconds: float = 0.0

    @property
    def is_fault(self) -> bool:
        """Whether it should not have come to this."""
        return self.outcome not in (REFUSED, SAME) and (self.outcome != OTHER or READERS[self.reader].has_digest)


def fuzz(reader: str, numbers: Sequence[int], scratch: Path) -> Iterator[Case]:
    """Try cases of a reader in a child of this process, and in another one where that one ends."""
    good = scratch / "good"
    good.mkdir(parents=True)
    making, end = _fork(lambda _: READERS[reader].make(good))
    os.close(end)
    if os.waitpid(making, 0)[1]:
        raise RuntimeError(f"{reader}: no good files could be made")
    rest = list(numbers)
    while rest:
        for case in _try_until_death(reader, rest, good, scratch):
            rest.remove(case.number)
            yield case
    shutil.rmtree(scratch)


def _try_until_death(reader: str, numbers: Sequence[int], good: Path, scratch: Path) -> Iterator[Case]:
    """Yield the cases that a child gets through, and the one that it died or hung in."""
    pid, end = _fork(lambda out: _try_all(reader, numbers, good, scratch, out))
    waiting = list(numbers)
    with os.fdopen(end, "rb", buffering=0) as channel:
        content = b""
        while waiting:
            if not select.select([channel], [], [], _limit() + 5)[0]:
                os.kill(pid, signal.SIGKILL)
                yield Case(reader, waiting[0], outcome=HANG, seconds=HANG_SECONDS)
                break
            found = channel.read(1 << 16) or b""
            if not found:
                yield Case(reader, waiting[0], outcome=CRASH)
                break
            *lines, content = (content + found).split(b"\n")
            for line in lines:
                yield Case(**json.loads(line))
                waiting.pop(0)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _limit() -> float:
    """The seconds that a case may take, more of them where other programs want the cores too."""
    return HANG_SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _fork(work: Callable[[int], object]) -> tuple[int, int]:
    """Have a child call `work` with the end of a pipe to write to; return its process and the end to read from."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid:
        os.close(theirs)
        return pid, ours
    code = 1
    try:
        os.close(ours)
        work(theirs)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _try_all(reader: str, numbers: Sequence[int], good: Path, scratch: Path, out: int) -> None:
    warnings.simplefilter("ignore")
    first = scratch / "first"
    shutil.rmtree(first, ignore_errors=True)  # of a child that died
    expected = _result(reader, shutil.copytree(good, first))
    allowed = (
        str(scratch),
        sys.prefix,
        sys.base_prefix,
        str(ROOT),
        "/proc",
        "/dev",
        "/usr",
    )
    opened = _watch_files((*allowed, tempfile.gettempdir()))
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES,) * 2)
    for number in numbers:
        place = scratch / f"case-{number}"
        shutil.copytree(good, place)
        opened.clear()
        case = _try(reader, number, place, expected, opened)
        shutil.rmtree(place, ignore_errors=True)
        os.write(out, json.dumps(asdict(case)).encode() + b"\n")


def _try(reader: str, number: int, place: Path, expected: str, opened: list[str]) -> Case:
    files = sorted(path for path in place.glob(READERS[reader].files) if path.is_file())
    path = files[number % len(files)]
    mutation, content = mutate(path.read_bytes(), f"{reader} {number}")
    path.write_bytes(content)
    before = time.monotonic()
    outcome, said = _outcome(reader, place, expected, where=path)
    seconds = time.monotonic() - before
    if opened:
        outcome, said = OUTSIDE, opened[0]
    elif seconds > _limit():
        outcome = HANG
    return Case(reader, number, mutation, path.relative_to(place).as_posix(), outcome, said, round(seconds, 3))


def _outcome(reader: str, place: Path, expected: str, *, where: Path) -> tuple[str, str]:
    try:
        return (SAME, "") if _result(reader, place) == expected else (OTHER, "")
    except DataError as error:
        said = str(error)
        is_clear = said.isprintable() and str(place) in said and len(said) < 1000
        return (REFUSED if is_clear else UNCLEAR), ascii(said)[:500]
    except MemoryError:
        return MEMORY, traceback.format_exc()[-500:]
    except Exception:
        return TRACEBACK, traceback.format_exc()[-1500:]


def _result(reader: str, place: Path) -> str:
    """The fingerprint of what is read, wherever the folder lies."""
    found = READERS[reader].read(place)
    return fingerprint(found, without=str(place))


def _watch_files(allowed: Sequence[str]) -> list[str]:
    """Return the list that names of files will be put into that are opened outside of some folders, from now on."""
    seen: list[str] = []

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if not path.startswith(tuple(allowed)):
                seen.append(path)

    sys.addaudithook(hear)
    return seen


def table(cases: Sequence[Case]) -> str:
    """Return a row for each reader, in Markdown: how many cases, and how many of each outcome there is any of."""
    shown = [outcome for outcome in OUTCOMES if any(case.outcome == outcome for case in cases)]
    counts = Counter((case.reader, case.outcome) for case in cases)
    lines = [f"| reader | files | {' | '.join(shown)} |", f"|---|---|{'---|' * len(shown)}"]
    for reader in dict.fromkeys(case.reader for case in cases):
        own = [counts[reader, outcome] for outcome in shown]
        lines.append(f"| {reader} | {sum(own)} | {' | '.join(map(str, own))} |")
    return "\n".join(lines)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Try mutated files, print every fault, and at the end the table; exits with 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="how many files in all (default: %(default)s)")
    parser.add_argument("--start", type=int, default=0, help="the first number; others than before make other files")
    parser.add_argument("--reader", action="append", choices=list(READERS), help="this reader alone; may be repeated")
    parser.add_argument("--json", type=Path, help="write each case as a line of this file")
    chosen = parser.parse_args()
    readers = chosen.reader or list(READERS)
    each = range(chosen.start, chosen.start + max(1, math.ceil(chosen.cases / len(readers))))
    cases: list[Case] = []
    with tempfile.TemporaryDirectory(prefix="framebank-fuzz-") as scratch:
        os.environ["XDG_CACHE_HOME"] = str(Path(scratch, "cache"))
        for number, reader in enumerate(readers):
            before = time.monotonic()
            for case in fuzz(reader, each, Path(scratch, str(number))):
                cases.append(case)
                if case.is_fault:
                    say(f"{case.reader} {case.number}: {case.outcome} ({case.mutation}) {case.said}")
            say(f"{reader}: {len(each)} files, {time.monotonic() - before:.0f} s")
    if chosen.json:
        chosen.json.write_text("".join(f"{json.dumps(asdict(case))}\n" for case in cases))
    say(table(cases))
    sys.exit(any(case.is_fault for case in cases))


if __name__ == "__main__":
    main()
