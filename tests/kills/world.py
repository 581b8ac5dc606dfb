"""Processes that are killed, or find their disk full, before one of the things that they do to files.

A server imports everything once and forks a child for each try. The child counts what Python does to the files below a
folder (an audit hook hears of it), and at a given count it is killed, or has no room from there on.
"""

import csv
import errno
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framebank.store.digest import SEAL

# What changes files, and which of its arguments name them.
CHANGES = {
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.mkdir": (0,),
    "os.rmdir": (0,),
    "os.link": (0, 1),
    "os.symlink": (1,),
    "os.truncate": (0,),
}
NEEDS_ROOM = {"write", "os.mkdir", "os.link", "os.symlink"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Stop:
    """Where a child is stopped: before its change number `at`, counted from 1, killed or without room from there on."""

    how: str  # "kill" or "full"
    at: int


@dataclass(frozen=True)
class Ended:
    """What became of a child: its exit code, negative for a signal; what it said; and the changes it came to."""

    code: int
    said: str
    changes: tuple[str, ...]


def run_child(action: Callable[[], int], *, watched: Path, stop: Stop | None = None) -> Ended:
    """Run an action in a child, whose TMPDIR is `watched`/tmp; the action returns its exit code."""
    read, write = os.pipe()
    with tempfile.TemporaryFile() as said, os.fdopen(read) as pipe:
        child = os.fork()
        if child == 0:
            _be_child(action, watched, stop, write, said.fileno())
        os.close(write)
        changes = tuple(pipe.read().split())
        status = os.waitpid(child, 0)[1]
        said.seek(0)
        return Ended(os.waitstatus_to_exitcode(status), said.read().decode(), changes)


def _be_child(action: Callable[[], int], watched: Path, stop: Stop | None, pipe: int, said: int) -> None:
    code = 70
    try:
        scratch = watched / "tmp"
        scratch.mkdir(exist_ok=True)
        os.environ["TMPDIR"], tempfile.tempdir = str(scratch), None
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        warnings.resetwarnings()
        sys.addaudithook(_Counter(str(watched.resolve()), stop, pipe).hear)
        code = action()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


class _Counter:
    def __init__(self, watched: str, stop: Stop | None, pipe: int) -> None:
        self.watched, self.stop, self.pipe = watched, stop, pipe
        self.count = 0

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        folder = -1  # an open one, from which a path is told, as `shutil.rmtree` does
        if event == "open":
            # Whoever opens a file by os.open to read it syncs it, which writes.
            change = "write" if arguments[2] & WRITES else "sync" if arguments[1] is None else ""
            paths = arguments[:1]
        elif event in CHANGES:
            change, paths = event, tuple(arguments[place] for place in CHANGES[event])
            folder = -1 if event == "os.truncate" else arguments[-1]
        else:
            return
        if change and any(_place(path, folder).startswith(self.watched) for path in paths):
            self._count(change)

    def _count(self, change: str) -> None:
        self.count += 1
        os.write(self.pipe, f"{change}\n".encode())
        if self.stop and self.stop.how == "kill" and self.count == self.stop.at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.stop and self.stop.how == "full" and self.count >= self.stop.at and change in NEEDS_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _place(path: Any, folder: int) -> str:
    if not isinstance(path, str | bytes | os.PathLike):
        return ""
    told = Path(os.fsdecode(path))
    if folder >= 0 and not told.is_absolute():
        return str(Path(f"/proc/self/fd/{folder}").readlink() / told)
    return str(told.absolute())


def sampled(count: int, most: int | None) -> list[int]:
    """Return numbers from 1 to `count`: all of them, or so many, the first and the last among them, evenly apart."""
    if most is None or count <= most:
        return list(range(1, count + 1))
    if most == 1:
        return [(count + 1) // 2]
    return sorted({round(1 + number * (count - 1) / (most - 1)) for number in range(most)})


def copy_into(template: Path, names: tuple[str, ...], folder: Path) -> None:
    """Make a folder of some files and folders of a template anew, with their times."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in names:
        source = template / name
        if source.is_dir():
            shutil.copytree(source, folder / name, symlinks=True)
        else:
            shutil.copy2(source, folder / name)


def tree(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield all files and folders below a folder, and what is in them but for times and durations."""
    for path in sorted(folder.rglob("*")):
        content = b"folder" if path.is_dir() else path.read_bytes()
        yield str(path.relative_to(folder)), _timeless(path.name, content)


# Fields that another try fills otherwise; the digests of files that have them too, of measured.json by its name.
TIMES = {"time", "seconds", "train s", "measured", SEAL}


def _timeless(name: str, content: bytes) -> bytes:
    """Return what a file holds but for the fields of TIMES, wherever in it they are."""
    suffix = Path(name).suffix
    if name in ("compare.png", "measured.json"):
        return b"all of it tells of times"
    if suffix == ".json":
        return _dumped(_without_times(json.loads(content)))
    if suffix == ".jsonl":
        return b"\n".join(_dumped(_without_times(json.loads(line))) for line in content.splitlines())
    if suffix == ".safetensors":
        end = 8 + int.from_bytes(content[:8], "little")
        return _dumped(_without_times(json.loads(content[8:end]))) + content[end:]
    if suffix == ".csv":
        return _dumped(_without_columns(list(csv.reader(io.StringIO(content.decode())))))
    if suffix == ".md":
        return _dumped(_without_columns([line.split("|") for line in content.decode().splitlines()]))
    return content


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_times(each) for name, each in value.items() if name not in TIMES}
    if isinstance(value, list):
        return [_without_times(each) for each in value]
    if isinstance(value, str) and value.startswith('{"'):  # JSON in a text of JSON, as checkpoints have it
        return _without_times(json.loads(value))
    return value


def _without_columns(rows: list[list[str]]) -> list[list[str]]:
    times = {place for place, cell in enumerate(rows[0] if rows else []) if cell.strip() in TIMES}
    return [[cell for place, cell in enumerate(row) if place not in times] for row in rows]
