"""The commands for a store, on made-up rows: what they print and how they exit."""

import json

import pytest

from framebank.tests.store_world import make_store

ROWS = {"a": 3, "b": 1, "c": 5, "d": 2, "e": 4}


@pytest.fixture
def folder(tmp_path):
    """Three shards: a and b, c and d, e."""
    return make_store(tmp_path / "store", ROWS)


def test_verify_and_repair(framebank, folder):
    assert framebank("store", "verify", folder).stdout == "3 shards, 5 videos, 0 failed, 0 to extract, 0 faults\n"
    (folder / "shard-00001.h5").write_text("no")
    told = framebank("store", "verify", folder, exit_code=1).stdout.splitlines()
    assert told[0] == "3 shards, 3 videos, 0 failed, 2 to extract, 1 faults"
    assert told[1].startswith(f"fault: {folder}/shard-00001.h5: is not a readable HDF5 file")
    report = json.loads(framebank("store", "verify", folder, "--json", exit_code=1).stdout)
    assert report["to_extract"] == ["c", "d"]
    assert report["faults"][0]["file"] == f"{folder}/shard-00001.h5"
    assert framebank("store", "repair", folder).stdout.splitlines() == [
        "1 shards moved, 0 videos dropped, 2 to extract",
        f"moved to {folder}/broken: shard-00001.h5",
        "to extract: c",
        "to extract: d",
    ]
    assert json.loads(framebank("store", "verify", folder, "--json").stdout)["faults"] == []
    (folder / "manifest.csv").unlink()
    assert json.loads(framebank("store", "repair", folder, "--json", exit_code=1).stdout)["left"]
