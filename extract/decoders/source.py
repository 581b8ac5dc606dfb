"""Sources: the file on disk from which a decoder reads a video, also where the video is a member of a tar file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.files.scratch import scratch_folder
from framebank.store.videos.tars import find_member, tar_and_member

CHUNK_BYTES = 1 << 20


@contextmanager
def local_file(path: Path) -> Iterator[Path]:
    """Give the file that holds `path`: itself, or for `shard.tar/key.mp4` a copy of that member, removed behind it.

    A DataError from within that speaks of the copy comes out speaking of `path`. DataError if `shard.tar` is no
    uncompressed tar file, lacks the member, or is cut short within it.
    """
    tar, member = (path, "") if path.exists() else tar_and_member(path)
    if not member:
        yield path
        return
    start, size = find_member(tar, member)
    with scratch_folder() as scratch:
        copy = scratch / f"member{path.suffix}"
        _copy(path, tar=tar, start=start, size=size, copy=copy)
        try:
            yield copy
        except DataError as error:
            raise DataError(str(error).replace(str(copy), str(path))) from error


def _copy(path: Path, *, tar: Path, start: int, size: int, copy: Path) -> None:
    with tar.open("rb") as source, copy.open("wb") as target:
        source.seek(start)
        left = size
        while left and (part := source.read(min(left, CHUNK_BYTES))):
            target.write(part)
            left -= len(part)
    if left:
        raise DataError(f"{path}: {tar.name} is cut short: {size - left} of {size} bytes of this file are there")
