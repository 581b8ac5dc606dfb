"""Flat: index.faiss, the vectors of an index in a format of faiss, mapped into memory without a copy."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framebank.store.errors import DataError, parsing
from framebank.store.files.replacing import current
from framebank.store.formats.description import Description
from framebank.store.formats.remembered import Known, Stamp, keep, recall, stamp_of
from framebank.store.formats.text import require_regular

HEADER = struct.Struct("<4siqqqBiQ")  # of faiss: name, width, vectors, two that mean nothing, trained, metric, values
HALF = struct.Struct("<4siqqqBiiifQQQQ")  # the same, but the values; kind, ranges (2), width, bytes, none, bytes
NAME, HALF_NAME, INNER_PRODUCT, UNUSED, FLOAT16 = b"IxFI", b"IxSQ", 0, 1 << 20, 4
FILES = ("index.faiss", "ids.csv", "spec.json")  # the files that the digests of an index cover
MORE = ("rows.faiss", "rows.npz", "near.faiss", "near.npz")  # and those that only some indexes have


def write_flat(path: Path, vectors: np.ndarray) -> None:
    """Write vectors (V, D) as faiss writes an IndexFlatIP with them, or float16 ones as an IndexScalarQuantizer."""
    count, width = vectors.shape
    with path.open("wb") as file:
        if vectors.dtype == np.float16:
            about = (HALF_NAME, width, count, UNUSED, UNUSED, 1, INNER_PRODUCT)
            file.write(HALF.pack(*about, FLOAT16, 0, 0.0, width, 2 * width, 0, 2 * vectors.size))
            file.write(np.ascontiguousarray(vectors, dtype="<f2").reshape(-1).view(np.uint8).data)
            return
        file.write(HEADER.pack(NAME, width, count, UNUSED, UNUSED, 1, INNER_PRODUCT, vectors.size))
        file.write(np.ascontiguousarray(vectors, dtype="<f4").reshape(-1).view(np.uint8).data)


def map_flat(path: Path) -> np.ndarray:
    """Return the vectors (V, D) of index.faiss, read-only, loaded from the disk as they are needed.

    They are float32, or float16 if they were written so. DataError if it does not hold as many values as it claims.
    """
    require_regular(path)
    with parsing(path, what="an index"):
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(HALF.size)
            name, width, count, *_, claimed = HEADER.unpack(head[: HEADER.size])
            form, dtype = HEADER, "<f4"
            if name == HALF_NAME:
                *_, kind, _, _, own_width, _, trained, num_bytes = HALF.unpack(head)
                is_half = kind == FLOAT16 and own_width == width and not trained
                form, dtype, claimed = HALF, "<f2", num_bytes // 2 if is_half else -1
            values = width * count
            fits = claimed == values and form.size + np.dtype(dtype).itemsize * values == size
            if name in (NAME, HALF_NAME) and fits and min(width, count) >= 0:
                if not values:
                    return np.zeros((count, width), dtype=dtype)
                mapped: np.ndarray = np.memmap(file, dtype, mode="r", offset=form.size, shape=(count, width))
                return mapped.view(np.ndarray)
    raise DataError(
        f"{path}: claims {count} vectors of width {width} in {size} bytes; it is damaged, or no index of framebank"
    )


@dataclass(frozen=True)
class KnownFiles:
    """The present files of an index, to tell whether they were checked against each other before."""

    folder: Path
    stamp: Stamp
    marks: str

    @classmethod
    def of(cls, folder: Path) -> "KnownFiles":
        """Read the sizes and the times of an index's files."""
        more = [path for path in (current(folder, name) for name in MORE) if path.exists()]
        stamps = [stamp_of(path) for path in (*(current(folder, name) for name in FILES), *more)]
        return cls(folder, stamps[0], repr(stamps[1:]))

    def is_known(self, digest: str) -> bool:
        """Return whether the digest of these files was compared with their content before."""
        known = recall(current(self.folder, FILES[0]), self.stamp)
        return known is not None and known.description.attributes == {"digest": digest, "marks": self.marks}

    def keep(self, digest: str) -> None:
        """Remember that the files have this digest."""
        told = Description({"digest": digest, "marks": self.marks}, {})
        keep(current(self.folder, FILES[0]), Known(self.stamp, told, set()))
