"""Structure: the walk that fits a video file, which tells by its bytes alone whether all of it is there."""

import functools
import mmap
from collections.abc import Callable
from pathlib import Path

from framebank.extract.containers.asf import walk_asf
from framebank.extract.containers.boxes import FIRST_BOXES, walk_boxes
from framebank.extract.containers.flash import walk_flash
from framebank.extract.containers.gif import walk_gif
from framebank.extract.containers.matroska import walk_matroska
from framebank.extract.containers.mxf import walk_mxf
from framebank.extract.containers.nut import walk_nut
from framebank.extract.containers.ogg import walk_ogg
from framebank.extract.containers.program import walk_program
from framebank.extract.containers.real import walk_real
from framebank.extract.containers.records import walk_ivf, walk_yuv4mpeg
from framebank.extract.containers.riff import walk_riff
from framebank.extract.containers.transport import walk_transport
from framebank.extract.containers.wholeness import Wholeness
from framebank.store.errors import DataError

# What stands at a place near the begin of a file -> the walk along it. Transport streams bear no such name.
WALKS: dict[tuple[int, bytes], Callable[[mmap.mmap], Wholeness]] = {
    (8, b"AVI "): walk_riff,
    (0, b"\x1a\x45\xdf\xa3"): walk_matroska,
    **{(4, name): walk_boxes for name in FIRST_BOXES},
    (0, b"FLV"): walk_flash,
    (0, b"\0\0\1\xba"): walk_program,
    (0, b"OggS"): walk_ogg,
    (0, bytes.fromhex("3026b2758e66cf11")): walk_asf,
    (0, bytes.fromhex("060e2b34")): walk_mxf,
    (0, b"nut/multimedia container\0"): walk_nut,
    (0, b"YUV4MPEG2 "): walk_yuv4mpeg,
    (0, b"DKIF"): walk_ivf,
    (0, b"GIF8"): walk_gif,
    (0, b".RMF"): walk_real,
}


def read_structure(path: Path) -> Wholeness:
    """Walk along the outer structure of the file `path`; nothing is missing in a file of another kind.

    Missing bytes are the one trace that every file cut short keeps: Matroska tells no frame count, others a wrong one.
    DataError if it cannot be opened.
    """
    try:
        found = path.stat()
        return _walk(path, found.st_size, found.st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


@functools.lru_cache(maxsize=1)
def _walk(path: Path, size: int, _changed: int) -> Wholeness:
    """Walk along a file once, though it is opened for its packets and again for its frames."""
    if not size:
        return Wholeness()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for (place, name), walk in WALKS.items():
            if content[place : place + len(name)] == name:
                return walk(content)
        return walk_transport(content)
