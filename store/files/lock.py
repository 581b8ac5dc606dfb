"""Lock: one writer to a store. The kernel drops it when its process ends for any reason."""

import errno
import fcntl
import os
import socket
import time
from pathlib import Path

from framebank.store.errors import PlaceError

# The errors of flock on a file system without locks, such as some network mounts.
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

LOOK_SECONDS = 0.02  # seconds between two checks whether a lock is free


class Lock:
    """An exclusive lock on a file, held from `acquire` to `release`.

    On a file system without locks a second file, `writer.pid` for `writer.lock`, takes its place: the process that
    makes it holds the lock and removes it on release. No kernel removes it after a kill: then the next writer is
    refused, and a message says what to remove. Readers never take a lock: complete shards are renamed into place, and
    are opened without HDF5's own locking, which would fail on such a file system.

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
        """Take the lock; DataError if another process has it, or the folder cannot be written to."""
        deadline = time.monotonic() + self.patience
        while not self._try():
            if time.monotonic() >= deadline:
                raise PlaceError(f"{self.guards}: another process is writing here")
            time.sleep(LOOK_SECONDS)

    def _try(self) -> bool:
        """Take the lock if nobody has it."""
        try:
            making = 0 if self.path.is_symlink() else os.O_CREAT  # the target of a link is not made
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
        self.release()  # its last holder has removed or replaced the file since it was opened
        return self._try()

    def release(self) -> None:
        """Give the lock back."""
        handle, holder, self._handle, self._holder_path = self._handle, self._holder_path, None, None
        try:
            if self.passing and (holder if handle is None else _is_at(handle, self.path)):
                self.path.unlink(missing_ok=True)  # still locked: the next process makes a new file
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
    """Make the file that names this process as the holder; DataError that names another holder."""
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
