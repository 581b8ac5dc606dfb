"""Lock: one writer to a store. The kernel drops it when its process ends, however it ends."""

import errno
import fcntl
import os
import socket
import time
from pathlib import Path

from framebank.store.errors import PlaceError

# What flock answers on a file system that has no locks, as some network mounts.
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

LOOK_SECONDS = 0.02  # between two looks whether a lock is free


class Lock:
    """An exclusive lock on a file, held from `acquire` to `release`.

    On a file system without locks a second file, `writer.pid` for `writer.lock`, stands for it: whoever makes it holds
    the lock and removes it on release. No kernel removes it after a killed process: the next writer is then refused
    and told what to remove. Readers take no lock anywhere: shards are renamed into place whole, and are opened with
    HDF5's own locking off, which would fail on such a file system.

    `guards` is what the lock is for, in messages; the folder that its file lies in, unless given. A `passing` lock
    removes its file on release. Where another process has it, `patience` seconds are waited for that to end. Without
    `stands_in` there is none if the file system has none. It is a context manager too.
    """

    def __init__(
        self,
        path: Path,
        *,
        guards: Path | None = None,
        passing: bool = False,
        stands_in: bool = True,
        patience: float = 0.0,
    ) -> None:
        self.path = path
        self.guards = guards or path.parent
        self.passing = passing
        self.stands_in = stands_in
        self.patience = patience
        self._handle: int | None = None
        self._holder_path: Path | None = None  # the file that stands for the lock where the kernel has none

    def __enter__(self) -> "Lock":
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock; DataError when another process has it, or the folder cannot be written to."""
        deadline = time.monotonic() + self.patience
        while not self._try():
            if time.monotonic() >= deadline:
                raise PlaceError(f"{self.guards}: another process is writing here")
            time.sleep(LOOK_SECONDS)

    def _try(self) -> bool:
        """Take the lock where nobody has it."""
        try:
            making = 0 if self.path.is_symlink() else os.O_CREAT  # what a link leads to is not made
            handle = os.open(self.path, os.O_RDWR | making, 0o666)
        except OSError as error:
            raise PlaceError(f"{self.guards}: cannot be written to: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError as error:
            os.close(handle)
            if error.errno not in NO_LOCKS:
                raise PlaceError(f"{self.path}: cannot be locked: {error.strerror}") from error
            if not self.stands_in:
                self.path.unlink(missing_ok=True)
                return True
            self._holder_path = _make_holder(self.path.with_suffix(".pid"), guards=self.guards)
            return True
        self._handle = handle
        if _is_at(handle, self.path):
            return True
        self.release()  # whoever had it has removed or replaced the file since it was opened
        return self._try()

    def release(self) -> None:
        """Give the lock back."""
        handle, holder, self._handle, self._holder_path = self._handle, self._holder_path, None, None
        try:
            if self.passing and (holder if handle is None else _is_at(handle, self.path)):
                self.path.unlink(missing_ok=True)  # still locked: who opens it from now on makes a new one
            if holder:
                holder.unlink(missing_ok=True)
        finally:
            if handle is not None:
                os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is the one that lies at `path`."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _make_holder(path: Path, *, guards: Path) -> Path:
    """Make the file that names this process as the holder; DataError naming the holder where there is one."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError as error:
        raise PlaceError(f"{guards}: {_holder(path)} is writing here; if it no longer runs, remove {path}") from error
    except OSError as error:
        raise PlaceError(f"{guards}: cannot be written to: {error.strerror}") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{socket.gethostname()} {os.getpid()}\n")
    return path


def _holder(path: Path) -> str:
    try:
        host, pid = path.read_text(encoding="utf-8").split()
    except (OSError, ValueError):  # made, and not yet written or gone again
        return "another process"
    return f"process {pid} on {host}"
