"""Place: where a command writes while it works; a second command is refused at once and not at its end."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from framebank.store.errors import DataError, PlaceError
from framebank.store.files.lock import Lock
from framebank.store.files.replacing import (
    LOCK,
    PART,
    finish_moves,
    make_folder,
    remove_parts,
    require_new_folder,
    sync,
    target_of,
    tell_left,
    undoing,
)

AT_WORK = ".framebank-lock"  # in a folder: a command is at work there
STORE_FILES = ("shard-*.h5", "manifest.csv", "failed.csv", "history.csv", "sources.csv")
# Files that are, or were in earlier versions, written one by one.
FOLDER_FILES = ("checkpoint.safetensors", "matcher.safetensors", "recipe.*", "log.csv", "metrics.json", "enrolled.npz")


@contextlib.contextmanager
def owning(folder: Path, *, what: str) -> Iterator[None]:
    """Hold a folder to write a `what` into; if it is new and nothing is written, it is removed again.

    First the files that a killed command left are removed. DataError if another process holds it, or it cannot be
    written to.
    """
    made = not folder.exists()
    require_new_folder(folder, what=what)
    try:
        with Lock(folder / AT_WORK, passing=True):
            clear_folder(folder)
            yield
    finally:
        if made:
            with contextlib.suppress(OSError):  # it holds something
                folder.rmdir()


def require_place(out: Path) -> None:
    """Raise DataError if no file could be written at `out` at the end of a work. Nothing is made or changed.

    Folders above it that are missing will be made.
    """
    with undoing(None, of=out):
        above = next(folder for folder in target_of(out).absolute().parents if folder.exists())
        if not above.is_dir():
            raise NotADirectoryError(f"{above} is not a folder")
        if not os.access(above, os.W_OK | os.X_OK):
            raise PlaceError(f"{out}: cannot be written: Permission denied")


def clear_store(folder: Path) -> None:
    """Finish or remove what a killed command left in a store; the caller holds its lock; other files stay."""
    finish_moves(folder)
    remove_parts(folder, STORE_FILES)


def clear_folder(folder: Path) -> None:
    """Finish or remove what a killed command left in the folder of a run, a matcher or an index; other files stay."""
    finish_moves(folder)
    remove_parts(folder, FOLDER_FILES)


@contextlib.contextmanager
def making(out: Path, *, what: str) -> Iterator[None]:
    """Let nobody else write `out`, a file or folder that must not exist yet; first remove what a killed command left.

    DataError if another process writes it, or it exists.
    """
    with undoing(None, of=out):
        make_folder(out.parent)
    if not out.name:
        raise DataError(f"{out}: exists already; choose another place for the {what}")
    with Lock(out.with_name(f".{out.name}{LOCK}"), guards=out, passing=True):
        if out.exists() or out.is_symlink():
            raise DataError(f"{out}: exists already; choose another place for the {what}")
        part = out.with_name(out.name + PART)
        if part.is_dir():
            with undoing(None, of=out):
                shutil.rmtree(part)
            tell_left(part)
        yield


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a folder to write into that becomes `out` when the block ends well, synced; otherwise it is removed.

    The caller is `making` it.
    """
    part = out.with_name(out.name + PART)
    with undoing(part, of=out):
        part.mkdir()
        yield part
        for root, _, names in os.walk(part):
            for name in names:
                sync(Path(root, name))
            sync(Path(root))
        part.rename(out)
        sync(out.parent)
