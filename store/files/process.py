"""Process: a Python process that calls one function of a module, and never runs the caller's main.

multiprocessing starts a process by running the caller's script again, under another name. A script without a
`__main__` guard then starts everything once more, and a script from stdin or a notebook has no file to run.
"""

import contextlib
import io
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.spawn import get_executable
from pathlib import Path
from types import FunctionType
from typing import Any

import framebank
from framebank.store.errors import DataError

# What the process runs: it finds this same package anywhere, and looks for no module in its working folder.
BOOT = """
import sys
sys.path[:] = [path for path in sys.path if path]
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("framebank", sys.argv[3] + "/__init__.py", submodule_search_locations=[sys.argv[3]])
sys.modules["framebank"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["framebank"])
from framebank.store.files.process import serve
serve(int(sys.argv[1]), int(sys.argv[2]))
"""

# How long a process may take to start, and how often it checks whether its parent is still there.
START_SECONDS = 300.0
LOOK_SECONDS = 0.5

# Signals that ask a whole group of processes to end; the parent gets them too, and ends this process.
FOR_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

READY = ("ready",)


class Process:
    """A running process that calls `function(connection, *arguments)`, and the `channel` to its connection.

    Without a function it imports what is to be preloaded, and waits for `call`. The first message is `READY`; `hear`
    takes it. `descriptors` are open there under the same numbers. `preload` are modules that are imported before
    anything of the caller's. Ctrl-C and requests to end are for this process alone. When this process is gone, however
    it ended, the other ends too; `scratch` is a folder that is then removed.
    DataError if the function or an argument is defined in the caller's main module, which the process does not have.
    Messages call it `name`.
    """

    def __init__(
        self,
        function: Callable[..., None] | None = None,
        *arguments: Any,
        name: str,
        descriptors: Sequence[int] = (),
        preload: Sequence[str] = (),
        scratch: str = "",
    ) -> None:
        call = dumps((function, arguments)) if function else b""
        ours, theirs = socket.socketpair()
        self._said = os.fdopen(shared_memory(0), "w+b", buffering=0)  # its errors until it is ready
        try:
            stderr = _standard_error()
            try:
                self._popen = _start(theirs.fileno(), stderr, [*descriptors], said=self._said.fileno())
            finally:
                os.close(stderr)
        except OSError as error:
            ours.close()
            self._said.close()
            raise DataError(f"a {name} cannot be started: {error.strerror or error}") from error
        finally:
            theirs.close()
        self.channel: Connection[Any, Any] = Connection(ours.detach())
        self.name = name
        self.pid = self._popen.pid
        self.is_ready = False
        self._started = time.monotonic()
        with contextlib.suppress(OSError):  # it has died already; the listener finds out
            self.channel.send((_search_paths(), tuple(preload), scratch))
            if call:
                self.channel.send_bytes(call)

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Tell a process that was made without a function what to call. DataError as for one made with it."""
        call = dumps((function, arguments))
        self._started = time.monotonic()  # it may have waited for as long as it likes
        with contextlib.suppress(OSError):  # as in __init__
            self.channel.send_bytes(call)

    def hear(self) -> Any:
        """Return the next message of its function, or None if it has just become ready.

        EOFError or OSError if it has died; DataError if it died before it was ready, with its own last words.
        """
        if self.is_ready:
            return self.channel.recv()
        try:
            self.channel.recv()  # READY
        except (EOFError, OSError) as error:
            raise self._unable() from error
        self.is_ready = True
        self._said.close()
        return None

    def require_begun(self) -> None:
        """Raise DataError if it takes longer to become ready than any process should."""
        if not self.is_ready and time.monotonic() - self._started > START_SECONDS:
            self.kill()
            raise DataError(f"a {self.name} did not start within {START_SECONDS:g} seconds, and was ended")

    def wait(self, seconds: float | None = None) -> int | None:
        """Return its exit code, negative for a signal; None if it still runs after so many seconds."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it at once; then `wait` returns."""
        self._popen.kill()

    def close(self) -> None:
        """End it, wait for it, and close the channel."""
        self.kill()
        self.wait()
        self.channel.close()
        self._said.close()

    def _unable(self) -> DataError:
        code = self.wait(1.0)
        self._said.seek(0)
        last = _last_words(self._said.read().decode(errors="replace"))
        how = died_of(code) if code is not None else "it closed its channel"
        return DataError(f"a {self.name} ended before it could start ({how}){last and f': {last}'}")


def _last_words(text: str) -> str:
    """The last line that names an error, or the last line: Python puts others behind where it cannot start itself."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Exit)\b", line)]
    return (errors or lines or [""])[-1]


def died_of(code: int) -> str:
    """Return "exit code 1", or "signal SIGKILL" for -9."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def shared_memory(size: int) -> int:
    """Return a descriptor of this much memory for processes to share; it is gone when the last one closes it."""
    if hasattr(os, "memfd_create"):  # not in /dev/shm, which is small in containers
        descriptor = os.memfd_create("framebank")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor


def dumps(value: Any) -> bytes:
    """Return the pickle of a value for another process; DataError if a part of it is of the caller's main."""
    content = io.BytesIO()
    try:
        _Pickler(content, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    except (pickle.PicklingError, AttributeError) as error:  # a lambda, or a function in a function
        raise DataError(f"the work for another process cannot be sent to it ({error}); {EXPECTED}") from error
    return content.getvalue()


EXPECTED = "expected functions and classes of a module that can be imported"


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, FunctionType | type) and value.__module__ in ("__main__", "__mp_main__"):
            raise DataError(
                f"{value.__qualname__} is defined in the script or notebook itself, which other processes do not run; "
                "put it into a module of its own and import it from there"
            )
        return NotImplemented


def _start(channel: int, stderr: int, descriptors: list[int], *, said: int) -> "subprocess.Popen[bytes]":
    package = str(Path(next(iter(framebank.__path__))).absolute())
    executable = os.fsdecode(get_executable() or "")
    if not executable:
        raise DataError("sys.executable is empty; expected the path of the Python that other processes are to run")
    options = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
    # Blocked, a Ctrl-C in the terminal does not reach the process before it ignores it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_PARENT)
    try:
        return subprocess.Popen(
            [executable, *options, "-c", BOOT, str(channel), str(stderr), package],
            stdin=subprocess.DEVNULL,
            stderr=said,
            pass_fds=(channel, stderr, *descriptors),
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _standard_error() -> int:
    try:
        return os.dup(2)
    except OSError:  # this process has none
        return os.open(os.devnull, os.O_WRONLY)


def _search_paths() -> list[str]:
    """Where this process looks for modules; its own folder by name, as the other one may leave it."""
    with contextlib.suppress(OSError):  # it has been removed
        return [path or str(Path.cwd()) for path in sys.path if isinstance(path, str)]
    return [path for path in sys.path if path]


def serve(channel: int, stderr: int) -> None:
    """Be the process: read what to call from the channel, say that it is ready, call it."""
    for number in FOR_PARENT:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FOR_PARENT)
    connection: Connection[Any, Any] = Connection(channel)
    try:
        paths, preload, scratch = connection.recv()
        _end_with_parent(scratch)
        # Behind its own: what is imported here is not what a file beside the caller's script is named like.
        sys.path.extend(path for path in paths if path not in sys.path)
        for name in preload:
            __import__(name)
        sys.path[:] = paths
        content = connection.recv_bytes()
        function, arguments = pickle.loads(content)  # noqa: S301 - of the process that started this one
        connection.send(READY)
    except (EOFError, ConnectionError):
        return  # the other is gone
    os.dup2(stderr, 2)
    os.close(stderr)
    function(connection, *arguments)


def _end_with_parent(scratch: str) -> None:
    """End when the process that started this one is gone, also in the middle of something that never ends."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, name="watch", daemon=True).start()
