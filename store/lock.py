"""Lock: one writer to a store. The kernel drops it when its process ends, however it ends."""

import fcntl
import os
from pathlib import Path

from framebank.store.errors import DataError


class Lock:
    """An exclusive lock on a file, held from `acquire` to `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock; DataError when another process has it."""
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise DataError(f"{self.path.parent}: cannot be written to: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise DataError(f"{self.path.parent}: another process is writing to this store") from error
        except OSError:
            pass  # a file system without locks: the rename of whole shards still keeps readers safe
        self._handle = handle

    def release(self) -> None:
        """Give the lock back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
