"""Flat files are those of faiss: it reads them, and writes the same bytes."""

from pathlib import Path

import faiss
import numpy as np
import pytest

from framebank.store import DataError
from framebank.store.indexes.flat import HALF, map_flat, write_flat
from framebank.store.vectors import unit

VECTORS = unit(np.random.default_rng(0).normal(size=(7, 24)))


def test_float16_vectors_are_a_scalar_quantizer_of_faiss(tmp_path: Path) -> None:
    half = VECTORS.astype(np.float16)
    write_flat(tmp_path / "ours", half)
    read = faiss.read_index(str(tmp_path / "ours"))
    assert isinstance(read, faiss.IndexScalarQuantizer) and read.sq.qtype == faiss.ScalarQuantizer.QT_fp16
    np.testing.assert_array_equal(read.reconstruct_n(0, 7), half.astype(np.float32))
    faiss.write_index(read, str(tmp_path / "theirs"))
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    mapped = map_flat(tmp_path / "theirs")
    assert mapped.dtype == np.float16
    np.testing.assert_array_equal(mapped, half)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_no_vectors(dtype: type, tmp_path: Path) -> None:
    write_flat(tmp_path / "none", np.zeros((0, 24), dtype=dtype))
    assert map_flat(tmp_path / "none").shape == (0, 24)
    assert map_flat(tmp_path / "none").dtype == dtype


def test_a_float16_file_that_claims_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "odd"
    write_flat(path, VECTORS.astype(np.float16))
    good = path.read_bytes()
    fields = list(HALF.unpack(good[: HALF.size]))
    for place, value in ((1, 12), (2, 8), (2, -7), (7, 0), (10, 12), (12, 3), (13, 10)):
        odd = [*fields[:place], value, *fields[place + 1 :]]
        path.write_bytes(HALF.pack(*odd) + good[HALF.size :])
        with pytest.raises(DataError, match="it is damaged, or no index of framebank"):
            map_flat(path)
    for part in (good[:50], good[:-2], good + b"\0\0"):
        path.write_bytes(part)
        with pytest.raises(DataError):
            map_flat(path)
