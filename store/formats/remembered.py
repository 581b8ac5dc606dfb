"""What this user's processes remember of good HDF5 files; best effort, and never in a store itself.

A file is known again by its path, size, times and inode. Each has a small file of its own in
$XDG_CACHE_HOME/framebank/hdf5, else in ~/.cache. Where that cannot be written, files are examined each time.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from framebank.store.formats.description import Description

FORM = 1  # of what is remembered
SWEEP_SECONDS = 86_400.0  # seconds between two removals of entries of files that are gone
MOST = 20_000  # entries; of more, the oldest go
LARGEST = 1 << 22  # an entry of more bytes is not kept
LARGE = 1 << 20  # bytes of a dataset from which it is remembered that it has its checksum; others are checked each time

MOVED = "was rewritten while it was being opened; open it again"

Stamp = tuple[int, int, int, int]  # size in bytes, times of the content and of the inode in nanoseconds, inode


@dataclass(frozen=True)
class Known:
    """A good file: `sound` are the datasets whose values were compared with their checksums.

    The large ones of these are remembered.
    """

    stamp: Stamp
    description: Description
    sound: set[str]


def stamp_of(place: int | Path) -> Stamp:
    """Return what tells the file of a path or descriptor from another one, or from itself before it was written to."""
    stat = os.fstat(place) if isinstance(place, int) else place.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def is_same(one: Stamp, other: Stamp) -> bool:
    """Whether stamps are of one file with one content, as a process that has read it may believe."""
    return one[:2] == other[:2] and one[3] == other[3]


def remember(path: Path, description: Description, *, sound: Iterable[str], size: int) -> None:
    """Keep what a file of `size` bytes that was just written holds."""
    with contextlib.suppress(OSError):
        stamp = stamp_of(path)
        if stamp[0] == size:
            keep(path, Known(stamp, description, set(sound)))


def keep(path: Path, known: Known) -> None:
    """Keep what is known of a file."""
    folder = _folder()
    if folder is None:
        return
    place = os.path.realpath(path)
    forms = known.description.forms
    sound = sorted(name for name in known.sound if name in forms and forms[name].num_bytes >= LARGE)
    found = {"form": FORM, "path": place, "stamp": known.stamp, "sound": sound}
    content = f"{json.dumps(found)}\n{known.description.to_json()}".encode()
    if len(content) > LARGEST:
        return
    with contextlib.suppress(OSError):
        if not folder.parents[2].is_dir():  # a missing home is not made
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        entry = folder / _name(place)
        part = entry.with_name(f"{entry.name}.{os.getpid()}.part")
        part.write_bytes(content)
        part.replace(entry)
        _sweep(folder)


def recall(path: Path, stamp: Stamp) -> Known | None:
    """Return what is known of a file; None if it was never found good, or has been written to since."""
    folder = _folder()
    if folder is None:
        return None
    place = os.path.realpath(path)
    try:
        first, second = (folder / _name(place)).read_bytes().split(b"\n", 1)
        about = json.loads(first)
        if (about["form"], about["path"], tuple(about["stamp"])) != (FORM, place, stamp):
            return None
        return Known(stamp, Description.from_json(second), set(map(str, about["sound"])))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):  # not there, or cut by a kill
        return None


def cache_folder(name: str) -> Path | None:
    """Return this user's folder for what is remembered of one kind, which may not exist yet; None without a home."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    try:
        place = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # there is no home
        return None
    return place / "framebank" / name


def _folder() -> Path | None:
    return cache_folder("hdf5")


def _name(place: str) -> str:
    return hashlib.blake2b(os.fsencode(place), digest_size=16).hexdigest()


def _sweep(folder: Path) -> None:
    """Remove the entries of files that are gone or were written to, and the oldest of too many, once a day."""
    sign, now = folder / "swept", time.time()
    if sign.exists() and now - sign.stat().st_mtime < SWEEP_SECONDS:
        return
    sign.touch()
    entries = [(entry.stat().st_mtime, entry) for entry in folder.iterdir() if entry != sign]
    for number, (_, entry) in enumerate(sorted(entries, reverse=True)):
        if number >= MOST or not _is_current(entry, now):
            entry.unlink(missing_ok=True)


def _is_current(entry: Path, now: float) -> bool:
    if entry.suffix == ".part":
        return now - entry.stat().st_mtime < SWEEP_SECONDS
    try:
        with entry.open("rb") as file:
            about = json.loads(file.readline())
        return stamp_of(Path(about["path"])) == tuple(about["stamp"])
    except (OSError, ValueError, TypeError, KeyError):
        return False
