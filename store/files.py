"""Files that are whole or not there: written beside their place, synced, then renamed into it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from framebank.store.errors import DataError

PART = ".part"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path to write to; when the block ends well it becomes `path`, synced; otherwise it is removed.

    DataError where the place cannot be written to or is full.
    """
    part = path.with_name(path.name + PART)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        sync(part)
        part.replace(path)
        sync(path.parent)
    except OSError as error:
        _remove(part)
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    except BaseException:
        _remove(part)
        raise


def _remove(part: Path) -> None:
    with contextlib.suppress(OSError):  # where nothing can be written, there is nothing to remove
        part.unlink()


def sync(path: Path) -> None:
    """Have the file's or folder's bytes on the disk before returning."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def require_new_folder(path: Path, *, what: str) -> None:
    """Make `path` a folder to write a `what` into; DataError when it is taken by a file or cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable{PART}"
        probe.touch()
        probe.unlink(missing_ok=True)  # another process may be probing too
    except FileExistsError as error:
        raise DataError(f"{path}: is a file; expected a folder for the {what}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot hold the {what}: {error.strerror or error}") from error
