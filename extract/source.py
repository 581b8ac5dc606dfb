"""Sources: the file on disk from which a decoder reads a video, also where the video is a member of a tar file."""

import functools
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.tars import tar_and_member

CHUNK_BYTES = 1 << 20


@contextmanager
def local_file(path: Path) -> Iterator[Path]:
    """Give the file that holds `path`: itself, or for `shard.tar/key.mp4` a copy of that member, removed behind it.

    A DataError from within that speaks of the copy comes out speaking of `path`. DataError where `shard.tar` is no
    uncompressed tar file, lacks the member, or is cut short within it.
    """
    tar, member = (path, "") if path.exists() else tar_and_member(path)
    if not member:
        yield path
        return
    start, size = _find_member(tar, member)
    with tempfile.TemporaryDirectory(prefix="framebank-") as scratch:
        copy = Path(scratch) / f"member{path.suffix}"
        _copy(path, tar=tar, start=start, size=size, copy=copy)
        try:
            yield copy
        except DataError as error:
            raise DataError(str(error).replace(str(copy), str(path))) from error


def _find_member(tar: Path, member: str) -> tuple[int, int]:
    """Return where in the tar file the bytes of a member start, and how many there are."""
    status = tar.stat()
    members = _index(tar, status.st_size, status.st_mtime_ns)
    if member not in members:
        raise DataError(f"{tar / member}: {tar.name} has no such file among its {len(members)}")
    return members[member]


# A shard holds thousands of videos that are read one after the other: its headers are walked through once.
@functools.lru_cache(maxsize=16)
def _index(tar: Path, size: int, changed_ns: int) -> dict[str, tuple[int, int]]:
    """Return the start and length of each plain file in a tar file, by name; of one name the last, as in unpacking."""
    try:
        with tarfile.open(tar, "r:") as archive:
            plain = (member for member in archive if member.isreg() and not member.issparse())
            return {Path(member.name).as_posix(): (member.offset_data, member.size) for member in plain}
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{tar}: is no whole uncompressed tar file ({error})") from error


def _copy(path: Path, *, tar: Path, start: int, size: int, copy: Path) -> None:
    with tar.open("rb") as source, copy.open("wb") as target:
        source.seek(start)
        left = size
        while left and (part := source.read(min(left, CHUNK_BYTES))):
            target.write(part)
            left -= len(part)
    if left:
        raise DataError(f"{path}: {tar.name} is cut short: {size - left} of {size} bytes of this file are there")
