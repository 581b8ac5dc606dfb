from pathlib import Path

import h5py
import numpy as np
import pytest

from framebank.store import DataError, ShardWriter
from framebank.store.formats.datasets import Datasets
from framebank.store.formats.description import DIGEST
from framebank.store.formats.sealed import write_datasets
from framebank.tests.worlds.store import SPEC, embeddings


def test_datasets_round_trip(tmp_path):
    write_datasets(tmp_path / "a.h5", {"x/y": np.arange(3), "s": ["é", ""]}, {"n": 1, "t": ""})
    with Datasets(tmp_path / "a.h5") as file:
        assert file.whole("x/y").tolist() == [0, 1, 2]
        assert file.strings("s") == ["é", ""]
        assert {name: value for name, value in file.attributes.items() if name != DIGEST} == {"n": 1, "t": ""}


def test_not_hdf5(tmp_path):
    (tmp_path / "a.h5").write_text("no")
    with pytest.raises(DataError, match="is not a readable HDF5 file"):
        Datasets(tmp_path / "a.h5")
    with pytest.raises(DataError, match="no such file"):
        Datasets(tmp_path / "b.h5")


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_texts_that_cannot_be_written(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"a\.h5: s cannot be written"):
        write_datasets(tmp_path / "a.h5", {"s": ["fine", text]}, {})
    with pytest.raises(DataError, match=r"a\.h5: t cannot be written"):
        write_datasets(tmp_path / "a.h5", {}, {"t": text})
    assert not list(tmp_path.iterdir())


def test_an_attribute_that_hdf5_would_put_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t cannot be written: .* 60000 bytes at most"):
        write_datasets(tmp_path / "a.h5", {}, {"t": "x" * 60_001})
    write_datasets(tmp_path / "a.h5", {}, {"t": "x" * 60_000})
    with Datasets(tmp_path / "a.h5") as file:
        assert file.attributes["t"] == "x" * 60_000


def test_nothing_in_a_shard_is_of_variable_length(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, SPEC) as writer:
        writer.add("é" * 300, embeddings(), decoder="d", source="1 2 3")
        for number in range(100):
            writer.add(str(number), embeddings(1))
    path = tmp_path / "shard-00000.h5"
    with h5py.File(path) as file:
        found = [file]
        file.visititems(lambda name, item: found.append(item))
        for item in found:
            assert all(item.attrs.get_id(name).dtype.kind != "O" for name in item.attrs)
            assert not isinstance(item, h5py.Dataset) or (item.dtype.kind != "O" and item.id.get_offset() is not None)
        assert len(file["video_id"]) == 601 + 190 + 100  # a zero byte behind each
    assert b"GCOL" not in path.read_bytes()
    with Datasets(path) as file:
        assert file.strings("video_id") == ["é" * 300, *map(str, range(100))]


def test_a_dataset_without_values(tmp_path: Path) -> None:
    write_datasets(tmp_path / "a.h5", {"s": [], "x": np.zeros((0, 3))}, {})
    with Datasets(tmp_path / "a.h5", anew=True) as file:
        assert file.strings("s") == [] and file.whole("x").shape == (0, 3)
