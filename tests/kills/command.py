"""A command that writes or reads, with what it needs, and how it is called."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from framebank.store import DataError


@dataclass(frozen=True)
class Command:
    """What a command is called with, in the folder that holds what it `needs`.

    `reads` gives what a reader makes of its output: where that is one of before and after a kill, it is never another.
    One that is not `again` does more when it is run again, as --undo. One that is `able` without room has an answer
    that does not need what it cannot write.
    """

    needs: tuple[str, ...]
    call: tuple[str, ...] | Callable[[], object]
    reads: Callable[[], Any] | None = None
    again: bool = True
    able: bool = False


def call_command(arguments: tuple[str, ...]) -> int:
    """Call a command as a shell does; return its exit code."""
    from framebank.cli import main

    try:
        main(list(arguments), prog_name="framebank")
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def call_function(function: Callable[[], object]) -> int:
    try:
        function()
    except DataError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    return 0
