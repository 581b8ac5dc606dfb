"""Archive: compare the claims of the members of a zip with the bytes of the file before reading any."""

import os
import zipfile
from pathlib import Path

from framebank.store.errors import DataError, parsing
from framebank.store.formats.text import require_regular

MAX_RATIO = 100  # of what a zip unpacks to; features do not pack as well
SMALL = 256 << 20  # bytes; a zip that unpacks to less is read whatever its ratio


def open_zip(path: Path, *, what: str) -> zipfile.ZipFile:
    """Return a zip whose members claim no more than a file of its size can hold; DataError if it cannot be read."""
    require_regular(path)
    with parsing(path, what=what):
        archive = zipfile.ZipFile(path)
        size = path.stat().st_size if archive.fp is None else os.fstat(archive.fp.fileno()).st_size
    members = archive.infolist()
    packed, whole = sum(member.compress_size for member in members), sum(member.file_size for member in members)
    if packed > size or (whole > SMALL and whole > MAX_RATIO * size):
        raise DataError(f"{path}: claims to hold {whole} bytes in a file of {size}; it is damaged or malicious")
    if len({member.filename for member in members}) < len(members):
        raise DataError(f"{path}: holds two members with one name; expected each name once")
    return archive


def require_sums(archive: zipfile.ZipFile, *, where: Path, what: str) -> None:
    """Refuse a zip with a member that has lost its checksum, where it has one: DataError."""
    for member in archive.infolist():
        if member.CRC:  # torch can be told to write none
            with parsing(where, what=what), archive.open(member) as file:
                while file.read(1 << 20):
                    pass
