"""Scratch: temporary folders; the next user removes those of dead processes."""

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from framebank.store.errors import PlaceError
from framebank.store.files.replacing import tell_left

PREFIX = "framebank-scratch-"
NEW_SECONDS = 5.0  # a younger one may be locked in a moment


def scratch_path() -> Path:
    """Return a name for a new scratch folder, which `hold_scratch` makes."""
    return _place() / f"{PREFIX}{secrets.token_hex(8)}"


def _place() -> Path:
    """Return the folder for temporary files, as `tempfile.gettempdir` chooses it, which tries each by a file.

    A kill would leave that file behind.
    """
    if tempfile.tempdir:
        return Path(os.fsdecode(tempfile.tempdir))
    given = (os.environ.get(name, "") for name in ("TMPDIR", "TEMP", "TMP"))
    for place in map(Path, (*filter(None, given), "/tmp", "/var/tmp", "/usr/tmp")):  # noqa: S108
        if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
            return place.absolute()
    return Path.cwd()


def hold_scratch(path: Path) -> int:
    """Make a scratch folder, for as long as the descriptor that is returned is open, or else the process lives."""
    path.mkdir(mode=0o700)
    descriptor = os.open(path, os.O_RDONLY)
    with contextlib.suppress(OSError):  # a file system without locks: nobody takes it for the folder of a dead process
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a temporary folder. DataError if there is no place or no room for it."""
    sweep_scratch()
    path = scratch_path()
    try:
        descriptor = hold_scratch(path)
    except OSError as error:
        raise PlaceError(f"{path.parent}: no temporary folder can be made: {error.strerror or error}") from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def sweep_scratch() -> None:
    """Remove the scratch folders of processes that are gone, if nobody else could remove them."""
    for path in _place().glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it is not ours, or its process lives, or is removing it
            if time.time() - path.stat().st_mtime < NEW_SECONDS:
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)
                tell_left(path)
            finally:
                os.close(descriptor)
