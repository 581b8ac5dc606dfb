"""Eight bits: what is kept in half the bytes comes back within its step, and tells its error."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from framebank.store import DataError, Embeddings, FeatureStore, ShardWriter
from framebank.store.formats.eight_bits import TAIL, pack, relative_error, unpack
from framebank.store.memory import MemoryStore
from framebank.store.shard import shard_paths
from framebank.store.upkeep.merge import merge_stores
from framebank.store.upkeep.verify import verify_store
from framebank.tests.worlds.store import DIM, SPEC


def vectors(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape) * 3 + 1


def test_each_value_is_within_half_a_step() -> None:
    values = vectors(5, 4, 32)
    values[0, 0] = 2.5  # no step at all
    packed = pack(values)
    assert (packed.dtype, packed.shape) == (np.uint8, (5, 4, 32 + TAIL))
    step = (values.max(-1) - values.min(-1)) / 255
    assert (np.abs(unpack(packed) - values).max(-1) <= step / 2 + 2e-3).all()
    assert (unpack(packed)[0, 0] == 2.5).all()


def test_the_error_is_that_of_the_values() -> None:
    values = vectors(50, 32)
    wrong = np.sqrt(np.square(unpack(pack(values)).astype(np.float64) - values).mean() / np.square(values).mean())
    assert relative_error([pack(values)]) == pytest.approx(wrong, rel=0.02)
    assert relative_error([pack(np.zeros((2, 8)))]) == 0


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    spec = replace(SPEC, streams="frame,tokens:2:8")
    folder = tmp_path / "bank"
    folder.mkdir()
    with ShardWriter(folder, spec, max_videos=2) as writer:
        for number, name in enumerate("abc"):
            times = np.arange(3)
            tokens = vectors(3, 4, 16, seed=number)
            writer.add(name, Embeddings(vectors(3, DIM), times / 10, times, streams={"tokens": tokens}))
    (folder / "manifest.csv").write_text("video_id,path,label,split\na,a.mp4,x,\nb,b.mp4,x,\nc,c.mp4,y,\n")
    return FeatureStore(folder)


def test_every_reader_gives_sixteen_bits(store: FeatureStore) -> None:
    expected = {name: unpack(pack(vectors(3, 4, 16, seed=number))) for number, name in enumerate("abc")}
    for name in "abc":
        np.testing.assert_array_equal(store.read_stream(name, "tokens"), expected[name])
        np.testing.assert_array_equal(unpack(store.read_video(name).streams["tokens"]), expected[name])
    data, _, _ = store.read_packed("tokens")
    assert data.dtype == np.float16
    np.testing.assert_array_equal(data, np.concatenate(list(expected.values())))
    some, _, _ = store.read_some(("c", "a"), "tokens")
    np.testing.assert_array_equal(some, np.concatenate([expected["c"], expected["a"]]))
    assert 0 < store.rounding_error("tokens") < 0.01
    first = [pack(vectors(3, 4, 16, seed=number)[:2]) for number in range(3)]
    assert store.rounding_error("tokens", rows=2) == pytest.approx(relative_error([np.concatenate(first)]))
    rows = {name: store.read_video(name) for name in "abc"}
    rows["a"] = replace(rows["a"], streams={"tokens": vectors(3, 4, 16)})
    memory = MemoryStore(store.path, store.spec, rows)
    np.testing.assert_array_equal(memory.read_stream("a", "tokens"), expected["a"])  # as it would be on disk


def test_a_copy_loses_nothing_more(store: FeatureStore, tmp_path: Path) -> None:
    merge_stores([store.path], tmp_path / "copy")
    copy = FeatureStore(tmp_path / "copy")
    assert copy.rounding_error("tokens") == store.rounding_error("tokens")
    np.testing.assert_array_equal(copy.read_stream("b", "tokens"), store.read_stream("b", "tokens"))
    assert not verify_store(copy.path).faults


def test_they_take_half_the_bytes(store: FeatureStore) -> None:
    with h5py.File(shard_paths(store.path)[0]) as file:
        assert file["streams/tokens"].dtype == np.uint8
        assert file["streams/tokens"].shape == (6, 4, 16 + TAIL)


def test_a_spec_that_says_so_needs_bytes(store: FeatureStore) -> None:
    path = shard_paths(store.path)[0]
    with h5py.File(path, "r+") as file:
        del file["streams/tokens"]
        file["streams/tokens"] = np.zeros((6, 4, 16), dtype=np.float16)
        _without_checksums(file)
    with pytest.raises(DataError, match="tokens holds <f2, expected whole numbers"):
        FeatureStore(store.path)


@pytest.mark.parametrize("shape", [(), (6,), (6, 4, TAIL)])
def test_bytes_of_another_form_are_damage(store: FeatureStore, shape: tuple[int, ...]) -> None:
    path = shard_paths(store.path)[0]
    with h5py.File(path, "r+") as file:
        del file["streams/tokens"]
        file["streams/tokens"] = np.zeros(shape, dtype=np.uint8)
        _without_checksums(file)
    with pytest.raises(DataError, match=r"tokens holds \|u1 .*, expected bytes"):
        FeatureStore(store.path)


def test_verify_finds_what_is_not_finite(store: FeatureStore) -> None:
    with h5py.File(shard_paths(store.path)[0], "r+") as file:
        codes = file["streams/tokens"][:]
        codes[4, 1, 16:20] = np.frombuffer(np.float32(np.inf).tobytes(), np.uint8)  # the lowest value
        del file["streams/tokens"]
        file["streams/tokens"] = codes
        _without_checksums(file)
    (fault,) = verify_store(store.path).faults
    assert fault.hurts == "videos" and fault.video_ids == ("b",)


def _without_checksums(file: h5py.File) -> None:
    """Leave a shard as earlier versions wrote it, which no checksum guards."""
    del file.attrs["blake2b"]
    for name in ("video_id", "decoder"):
        del file[name]
        file.create_dataset(name, data=[b"a", b"b"])
