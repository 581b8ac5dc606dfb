"""Archive: what the members of a zip claim to be, held against the bytes of the file before any is read."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from framebank.store.errors import DataError, parsing

MAX_RATIO = 100  # of what a zip unpacks to; features do not pack as well
SMALL = 256 << 20  # bytes; a zip that unpacks to less is read whatever its ratio


@contextmanager
def opened_zip(path: Path, *, what: str) -> Iterator[zipfile.ZipFile]:
    """Yield a zip whose members are no more than a file of its size can hold; DataError where it cannot be read."""
    with parsing(path, what=what), zipfile.ZipFile(path) as archive:
        size = path.stat().st_size
        members = archive.infolist()
        packed, whole = (sum(sizes) for sizes in ([m.compress_size for m in members], [m.file_size for m in members]))
        if packed > size or (whole > SMALL and whole > MAX_RATIO * size):
            raise DataError(f"{path}: claims to hold {whole} bytes in a file of {size}; it is damaged, or made to harm")
        names = [member.filename for member in members]
        if len(set(names)) < len(names):
            raise DataError(f"{path}: holds two members of one name; expected one of each")
        yield archive
