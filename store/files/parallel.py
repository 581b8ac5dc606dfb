"""Parallel: call one function for many arguments in several processes, and return the results in order."""

import pickle
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from framebank.store.errors import DataError
from framebank.store.files.process import Process, died_of, dumps

Result = TypeVar("Result")

# How often starting processes are checked, in seconds.
LOOK_SECONDS = 10.0


def call_in_processes(
    function: Callable[..., Result], calls: Sequence[tuple[Any, ...]], *, processes: int, name: str
) -> Iterator[Result]:
    """Yield `function(*arguments)` of each of `calls`, in their order, computed in `processes` processes.

    No process runs the caller's main. An error of the function is raised here. DataError if a process dies; the message
    calls it `name`. If the iterator is closed early, it ends its processes and waits for them.
    """
    waiting = deque(enumerate(calls))
    running: list[Process] = []
    busy: dict[Process, int] = {}
    found: dict[int, Result] = {}

    def give(process: Process) -> None:
        if waiting:
            busy[process], arguments = waiting.popleft()
            process.channel.send_bytes(dumps(arguments))

    def listen() -> None:
        ready = wait([process.channel for process in busy], timeout=LOOK_SECONDS)
        for process in list(busy):
            if process.channel in ready:
                message = _hear(process)
                if message is not None:
                    found[busy.pop(process)] = _unpack(message)
                    give(process)
            else:
                process.require_begun()

    try:
        for _ in range(min(processes, len(calls))):
            running.append(Process(_work, function, name=name))
        for process in running:
            try:
                give(process)
            except OSError as error:
                raise _lost(process) from error
        for number in range(len(calls)):
            while number not in found:
                listen()
            yield found.pop(number)
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.close()


def _hear(process: Process) -> Any:
    try:
        return process.hear()
    except (EOFError, OSError) as error:
        raise _lost(process) from error


def _lost(process: Process) -> DataError:
    code = process.wait(1.0)
    how = died_of(code) if code is not None else "it closed its channel"
    return DataError(
        f"a {process.name} ended before its work was done ({how}), perhaps because memory "
        "ran out; expected fewer processes"
    )


def _unpack(message: tuple[bool, Any, str]) -> Any:
    done, value, where = message
    if not done:
        if not isinstance(value, DataError):
            value.add_note(f"in another process:\n{where}")
        raise value
    return value


def _work(connection: "Connection[Any, Any]", function: Callable[..., Any]) -> None:
    """Answer each tuple of arguments with (True, result, "") or (False, error, traceback), until the other is gone."""
    try:
        while True:
            connection.send_bytes(_answer(function, pickle.loads(connection.recv_bytes())))  # noqa: S301 - our own
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass


def _answer(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    try:
        return pickle.dumps((True, function(*arguments), ""))
    except Exception as error:
        where = traceback.format_exc()
        try:
            content = pickle.dumps((False, error, where))
            pickle.loads(content)  # noqa: S301 - an error may be pickled and not come back
        except Exception:
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}"), where))
        return content
