"""Numpy's files, whose claims are held against their bytes."""

import io
import zipfile

import numpy as np
import pytest

from framebank.store import DataError
from framebank.store.formats.npy import Npz, parse_npy, read_npy

ARRAYS = {
    "plain": np.arange(12, dtype=np.float32).reshape(3, 4),
    "turned": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "words": np.array(["run", "é"]),
    "single": np.array(5),
    "empty": np.zeros((0, 8), dtype=np.float16),
    "big-endian": np.arange(3, dtype=">i4"),
}


def header(text, *, content=b"", version=b"\x01\x00"):
    """An npy whose header says `text`."""
    padded = text.encode() + b"\n"
    return (
        b"\x93NUMPY" + version + len(padded).to_bytes(2 if version == b"\x01\x00" else 4, "little") + padded + content
    )


def claiming(shape, descr="'<f4'", *, order="False", content=bytes(100)):
    return header(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}", content=content)


def test_arrays_come_back(tmp_path):
    np.savez(tmp_path / "a.npz", **ARRAYS)
    np.savez_compressed(tmp_path / "b.npz", **ARRAYS)
    for name in ("a.npz", "b.npz"):
        found = Npz(tmp_path / name)
        assert set(found) == set(ARRAYS)
        for key, array in ARRAYS.items():
            np.testing.assert_array_equal(found[key], array)
            assert found.form(key) == (array.shape, array.dtype)
            assert found[key].flags.writeable
    for key, array in ARRAYS.items():
        np.save(tmp_path / f"{key}.npy", array)
        np.testing.assert_array_equal(read_npy(tmp_path / f"{key}.npy"), array)
        np.testing.assert_array_equal(parse_npy((tmp_path / f"{key}.npy").read_bytes(), where="a"), array)


WRONG = {
    "a size of terabytes": (claiming("(1000000000000,)"), "claims an array of .*, and 100 follow; it is cut short"),
    "many sizes": (claiming("(100000, 100000, 100000)"), "claims an array of "),
    "values of no bytes": (claiming("(1000000000000,)", "'<U0'"), "claims an array of "),
    "a long string": (claiming("()", "'<U100000000'"), "claims an array of "),
    "an array in each value": (claiming("(2,)", "('<f4', (1000000,))"), "claims an array of "),
    "a negative size": (claiming("(-5,)"), "claims the shape|cannot be read as"),
    "a size that is no number": (claiming("(2.5,)"), "cannot be read as|claims the shape"),
    "objects": (claiming("(2,)", "'|O'"), "holds Python objects|cannot be read as"),
    "an unknown type": (claiming("(2,)", "'<q9'"), "cannot be read as arrays of numpy"),
    "brackets": (header("[" * 5000), "cannot be read as arrays of numpy"),
    "another version": (header("{}", version=b"\x09\x00"), "version 9.0; expected|cannot be read as"),
    "no header": (b"\x93NUMPY\x01\x00\xff\xff", "cannot be read as arrays of numpy"),
    "nothing": (b"", "cannot be read as arrays of numpy"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_claim_that_the_bytes_do_not_hold_is_refused(tmp_path, name):
    content, problem = WRONG[name]
    (tmp_path / "a.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(DataError, match=rf"a\.npy: .*({problem})"):
        read_npy(tmp_path / "a.npy")
    with pytest.raises(DataError, match=f"^here: .*({problem})"):
        parse_npy(content, where="here")
    for read in (Npz(tmp_path / "a.npz").form, Npz(tmp_path / "a.npz").__getitem__):
        with pytest.raises(DataError, match=rf"a\.npz: its array 'x': .*({problem})"):
            read("x")


def test_a_zip_that_unpacks_to_far_more_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    with pytest.raises(DataError, match=r"a\.npz: claims to hold 314572800 bytes in a file of "):
        Npz(tmp_path / "a.npz")


def test_members_that_lie_in_one_another_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones(1000))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    place = content.index(b"PK\x01\x02") + 20  # the packed size in the list of members
    content[place : place + 4] = (1_000_000).to_bytes(4, "little")
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="it is damaged or malicious"):
        Npz(tmp_path / "a.npz")


def test_two_members_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("x.npy", b"1")
        archive.writestr("x.npy", b"2")
    with pytest.raises(DataError, match="two members with one name"):
        Npz(tmp_path / "a.npz")


def test_a_flipped_bit_is_refused_by_the_sum_of_the_zip(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones(1000))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[4000] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"its array 'a': cannot be read as arrays of numpy \(Bad CRC-32"):
        _ = Npz(tmp_path / "a.npz")["a"]


def test_what_is_no_zip_is_refused(tmp_path):
    for content in (b"", b"no", io.BytesIO(b"PK\x03\x04" * 20).getvalue()):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.npz: cannot be read as arrays of numpy"):
            Npz(tmp_path / "a.npz")
