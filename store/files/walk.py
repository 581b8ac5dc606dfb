"""Walk: the files below a folder, and the files there that are never data, each with the reason."""

import os
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from framebank.store.errors import DataError

# What file managers, servers and editors leave beside data. Names that begin with a dot are left out too.
LITTER_NAMES = frozenset(
    (
        "@eadir",
        "#recycle",
        "#snapshot",
        "@recycle",
        "@recently-snapshot",
        "@tmp",
        "@sharebin",
        "~snapshot",
        "$recycle.bin",
        "recycler",
        "recycled",
        "config.msi",
        "$winreagent",
        "thevolumesettingsfolder",
        "network trash folder",
        "temporary items",
        "system volume information",
        "lost+found",
        "__macosx",
        "__pycache__",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "icon\r",
    )
)

# Reasons, in the words that a user reads.
HIDDEN = "hidden"
DANGLING = "dangling link"
NO_FILE = "not a regular file"
READ_BEFORE = "link to a folder that is read already"


@dataclass(frozen=True)
class Walk:
    """The regular files below a folder, sorted, and everything else there, by reason."""

    files: tuple[Path, ...]
    not_taken: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or left by a file manager, by its name: ".trash", "._a.mp4", "@eaDir"."""
    low = name.lower()
    return low.startswith((".", "~$")) or low in LITTER_NAMES or bool(re.fullmatch(r"found\.\d{3}", low))


def walk_folder(folder: Path) -> Walk:
    """Return the regular files below a folder, through links too; each real folder is walked once.

    Links to folders come last, so that a file is found under its own path if it has one below `folder`. FIFOs and
    devices are never opened. DataError that names a folder that cannot be read.
    """
    files: list[Path] = []
    left: dict[str, list[Path]] = {}
    seen = {_identity(above) for above in folder.resolve().parents if os.access(above, os.X_OK)}  # links may lead up
    folders, links = deque([folder]), deque[Path]()
    while folders or links:
        here = folders.popleft() if folders else links.popleft()
        identity = _identity(here)
        if identity in seen:
            left.setdefault(READ_BEFORE, []).append(here)
            continue
        seen.add(identity)
        for entry in _entries(here):
            path, kind = here / entry.name, _kind(entry)
            if kind == "file":
                files.append(path)
            elif kind == "folder":
                (links if entry.is_symlink() else folders).append(path)
            elif kind == HIDDEN:
                left.setdefault(HIDDEN, []).extend(_below(path))
            else:
                left.setdefault(kind, []).append(path)
    return Walk(tuple(sorted(files)), {reason: tuple(sorted(paths)) for reason, paths in left.items() if paths})


def _kind(entry: "os.DirEntry[str]") -> str:
    """Whether an entry is a "file" or a "folder", or else the reason why it is neither."""
    if is_litter(entry.name):
        return HIDDEN
    try:
        if entry.is_file():
            return "file"
        if entry.is_dir():
            return "folder"
        entry.stat()
    except OSError:  # a link to nowhere, to itself, or into a forbidden folder
        return DANGLING
    return NO_FILE


def _entries(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(folder, error) from error


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise _unreadable(folder, error) from error
    return status.st_dev, status.st_ino


def _unreadable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"{folder}: this folder cannot be read ({error.strerror or error}); expected folders that you may read"
    )


def _below(path: Path) -> Iterator[Path]:
    """Yield the files of a hidden folder, or the hidden thing itself; what cannot be read there is no error."""
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    if not os.access(path, os.R_OK | os.X_OK):
        yield path
    for root, _, names in os.walk(path):
        yield from (Path(root, name) for name in names)
