"""The process that reads HDF5: a damaged file can make HDF5 hang, crash, or take all memory.

It has limits, answers one question at a time, and is ended if it does not answer; the next question starts another one.
The processes exchange JSON and plain bytes. No other process opens an HDF5 file for reading.
"""

import atexit
import contextlib
import json
import os
import resource
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from framebank.store.errors import DataError, PlaceError
from framebank.store.files.process import Process, died_of
from framebank.store.formats.remembered import MOVED, Stamp

IDLE_SECONDS = 60.0  # seconds after which it ends if nobody asks
SILENCE_SECONDS = 20.0  # without a word; a disk may be slow
CPU_SECONDS = 3  # of computing without a word
ROWS_SECONDS = 15  # of reading rows, which may mean to unpack a chunk of gigabytes
WORD_SECONDS = 0.5  # seconds between its signs of life
LOOK_SECONDS = 5.0  # seconds between two checks of a starting process
MEMORY = 3 << 29  # bytes beyond what it has when it begins

GOES_ON, SAYS = b"", b"\0"  # how its messages begin

ENDLESS = "HDF5 does not finish reading it; it is damaged"


def ask(path: Path, stamp: Stamp, question: str, **about: Any) -> tuple[Any, bytes]:
    """Return the answer to a question on a file (`hdf5_answers.py` has them): plain values, and bytes.

    DataError naming the file where HDF5 cannot read it, or it is another one by now than that of the stamp; DataError
    if no process can be started.
    """
    refused = _reader.refused.get((path, stamp))
    if refused is None:
        _reader.start()
        try:
            head, values = _reader.ask({"question": question, "path": str(path.absolute()), "stamp": stamp, **about})
        except PlaceError as error:  # the next try may succeed
            raise PlaceError(f"{path}: {error}") from error
        except DataError as error:  # it took seconds, and so would whatever else is asked of this file
            refused = _reader.refused[path, stamp] = str(error)
        else:
            if not head["error"]:
                return head["answer"], values
            refused = head["error"]
            if refused == MOVED:
                raise PlaceError(f"{path}: {refused}")
    raise DataError(f"{path}: {refused}")


class _Reader:
    """The process, started when it is first needed, and not shared with a fork."""

    def __init__(self) -> None:
        self.refused: dict[tuple[Path, Stamp], str] = {}
        self._lock = threading.Lock()
        self._process: Process | None = None

    def start(self) -> None:
        """Get the process ready; DataError if it cannot be started."""
        with self._lock:
            self._started()

    def ask(self, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return the answer of the process, and bytes; DataError if it dies on the question, or never answers."""
        with self._lock:
            try:
                answer = self._asked(question) or self._asked(question)  # the first was about to end
            except BaseException:  # Ctrl-C too: its next answer would belong to no question
                self._close()
                raise
        if answer is None:
            raise DataError("the process that reads it ended several times")
        return answer

    def _asked(self, question: dict[str, Any]) -> tuple[dict[str, Any], bytes] | None:
        """What the process answers; None if it has ended, as nobody had asked for so long."""
        process = self._started()
        try:
            process.channel.send_bytes(json.dumps(question).encode())
            head = json.loads(self._hear(process))
            return head, b"" if head["error"] else self._hear(process)
        except (EOFError, OSError) as error:
            if process.wait(1.0) == 0:
                self._close()
                return None
            raise self._lost(process) from error

    def _started(self) -> Process:
        if self._process is not None and self._process.wait(0) is not None:
            self._close()
        if self._process is None:
            self._process = Process(serve, name="process that reads HDF5")
        while not self._process.is_ready:
            if self._process.channel.poll(LOOK_SECONDS):
                self._process.hear()
            else:
                self._process.require_begun()
        return self._process

    def _hear(self, process: Process) -> bytes:
        while process.channel.poll(SILENCE_SECONDS):
            message = process.channel.recv_bytes()
            if message != GOES_ON:
                return message[1:]
        raise DataError(ENDLESS)

    def _lost(self, process: Process) -> DataError:
        code = process.wait(1.0)
        if code == -signal.SIGXCPU:
            return DataError(ENDLESS)
        if code == -signal.SIGKILL:
            return PlaceError("the process that reads it was killed, perhaps because memory ran out; try once more")
        how = died_of(code) if code is not None else "it closed its channel"
        return DataError(f"the process that reads it ended ({how}); it is damaged, or memory ran out")

    def _close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def close(self) -> None:
        """End the process if there is one."""
        with self._lock:
            self._close()

    def forget(self) -> None:
        """Leave the process to the parent of this fork."""
        process, self._process, self._lock = self._process, None, threading.Lock()
        if process is not None:
            process.channel.close()


def end() -> None:
    """End the process, which else stays for the next question for a while."""
    _reader.close()


_reader = _Reader()
atexit.register(end)
os.register_at_fork(after_in_child=_reader.forget)


def serve(connection: "Connection[Any, Any]") -> None:
    """Answer questions until the process that asks is gone."""
    from framebank.store.formats.hdf5_answers import Hdf5Answers

    _limit()
    last = 0.0

    def watch() -> None:
        nonlocal last
        if time.monotonic() - last > WORD_SECONDS:
            last = time.monotonic()
            _renew()
            connection.send_bytes(GOES_ON)

    answers = Hdf5Answers(watch)
    with contextlib.suppress(EOFError, ConnectionError):
        while connection.poll(IDLE_SECONDS):
            question = json.loads(connection.recv_bytes())
            _renew(CPU_SECONDS if question["question"] == "describe" else ROWS_SECONDS)
            answer, values, error = _answer(answers, question)
            connection.send_bytes(SAYS + json.dumps({"answer": answer, "error": error}).encode())
            if not error:
                connection.send_bytes(SAYS + values)


def _answer(answers: Any, question: dict[str, Any]) -> tuple[Any, bytes, str]:
    try:
        answer, values = answers.answer(question)
    except DataError as error:
        return None, b"", str(error)
    except MemoryError:
        return None, b"", f"takes more than {MEMORY >> 20} MiB to read; it is damaged or malicious"
    except Exception as error:  # HDF5 and h5py can raise any error on a damaged file
        words = ascii(" ".join(str(error).split()))[1:-1][:200]
        return None, b"", f"is damaged ({words or type(error).__name__})"
    return answer, values, ""


def _limit() -> None:
    """Bound the memory, and leave no core behind; where the system knows no such limit, the others hold."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _renew(seconds: int = CPU_SECONDS) -> None:
    """Allow some more seconds of computing: HDF5 that never ends is ended by the system, whoever has died by then."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + 1 + seconds
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))
