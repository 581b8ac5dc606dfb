"""Identity: shows whether the file of a video is still the one that its embeddings come from."""

import hashlib
import io
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from framebank.store.errors import DataError
from framebank.store.formats.text import is_whole
from framebank.store.videos.tars import find_member, tar_and_member
from framebank.store.videos.video import IMAGE_SUFFIXES

WHOLE_BYTES = 1 << 20  # a file up to this size is read whole
BLOCKS = 16  # of a larger file this many blocks are read, the first and the last among them
SAMPLED_FRAMES = 16  # of a folder of frames this many are read, the first and the last among them

RATE_NAME = "fps.txt"  # beside the frames, it changes their times


@dataclass(frozen=True)
class Glance:
    """A glance at a file without reading it: its size, and a stamp that changes whenever it is written.

    `stamp` is the time of a file in nanoseconds; for a member of a tar that of the tar, with its place in it; for a
    folder of frames that of the newest, with a digest of all their names, sizes and times.
    """

    size: int
    stamp: str

    @property
    def changed_ns(self) -> int:
        """When the file was written, in nanoseconds."""
        return int(self.stamp.partition(":")[0])


@dataclass(frozen=True)
class Identity:
    """A glance at a file, and a digest of its size and some of its bytes: the same for a copy of it."""

    size: int
    stamp: str
    digest: str

    def __str__(self) -> str:
        return f"{self.size} {self.stamp} {self.digest}"

    @property
    def glance(self) -> Glance:
        """The part of it that needs no reading."""
        return Glance(self.size, self.stamp)

    @classmethod
    def read(cls, words: str) -> "Identity | None":
        """Return the identity in this text; None if it is empty or comes from another program."""
        parts = words.split(" ")
        if len(parts) != 3 or not is_whole(parts[0]) or not is_whole(parts[1].partition(":")[0]) or not parts[2]:
            return None
        return cls(int(parts[0]), parts[1], parts[2])


def glance_at(path: Path) -> Glance | None:
    """Return a glance at the file, folder of frames or member of a tar at `path`; None if there is none.

    OSError if that cannot be told, as in a folder that may not be read.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return _glance_into_tar(path)
    if stat.S_ISDIR(status.st_mode):
        return _glance_at_frames(path)
    return Glance(status.st_size, str(status.st_mtime_ns))


def identify(path: Path) -> Identity | None:
    """Return the identity of the file at `path`; None if there is none, or if it has no identity, like a pipe.

    Up to 1 MiB of a file is read, of a folder of frames so much of 16 of them. OSError if it cannot be read.
    """
    glance = glance_at(path)
    if glance is None:
        return None
    state = hashlib.blake2b(str(glance.size).encode(), digest_size=16)
    if path.is_dir():
        frames = _frames(path)
        state.update("\0".join(f"{frame.name}\0{frame.stat().st_size}" for frame in frames).encode(errors="replace"))
        for number in _spread(len(frames), SAMPLED_FRAMES):
            _read_into(state, _blocks(Path(frames[number].path), 0, frames[number].stat().st_size))
    elif path.exists():
        if not path.is_file():
            return None
        _read_into(state, _blocks(path, 0, glance.size))
    else:
        tar, member = tar_and_member(path)
        start, size = find_member(tar, member)
        _read_into(state, _blocks(tar, start, size))
    return Identity(glance.size, glance.stamp, state.hexdigest())


def identify_quietly(path: Path) -> Identity | None:
    """Return the identity of the file at `path`, as `identify`; None also if it cannot be read."""
    try:
        return identify(path)
    except (OSError, DataError):
        return None


def digest_of_bytes(content: bytes) -> str:
    """Return the digest that `identify` gives of a file with this content."""
    state = hashlib.blake2b(str(len(content)).encode(), digest_size=16)
    _read_into(state, _sampled(io.BytesIO(content), 0, len(content)))
    return state.hexdigest()


def _glance_at_frames(folder: Path) -> Glance | None:
    frames = [(frame.name, frame.stat()) for frame in _frames(folder)]
    if not frames:
        return None
    words = "\0".join(f"{name}\0{status.st_size}\0{status.st_mtime_ns}" for name, status in frames)
    newest = max(status.st_mtime_ns for _, status in frames)
    seal = hashlib.blake2b(words.encode(errors="replace"), digest_size=8).hexdigest()
    return Glance(sum(status.st_size for _, status in frames), f"{newest}:{seal}")


def _glance_into_tar(path: Path) -> Glance | None:
    tar, member = tar_and_member(path)
    if not member:
        return None
    try:
        start, size = find_member(tar, member)
    except DataError:
        return None
    return Glance(size, f"{tar.stat().st_mtime_ns}:{start}")


def _frames(folder: Path) -> "list[os.DirEntry[str]]":
    with os.scandir(folder) as entries:
        found = [one for one in entries if _is_frame(one.name) and one.is_file()]
    return sorted(found, key=lambda one: one.name)


def _is_frame(name: str) -> bool:
    return name == RATE_NAME or (not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES)


def _spread(count: int, wanted: int) -> Iterable[int]:
    """Return up to `wanted` different numbers below `count`, evenly from the first to the last."""
    if count <= wanted:
        return range(count)
    return sorted({round(place * (count - 1) / (wanted - 1)) for place in range(wanted)})


def _blocks(path: Path, start: int, size: int) -> Iterator[bytes]:
    """Yield the bytes of a file from `start` on, or where they are many some blocks of them."""
    with path.open("rb") as file:
        yield from _sampled(file, start, size)


def _sampled(file: BinaryIO, start: int, size: int) -> Iterator[bytes]:
    length = WHOLE_BYTES // BLOCKS
    if size <= WHOLE_BYTES:
        file.seek(start)
        yield file.read(size)
        return
    for number in range(BLOCKS):
        file.seek(start + number * (size - length) // (BLOCKS - 1))
        yield file.read(length)


def _read_into(state: "hashlib.blake2b", blocks: Iterable[bytes]) -> None:
    for block in blocks:
        state.update(block)
