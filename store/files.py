"""Files that are whole or not there, one or several together: written beside their place, then renamed into it."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from framebank.store.errors import DataError

PART = ".part"
NEXT = ".framebank-next"  # in a folder: files that are its own by now, and not yet moved to their places
REMOVED = ".removed"  # in NEXT: behind the name of a file that is the folder's no longer


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path to write to; when the block ends well it becomes `path`, synced; otherwise it is removed.

    DataError where the place cannot be written to or is full.
    """
    part = path.with_name(path.name + PART)
    with undoing(part, of=path):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        sync(part)
        part.replace(path)
        sync(path.parent)


@contextlib.contextmanager
def undoing(part: Path, *, of: Path) -> Iterator[None]:
    """Remove a file or folder where the block that makes it fails; DataError naming `of` where the disk is at fault."""
    try:
        yield
    except OSError as error:
        _remove(part)
        raise DataError(f"{of}: cannot be written: {error.strerror or error}") from error
    except BaseException:
        _remove(part)
        raise


def _remove(part: Path) -> None:
    shutil.rmtree(part, ignore_errors=True)
    with contextlib.suppress(OSError):  # where nothing can be written, there is nothing to remove
        part.unlink()


@contextlib.contextmanager
def replacing_together(folder: Path) -> Iterator[Path]:
    """Yield a folder to write files into; when the block ends well they are those of `folder`, all of them or none.

    One renaming makes them so; they are moved to their places after it. Until then, or where a kill comes between,
    `current` tells where they are. DataError where the place cannot be written to or is full.
    """
    part = folder / (NEXT + PART)
    with undoing(part, of=folder):
        finish_moves(folder)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        sync(part)
        part.rename(folder / NEXT)
        sync(folder)
        finish_moves(folder)


def current(folder: Path, name: str) -> Path:
    """Return where the file `name` of a folder is that `replacing_together` wrote."""
    newer = folder / NEXT / name
    return newer if newer.exists() else folder / name


def current_paths(folder: Path, pattern: str) -> list[Path]:
    """Return where the files of a folder are whose names match, sorted by name, as `current` does for one."""
    found = {path.name: path for path in folder.glob(pattern)}
    ready = folder / NEXT
    if ready.is_dir():
        found |= {path.name: path for path in ready.glob(pattern)}
        for path in ready.glob(pattern + REMOVED):
            found.pop(path.name.removesuffix(REMOVED), None)
    return [found[name] for name in sorted(found)]


def remove_together(part: Path, name: str) -> None:
    """Have the file `name` removed where the files in `part`, a folder of `replacing_together`, take their places."""
    (part / (name + REMOVED)).touch()


def finish_moves(folder: Path) -> None:
    """Move what a killed `replacing_together` left to its place, where all of it had been written."""
    ready = folder / NEXT
    if ready.is_dir():
        for path in sorted(ready.iterdir()):
            if path.name.endswith(REMOVED):
                (folder / path.name.removesuffix(REMOVED)).unlink(missing_ok=True)
                path.unlink()
            else:
                path.replace(folder / path.name)
        sync(folder)
        ready.rmdir()


def refuse_inside(out: Path, sources: Iterable[Path], *, what: str) -> None:
    """Refuse to write a `what` into one of the folders that are read, where it would be read again: DataError."""
    place = out.resolve()
    for source in sources:
        inside = source.resolve()
        if source.is_dir() and (place == inside or inside in place.parents):
            raise DataError(f"{out}: lies in {source}, which is read; expected another place for the {what}")


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
