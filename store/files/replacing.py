"""Write files completely or not at all, one or several together: under another name first, then renamed."""

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from framebank.store.errors import DataError, PlaceError, warn
from framebank.store.files.lock import Lock

T = TypeVar("T")

PART = ".part"
LOCK = ".lock"
NEXT = ".framebank-next"  # in a folder: files that already count and are not yet in their places
REMOVED = ".removed"  # in NEXT: after the name of a file that no longer belongs to the folder
TRIES = 20  # to read a folder while its files are moved, which takes milliseconds
CLOCK_NS = 20_000_000  # two changes of a folder that are nearer in time may have the same time
PATIENCE = 10.0  # seconds that one process waits for another that replaces files; it needs much less


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path to write to; when the block ends well it becomes `path`, synced; otherwise it is removed.

    A link stays, and its target is replaced. DataError if the place cannot be written to or is full, is a folder, a
    device or a pipe, or another process is writing it.
    """
    with undoing(None, of=path):
        path = target_of(path)
        part = path.with_name(path.name + PART)
        make_folder(path.parent)
        if part.is_symlink():
            part.unlink()  # writing through it would write in another place
        left = part.exists()
    with Lock(part, guards=path, passing=True, stands_in=False):
        if left:
            tell_left(part)
        with undoing(part, of=path):
            yield part
            sync(part)
            part.replace(path)
            sync(path.parent)


def target_of(path: Path) -> Path:
    """Return the path of the file that is written where `path` is written: that of its target for a link.

    DataError if something else than a file that can be replaced is there.
    """
    try:
        target = path.resolve() if path.is_symlink() else path
    except RuntimeError as error:
        raise PlaceError(f"{path}: is a link that leads to itself; expected a file") from error
    if target.is_dir():
        raise DataError(f"{target}: is a folder; expected a file")
    if target.exists() and not target.is_file():
        raise DataError(f"{target}: is a device or a pipe; expected a file that can be replaced")
    return target


@contextlib.contextmanager
def undoing(part: Path | None, *, of: Path) -> Iterator[None]:
    """Remove a file or folder if the block that makes it fails; DataError that names `of` if the disk is the cause."""
    try:
        yield
    except OSError as error:
        _remove(part)
        above = next((folder for folder in of.parents if os.path.isfile(folder)), None)  # noqa: PTH113 - which never fails
        reason = f"{above} is a file; expected a folder" if above else error.strerror or error
        raise PlaceError(f"{of}: cannot be written: {reason}") from error
    except BaseException:
        _remove(part)
        raise


def _remove(part: Path | None) -> None:
    if part:
        shutil.rmtree(part, ignore_errors=True)
        with contextlib.suppress(OSError):  # where nothing can be written, there is nothing to remove
            part.unlink()


@contextlib.contextmanager
def replacing_together(folder: Path) -> Iterator[Path]:
    """Yield a folder to write files into; when the block ends well they are those of `folder`, all of them or none.

    They are synced, and one rename makes them count; after that they are moved to their places. Until then, or after a
    kill in between, `current` says where they are. DataError if the place cannot be written to or is full, or another
    process is writing there for longer than a few seconds.
    """
    part = folder / (NEXT + PART)
    with undoing(None, of=folder):
        make_folder(folder)
    with _held(folder), undoing(part, of=folder):
        _settle(folder)
        part.mkdir()
        yield part
        for path in part.iterdir():
            sync(path)
        sync(part)
        part.rename(folder / NEXT)
        sync(folder)
        _move(folder)


def current(folder: Path, name: str) -> Path:
    """Return the path of the file `name` of a folder; if `replacing_together` has removed it, nothing is there."""
    ready = folder / NEXT
    is_newer = _is_own(ready) and ((ready / name).exists() or (ready / (name + REMOVED)).exists())
    return (ready if is_newer else folder) / name


def current_paths(folder: Path, pattern: str) -> list[Path]:
    """Return where the files of a folder are whose names match, sorted by name, as `current` does for one."""
    for _ in range(TRIES):
        with contextlib.suppress(FileNotFoundError):  # they were moved to their places meanwhile
            return _current_paths(folder, pattern)
    return _current_paths(folder, pattern)


def _current_paths(folder: Path, pattern: str) -> list[Path]:
    found = {path.name: path for path in folder.glob(pattern)}
    ready = folder / NEXT
    if _is_own(ready):
        found |= {path.name: path for path in ready.glob(pattern)}
        for path in ready.glob(pattern + REMOVED):
            found.pop(path.name.removesuffix(REMOVED), None)
    return [found[name] for name in sorted(found)]


def _is_own(ready: Path) -> bool:
    """Whether the folder of files that are not yet moved is a real folder and not a link."""
    return ready.is_dir() and not ready.is_symlink()


def read_settled(folder: Path, read: Callable[[], T]) -> T:
    """Return what `read` reads from the files of a folder; if it fails while they are moved, read once more."""
    for _ in range(TRIES):
        before = _mark(folder)
        try:
            return read()
        except DataError:
            if _mark(folder) == before:
                if not _may_hide_a_change(before):
                    raise
                time.sleep(CLOCK_NS / 1e9)  # once: after it, a change has a time of its own
    return read()


def _may_hide_a_change(mark: tuple[int, ...]) -> bool:
    """Whether a file may have moved since without a trace: clocks of file systems stand still for some milliseconds."""
    return bool(mark) and time.time_ns() - max(mark[:2]) < CLOCK_NS


def _mark(folder: Path) -> tuple[int, ...]:
    """A value that changes with every file that enters or leaves a folder."""
    with contextlib.suppress(OSError):
        stat = folder.stat()
        return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino
    return ()


def remove_together(part: Path, name: str) -> None:
    """Remove the file `name` when the files in `part`, a folder of `replacing_together`, take their places."""
    (part / (name + REMOVED)).touch()


def finish_moves(folder: Path) -> None:
    """If a killed `replacing_together` had written all its files, move them to their places; otherwise remove them.

    A message says which. DataError if the folder cannot be written to.
    """
    if any((folder / name).exists() for name in (NEXT, NEXT + PART, NEXT + LOCK)):
        with _held(folder), undoing(None, of=folder):
            _settle(folder)


def _held(folder: Path) -> Lock:
    return Lock(folder / (NEXT + LOCK), passing=True, stands_in=False, patience=PATIENCE)


def _settle(folder: Path) -> None:
    for path in (folder / NEXT, folder / (NEXT + PART)):
        if path.is_symlink():
            raise DataError(
                f"{path}: is a link; expected nothing there, or a folder that framebank wrote: remove the link"
            )
    part = folder / (NEXT + PART)
    if part.exists():
        shutil.rmtree(part)
        tell_left(part)
    if (folder / NEXT).is_dir():
        _move(folder)
        warn(f"{folder}: a killed command had written files here; they are in their places now")


def _move(folder: Path) -> None:
    ready = folder / NEXT
    for path in sorted(ready.iterdir()):
        if path.name.endswith(REMOVED):
            (folder / path.name.removesuffix(REMOVED)).unlink(missing_ok=True)
            path.unlink()
        else:
            path.replace(folder / path.name)
    sync(folder)
    ready.rmdir()


def remove_parts(folder: Path, patterns: Iterable[str]) -> None:
    """Remove what killed writers of matching files left, and say so; leave what is being written."""
    for part in [part for pattern in patterns for part in sorted(folder.glob(pattern + PART))]:
        with contextlib.suppress(PlaceError), Lock(part, passing=True, stands_in=False):
            tell_left(part)


def tell_left(part: Path) -> None:
    """Say that something unfinished is removed."""
    warn(f"{part}: was left by a killed command, and is removed")


def refuse_inside(out: Path, sources: Iterable[Path], *, what: str) -> None:
    """Refuse to write a `what` into one of the input folders, where it would be read again: DataError."""
    place = out.resolve()
    for source in sources:
        inside = source.resolve()
        if source.is_dir() and (place == inside or inside in place.parents):
            raise DataError(f"{out}: is inside {source}, which is read; expected another place for the {what}")


def sync(path: Path) -> None:
    """Return only when the bytes of the file or folder are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, completely or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it. OSError if it cannot be made, or ".." comes after one that does not exist."""
    for place, part in enumerate(folder.parts):
        if part == "..":
            above = Path(*folder.parts[:place])
            if not above.exists():
                raise FileNotFoundError(errno.ENOENT, f"there is no folder {above}")
    folder.mkdir(parents=True, exist_ok=True)


def require_new_folder(path: Path, *, what: str) -> None:
    """Make `path` a folder to write a `what` into; DataError if it is a file or cannot be made."""
    try:
        make_folder(path)
        probe = path / f".writable{PART}"
        probe.touch()
        probe.unlink(missing_ok=True)  # another process may be probing too
    except FileExistsError as error:
        raise DataError(f"{path}: is a file; expected a folder for the {what}") from error
    except OSError as error:
        raise PlaceError(f"{path}: cannot hold the {what}: {error.strerror or error}") from error
