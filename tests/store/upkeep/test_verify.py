import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from framebank.store import DataError, Manifest, ShardWriter
from framebank.store.formats.description import DIGEST
from framebank.store.ledger import Failure, Ledger
from framebank.store.upkeep.verify import verify_store
from framebank.tests.worlds.store import SPEC, edited, embeddings, make_earlier, make_store, videos

ROWS = {"a": 3, "b": 1, "c": 5, "d": 2, "e": 4}


@pytest.fixture
def folder(tmp_path):
    """Three shards: a and b, c and d, e."""
    return make_store(tmp_path / "store", ROWS)


def change(path, name, position, value):
    """Put a value into a dataset, with the checksum that goes with it."""
    with edited(path) as file:
        file[name][position] = value


def problems(folder):
    return [fault.problem.removeprefix(f"{folder}/") for fault in verify_store(folder).faults]


def test_a_whole_store(folder):
    verdict = verify_store(folder)
    assert (verdict.num_shards, verdict.num_videos, verdict.num_failed) == (3, 5, 0)
    assert verdict.faults == verdict.unchecked == verdict.to_extract == ()


def test_what_is_to_extract(folder):
    Manifest(videos("a", "b", "c", "d", "e", "f", "g")).write(folder / "manifest.csv")
    Ledger(folder / "failed.csv").add(Failure("g", "/g.mp4", "why"))
    verdict = verify_store(folder)
    assert (verdict.to_extract, verdict.num_failed, verdict.faults) == (("f",), 1, ())


def test_a_flipped_bit_in_any_dataset(folder):
    shard = folder / "shard-00001.h5"
    with h5py.File(shard) as file:
        offsets = {name: file[name].id.get_offset() for name in ("streams/frame", "timestamp", "frame_index", "view")}
    whole = shard.read_bytes()
    for name, offset in offsets.items():
        damaged = bytearray(whole)
        damaged[offset + 1] ^= 1
        shard.write_bytes(damaged)
        assert problems(folder) == [f"shard-00001.h5: {name} does not have its checksum; it is damaged"]
    with h5py.File(shard, "a") as file:
        file["decoder"][0] = ord("D")
    assert "shard-00001.h5: decoder does not have its checksum; it is damaged" in problems(folder)


def test_a_dataset_without_checksum_is_said_and_no_fault(folder):
    with edited(folder / "shard-00001.h5") as file:
        del file["streams/frame"].attrs[DIGEST]
    make_earlier(folder / "shard-00000.h5")
    with h5py.File(folder / "shard-00000.h5", "a") as file:
        del file["timestamp"].attrs[DIGEST]
    verdict = verify_store(folder)
    assert verdict.unchecked == (
        "shard-00000.h5 its attributes",
        "shard-00000.h5 timestamp",
        "shard-00001.h5 streams/frame",
    )
    assert verdict.faults == ()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(folder, value):
    change(folder / "shard-00001.h5", "streams/frame", (5, 2), value)  # the first row of d
    change(folder / "shard-00000.h5", "timestamp", 2, value)  # the last of a
    verdict = verify_store(folder)
    assert [(fault.hurts, fault.video_ids) for fault in verdict.faults] == [("videos", ("a",)), ("videos", ("d",))]
    assert verdict.faults[1].problem.endswith("streams/frame of 'd' holds values that are not finite")


def test_ids_that_are_double(folder):
    shutil.copy(folder / "shard-00001.h5", folder / "shard-00007.h5")
    assert problems(folder) == [f"shard-00007.h5: holds {name!r}, which shard-00001.h5 holds too" for name in "cd"]
    change(folder / "shard-00000.h5", "video_id", 2, ord("a"))
    assert "shard-00000.h5: holds 'a' twice" in problems(folder)


def test_shards_of_another_spec_or_none(folder, tmp_path):
    other = make_store(tmp_path / "other", {"z": 1}, spec=replace(SPEC, sampling="segments:8"))
    shutil.copy(other / "shard-00000.h5", folder / "shard-00008.h5")
    (folder / "shard-00009.h5").write_bytes(b"no")
    found = problems(folder)
    assert any("they cannot be mixed" in problem for problem in found)
    assert any(problem.startswith("shard-00009.h5: is not a readable HDF5 file") for problem in found)
    assert any("'z', which manifest.csv does not list" in problem for problem in found)


def test_streams_that_are_not_the_specs(tmp_path):
    spec = replace(SPEC, streams="frame,patch_mean")
    with ShardWriter(tmp_path, spec) as writer:
        writer.add("a", replace(embeddings(), patch_mean=np.zeros((1, 2, 4))))
    Manifest(videos("a")).write(tmp_path / "manifest.csv")
    assert problems(tmp_path) == []
    change(tmp_path / "shard-00000.h5", "video_streams/patch_mean", (0, 0, 1, 1), np.nan)
    assert problems(tmp_path) == ["shard-00000.h5: video_streams/patch_mean of 'a' holds values that are not finite"]
    with edited(tmp_path / "shard-00000.h5") as file:
        del file["video_streams"]
    assert problems(tmp_path) == ["shard-00000.h5: has the streams frame, its spec says frame, patch_mean"]


def test_lists_that_cannot_be_read(folder):
    (folder / "manifest.csv").write_text("a,b\n1,2\n")
    (folder / "failed.csv").write_bytes(b"\xff\xfe\n")
    found = problems(folder)
    assert len(found) == 2
    assert "no column 'video_id'" in found[0]
    assert found[1].startswith("failed.csv: cannot be read as a list of failures")


def test_no_store(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match="no such store"):
            verify_store(path)


def test_a_broken_shard_among_the_parts_of_a_run_is_a_fault(tmp_path):
    make_store(tmp_path / "store", ROWS)
    part = tmp_path / "store" / "parts" / "slice-x-00000-1"
    part.mkdir(parents=True)
    (part / "shard-00000.h5").write_bytes(b"junk")
    assert [fault.path for fault in verify_store(tmp_path / "store").faults] == [part / "shard-00000.h5"]
