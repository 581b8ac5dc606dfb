import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

from framebank.store import DataError, FeatureStore, ShardWriter
from framebank.store.ledger import Failure, Ledger
from framebank.tests.places import TESTS
from framebank.tests.worlds.store import DIM, SPEC, edited, embeddings, make_store

ROWS = {"a": 3, "b/c": 1, "é": 5, "d": 2, "e": 4}


@pytest.fixture
def folder(tmp_path):
    return make_store(tmp_path / "store", ROWS)


def test_round_trip(folder):
    store = FeatureStore(str(folder))
    assert store.ids == tuple(ROWS)
    assert len(store) == 5
    assert store.num_rows == 15
    assert store.spec == SPEC
    assert store.streams == ("frame",)
    assert store.failures == []
    assert [v.video_id for v in store.manifest.videos] == list(ROWS)
    for seed, (video_id, count) in enumerate(ROWS.items()):
        expected, found = embeddings(count, seed=seed), store[video_id]
        assert found.data.dtype == np.float16
        np.testing.assert_array_equal(found.data, expected.data)
        np.testing.assert_array_equal(found.timestamps, expected.timestamps)
        np.testing.assert_array_equal(found.indices, expected.indices)
        assert store.decoders[video_id] == f"d{seed}"
    assert "z" not in store
    with pytest.raises(KeyError):
        store["z"]
    assert repr(store).endswith("5 videos, 15 rows of 8)")


@pytest.mark.parametrize("max_videos", [1, 2, 3, 100])
def test_read_packed_is_every_video_in_order(tmp_path, max_videos):
    store = FeatureStore(make_store(tmp_path / "s", ROWS, max_videos=max_videos))
    data, indices, ends = store.read_packed()
    assert ends.tolist() == [3, 4, 9, 11, 15]
    np.testing.assert_array_equal(data, np.concatenate([store[v].data for v in store.ids]))
    np.testing.assert_array_equal(indices, np.concatenate([store[v].indices for v in store.ids]))


def test_many_shards_need_few_files(tmp_path, monkeypatch):
    monkeypatch.setattr("framebank.store.features.MAX_OPEN_FILES", 4)
    rows = {f"v{i}": 1 for i in range(40)}
    store = FeatureStore(make_store(tmp_path / "s", rows, max_videos=1))
    store.read_packed()
    for seed, video_id in enumerate(rows):
        np.testing.assert_array_equal(store[video_id].data, embeddings(1, seed=seed).data)
        assert len(store._readers) <= 4


def test_failures(folder):
    Ledger(folder / "failed.csv").add(Failure("x", "p", "why"))
    assert FeatureStore(folder).failures == [Failure("x", "p", "why")]


def test_read_in_a_fresh_process(folder, tmp_path):
    store = FeatureStore(folder)
    expected = store["a"].data  # the file is open when the store is pickled
    (tmp_path / "store.pickle").write_bytes(pickle.dumps(store))
    code = (
        "import sys, pickle, pathlib; sys.path.insert(0, sys.argv[1]); import conftest;"
        "store = pickle.loads(pathlib.Path(sys.argv[2]).read_bytes());"
        "print(store['a'].data.tolist(), len(store))"
    )
    command = [sys.executable, "-c", code, str(TESTS), str(tmp_path / "store.pickle")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert printed.strip() == f"{expected.tolist()} 5"


def test_fork_opens_its_own_files(folder):
    store = FeatureStore(folder)
    expected = store["a"].data
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(store["a"].data, expected) and store._process == os.getpid() else 1)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(store["a"].data, expected)


def test_pickle(folder):
    store = FeatureStore(folder)
    expected = store["d"].data
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(store))["d"].data, expected)


def test_no_store(tmp_path):
    with pytest.raises(DataError, match="no such store; expected a folder made by `framebank extract`"):
        FeatureStore(tmp_path / "none")
    with pytest.raises(DataError, match="holds no shard"):
        FeatureStore(tmp_path)


def test_mixed_shards(folder, tmp_path):
    other = make_store(tmp_path / "other", {"z": 1}, spec=replace(SPEC, sampling="segments:8"))
    shutil.copy(other / "shard-00000.h5", folder / "shard-00009.h5")
    with pytest.raises(DataError) as error:
        FeatureStore(folder)
    assert "shard-00000.h5 was made with sampling 'segments:4'" in str(error.value)
    assert "shard-00009.h5 with sampling 'segments:8'" in str(error.value)


def test_an_id_in_two_shards(folder):
    shutil.copy(folder / "shard-00000.h5", folder / "shard-00009.h5")
    with pytest.raises(DataError, match=r"shard-00009\.h5: holds 'a', which another shard"):
        FeatureStore(folder)


@pytest.mark.parametrize("keep", [0, 10, 500, 0.5, 0.99])
def test_truncated_shard(folder, keep):
    shard = folder / "shard-00001.h5"
    content = shard.read_bytes()
    shard.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(DataError, match=r"shard-00001\.h5"):
        FeatureStore(folder)


def test_a_damaged_shard_opens_or_says_so(tmp_path):
    folder = make_store(tmp_path / "s", {"a": 2})
    shard = folder / "shard-00000.h5"
    content = shard.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        start = int(generator.integers(len(content)))
        damaged[start : start + 8] = generator.bytes(len(damaged[start : start + 8]))
        shard.write_bytes(damaged)
        try:
            FeatureStore(folder)
        except DataError as error:
            assert str(shard) in str(error)
            refused += 1
    assert refused > 5


@pytest.mark.parametrize("name", ["end", "video_id", "streams/frame", "timestamp"])
def test_a_shard_without_or_with_odd_rows(folder, name):
    with edited(folder / "shard-00000.h5") as file:
        values, attributes = file[name][:-1], dict(file[name].attrs)
        del file[name]
        file[name] = values
        file[name].attrs.update(attributes)
    with pytest.raises(DataError, match=r"shard-00000\.h5: is damaged"):
        FeatureStore(folder)
    with edited(folder / "shard-00000.h5") as file:
        del file[name]
    with pytest.raises(DataError, match=r"shard-00000\.h5: (is damaged|has the streams)"):
        FeatureStore(folder)


def test_a_file_of_something_else(folder):
    with h5py.File(folder / "shard-00000.h5", "w") as file:
        file["x"] = np.zeros(DIM)
    with pytest.raises(DataError, match="this is not a framebank file"):
        FeatureStore(folder)


def test_a_video_with_every_stream(tmp_path):
    spec = replace(SPEC, streams="frame,regions:3,patch_mean")
    generator = np.random.default_rng(0)
    written = {
        name: replace(
            embeddings(rows, seed=rows),
            streams={"regions": generator.normal(size=(rows, 3, DIM)).astype(np.float16)},
            patch_mean=generator.normal(size=(1, 2, 4)).astype(np.float16),
        )
        for name, rows in ROWS.items()
    }
    with ShardWriter(tmp_path, spec, max_videos=3) as writer:
        for name, one in written.items():
            writer.add(name, one)
    store = FeatureStore(tmp_path)
    for name, one in written.items():
        found = store.read_video(name)
        np.testing.assert_array_equal(found.data, one.data)
        np.testing.assert_array_equal(found.streams["regions"], one.streams["regions"])
        np.testing.assert_array_equal(found.patch_mean, one.patch_mean)
        np.testing.assert_array_equal(store.read_stream(name, "regions"), one.streams["regions"])
        np.testing.assert_array_equal(store.read_stream(name, "patch_mean"), one.patch_mean)


def test_what_is_read_is_the_readers_own(folder):
    store = FeatureStore(folder)
    before = (folder / "shard-00000.h5").read_bytes()
    store["a"].data[:] = 0
    np.testing.assert_array_equal(store["a"].data, embeddings(3, seed=0).data)
    assert (folder / "shard-00000.h5").read_bytes() == before


def test_chunked_and_compressed_datasets_read_alike(folder):
    with edited(folder / "shard-00000.h5") as file:
        values = file["streams/frame"][:]
        del file["streams/frame"], file["view"]
        file.create_dataset("streams/frame", data=values, chunks=(1, DIM), compression="gzip")
    store = FeatureStore(folder)
    np.testing.assert_array_equal(store["a"].data, embeddings(3, seed=0).data)
    assert store["a"].views.tolist() == [0, 0, 0]  # a shard without views has one
    np.testing.assert_array_equal(store.read_packed()[0], np.concatenate([store[v].data for v in store.ids]))


def test_another_link_to_a_shard_behind_an_open_store_changes_nothing(folder, tmp_path):
    store = FeatureStore(folder)
    os.link(folder / "shard-00000.h5", tmp_path / "backup.h5")
    (folder / "shard-00001.h5").chmod(0o600)
    assert [len(store[video_id].data) for video_id in store] == list(ROWS.values())


def test_a_shard_rewritten_behind_an_open_store_is_said(folder, tmp_path):
    store = FeatureStore(folder)
    other = make_store(tmp_path / "other", {"x": 4, "a": 3})
    (other / "shard-00000.h5").replace(folder / "shard-00000.h5")
    with pytest.raises(DataError, match=r"shard-00000\.h5: has been rewritten since this store was opened"):
        store["a"]
    np.testing.assert_array_equal(store["é"].data, embeddings(5, seed=2).data)
