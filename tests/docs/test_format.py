"""docs/format.md: the programs in it run, and what they write is a store."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import h5py
import pytest

from framebank.store import FeatureStore
from framebank.store.formats.description import DIGEST, dataset_digest
from framebank.store.upkeep.verify import verify_store
from framebank.tests.places import ROOT

PAGE = (ROOT / "docs" / "format.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store that the h5py program of the page writes."""
    folder = tmp_path_factory.mktemp("page")
    before = Path.cwd()
    os.chdir(folder)
    try:
        exec(compile(BLOCKS[0], "format.md", "exec"), {})
    finally:
        os.chdir(before)
    return folder / "bank"


def test_the_page_writes_a_store_with_checksums(bank: Path) -> None:
    store = FeatureStore(bank)
    assert len(store) == 16 and store["run/0"].data.shape == (4, 32)
    assert store["run/0"].timestamps.tolist() == [0, 0.04, 0.08, 0.12]
    assert store.spec.encoder == "my-model/my-weights (my-model-1)"
    assert store.manifest.split_sizes == {"train": 12, "test": 4}
    with h5py.File(bank / "shard-00000.h5") as file:
        for name in ("streams/frame", "frame_index", "timestamp", "end"):
            checksum = file[name].attrs[DIGEST].decode()
            assert checksum == dataset_digest(file[name][:])
            assert checksum == hashlib.blake2b(file[name][:].tobytes(), digest_size=16).hexdigest()
        assert file["video_id"].attrs[DIGEST].decode() == dataset_digest(list(store.ids))
        (way,) = re.findall(r"`(bytes\(file.*)` reads them", PAGE)
        assert eval(way, {"file": file}) == list(store.ids)
    verdict = verify_store(bank)
    assert verdict.faults == verdict.unchecked == ()


def test_a_head_is_trained_on_it(bank: Path, framebank: Any, one_thread: None) -> None:
    run = bank.parent / "run"
    framebank("train", bank, run, "--head", "mean", "--classifier", "linear", "--epochs", 3)
    framebank("evaluate", run)
    framebank("store", "info", bank)


def test_the_loop_of_the_page_loads_it(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bank.parent)
    found: dict[str, Any] = {}
    exec(compile(BLOCKS[1], "format.md", "exec"), found)
    x, target = next(iter(found["loader"]))
    assert x.shape == (8, 4, 32) and set(target.tolist()) <= {0, 1}
