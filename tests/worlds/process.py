"""The processes that a test has started, and a function for them."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from framebank.store.formats import hdf5_process


def children() -> list[int]:
    """The numbers of our processes that this one has started, and of ended ones that nobody has waited for.

    That which reads HDF5 is ended: it would stay for the next file.
    """
    hdf5_process.end()
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("no /proc, which lists the children of a process")
    found = (int(child) for task in tasks.iterdir() for child in _children_of(task).split())
    return sorted(
        child for child in found if (line := _command(child)) == b"" or b"framebank.store.files.process" in line
    )


def _children_of(task: Path) -> str:
    try:
        return (task / "children").read_text()
    except OSError:  # the thread has ended by now
        return ""


def _command(child: int) -> bytes:
    try:
        return Path(f"/proc/{child}/cmdline").read_bytes()
    except OSError:  # it is gone by now
        return b"gone"


def num_descriptors() -> int:
    """How many files this process has open."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc, which lists the open files of a process")
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def square(number: int) -> int:
    """What the processes of the tests are asked: 3 raises, 4 ends the process, 5 exits by itself."""
    if number == 3:
        raise LookupError("three")
    if number == 4:
        os.abort()
    if number == 5:
        sys.exit(7)
    return number**2


def lacking_decode(path: Path, sample: Any, sink: Any) -> Any:
    """Decode as where the decoder's library is broken."""
    raise ImportError("libx264.so.164: cannot open shared object file")


def tell(connection: Any, name: str) -> None:
    """Send what a module of the process is, and its main."""
    module = sys.modules.get(name)
    connection.send((getattr(module, "__file__", None), getattr(sys.modules["__main__"], "__file__", None), sys.path))
