"""What a .pt holds, loaded without running its code."""

import warnings
import zipfile

import pytest
import torch

from framebank.store import DataError
from framebank.store.exchange.arrays import Arrays
from framebank.store.formats.torch_file import read_torch, tensors_in

WHAT = "a file of tensors"


def test_tensors_by_the_names_on_the_way(tmp_path):
    torch.save({"a": torch.ones(2), "b": {"c": [torch.zeros(3), 5]}, 1: torch.ones(1)}, tmp_path / "a.pt")
    found = dict(tensors_in(read_torch(tmp_path / "a.pt", what=WHAT)))
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == {"a": (2,), "b/c/0": (3,), "1": (1,)}


def test_a_tensor_of_more_values_than_its_bytes_is_refused(tmp_path):
    torch.save({"features": torch.ones(1).expand(1_000_000_000, 512)}, tmp_path / "a.pt")
    for read in (lambda path: read_torch(path, what=WHAT), Arrays):
        with pytest.raises(DataError, match=r"a\.pt: its tensor 'features' claims the shape .*, and the file holds 4$"):
            read(tmp_path / "a.pt")


def test_a_zip_that_unpacks_to_far_more_is_refused(tmp_path):
    torch.save(torch.zeros(80 << 20, dtype=torch.float32), tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "a.pt", "w", 8) as packed:
        for member in whole.infolist():
            packed.writestr(member.filename, whole.read(member))
    with pytest.raises(DataError, match=r"a\.pt: claims to hold \d+ bytes in a file of \d+"):
        read_torch(tmp_path / "a.pt", what=WHAT)


def test_a_flipped_bit_in_a_value_is_refused(tmp_path):
    torch.save(torch.full((1000,), 0.125), tmp_path / "a.pt")
    content = bytearray((tmp_path / "a.pt").read_bytes())
    content[content.index(b"\x00\x00\x00\x3e" * 100) + 9] ^= 1
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.pt: cannot be read as a file of tensors \(Bad CRC-32"):
        read_torch(tmp_path / "a.pt", what=WHAT)


def test_tensors_that_nest_too_deep_are_refused(tmp_path):
    found = torch.ones(1)
    for _ in range(40):
        found = {"a": found}
    torch.save(found, tmp_path / "a.pt")
    with pytest.raises(DataError, match=r"a\.pt: is not a file of tensors \("):
        read_torch(tmp_path / "a.pt", what=WHAT)


@pytest.mark.parametrize("content", [b"", b"no", b"PK\x03\x04", b"\x80\x02cos\nsystem\n(S'true'\ntR."])
def test_what_is_no_such_file_is_refused(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.pt: is not a file of tensors \("):
        read_torch(tmp_path / "a.pt", what=WHAT)


def test_sparse_tensors_are_refused(tmp_path):
    torch.save(torch.eye(3).to_sparse(), tmp_path / "a.pt")
    with warnings.catch_warnings(), pytest.raises(DataError, match=r"sparse_coo|is not a file of tensors"):
        warnings.simplefilter("ignore")
        read_torch(tmp_path / "a.pt", what=WHAT)
