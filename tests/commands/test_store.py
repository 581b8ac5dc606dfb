"""The commands for a store, on made-up rows: what they print and how they exit."""

import json
from dataclasses import replace

import numpy as np
import pytest

from framebank.store import FeatureStore, Manifest
from framebank.store.ledger import Failure, Ledger
from framebank.tests.worlds.store import embeddings, make_store, videos

ROWS = {"a": 3, "b": 1, "c": 5, "d": 2, "e": 4}


@pytest.fixture
def folder(tmp_path):
    """Three shards: a and b, c and d, e."""
    return make_store(tmp_path / "store", ROWS)


def test_verify_and_repair(framebank, folder):
    assert framebank("store", "verify", folder).stdout == "3 shards, 5 videos, 0 failed, 0 to extract, 0 faults\n"
    (folder / "shard-00001.h5").write_text("no")
    told = framebank("store", "verify", folder, exit_code=1).stdout.splitlines()
    assert told[0] == "3 shards, 3 videos, 0 failed, 2 to extract, 1 fault"
    assert told[1].startswith(f"fault: {folder}/shard-00001.h5: is not a readable HDF5 file")
    report = json.loads(framebank("store", "verify", folder, "--json", exit_code=1).stdout)
    assert report["to_extract"] == ["c", "d"]
    assert report["faults"][0]["file"] == f"{folder}/shard-00001.h5"
    assert framebank("store", "repair", folder).stdout.splitlines() == [
        "1 shard moved, 0 videos dropped, 2 to extract",
        f"moved to {folder}/broken: shard-00001.h5",
        "to extract: c",
        "to extract: d",
        "next: framebank extract, with the same options as before, embeds them",
    ]
    assert json.loads(framebank("store", "verify", folder, "--json").stdout)["faults"] == []
    (folder / "manifest.csv").unlink()
    assert json.loads(framebank("store", "repair", folder, "--json", exit_code=1).stdout)["left"]


def test_merge(framebank, folder, tmp_path):
    other = make_store(tmp_path / "other", {"z": 1})
    told = framebank("store", "merge", folder, other, tmp_path / "out").stdout
    assert told == f"6 videos copied, 0 already there, 0 failed -> {tmp_path / 'out'}\n"
    again = json.loads(framebank("store", "merge", folder, tmp_path / "out", "--json").stdout)
    assert (again["copied"], again["already_there"]) == (0, 5)
    framebank("store", "merge", tmp_path / "alone", exit_code=2)
    assert "is a source and also the output" in framebank("store", "merge", folder, folder, exit_code=1).stderr


def test_split(framebank, folder, tmp_path):
    rows = framebank("store", "split", folder, tmp_path / "labels", "--by", "label").stdout.splitlines()
    assert [row.split() for row in rows[1:]] == [[str(tmp_path / "labels" / name), "1", "1"] for name in "abcde"]
    framebank("store", "split", folder, tmp_path / "splits", "--by", "split")
    assert FeatureStore(tmp_path / "splits" / "none").ids == tuple(ROWS)
    (tmp_path / "ids.txt").write_text("d\n\nb\n")
    report = framebank("store", "split", folder, tmp_path / "few", "--videos", tmp_path / "ids.txt", "--json").stdout
    assert json.loads(report)["stores"] == [{"store": str(tmp_path / "few"), "videos": 2, "listed": 2}]
    assert FeatureStore(tmp_path / "few").ids == ("b", "d")


def test_split_refuses(framebank, folder, tmp_path):
    framebank("store", "split", folder, tmp_path / "out", exit_code=2)
    (tmp_path / "ids.txt").write_text("b\nx\n")
    options = ("--videos", tmp_path / "ids.txt")
    assert "ids.txt: lists 'x'" in framebank("store", "split", folder, tmp_path / "out", *options, exit_code=1).stderr
    (tmp_path / "ids.txt").write_text("\n")
    assert "lists no video" in framebank("store", "split", folder, tmp_path / "out", *options, exit_code=1).stderr
    Manifest(tuple(replace(v, label="../up") for v in videos(*ROWS))).write(folder / "manifest.csv")
    told = framebank("store", "split", folder, tmp_path / "out", "--by", "label", exit_code=1).stderr
    assert "'../up' cannot be the name of a folder" in told
    assert not (tmp_path / "out").exists()


def test_rm(framebank, folder):
    assert "2 videos removed" in framebank("store", "rm", folder, "a", "d").stdout
    assert FeatureStore(folder).ids == ("b", "c", "e")
    assert json.loads(framebank("store", "rm", folder, "e", "--json").stdout)["embedded"] == 1
    assert "has no video 'a'" in framebank("store", "rm", folder, "b", "a", exit_code=1).stderr
    assert FeatureStore(folder).ids == ("b", "c")


def test_show(framebank, folder):
    report = json.loads(framebank("store", "show", folder, "c", "--json").stdout)
    assert (report["state"], report["path"], report["label"]) == ("embedded", "/videos/c.mp4", "c")
    assert (report["rows"], report["decoder"], report["streams"]) == (5, "d2", {"frame": [5, 8]})
    assert report["indices"] == [0, 1, 2, 3, 4]
    expected = np.linalg.norm(embeddings(5, seed=2).data.astype(np.float32), axis=1)
    assert report["norms"] == pytest.approx(expected.tolist())
    told = framebank("store", "show", folder, "c").stdout.splitlines()
    assert told[-1].split() == ["4", "0.160", "s", "4", "0", "0", f"{expected[4]:.3f}"]


def test_show_what_is_not_embedded(framebank, folder):
    Manifest(videos(*ROWS, "juggling", "waving")).write(folder / "manifest.csv")
    Ledger(folder / "failed.csv").add(Failure("waving", "/videos/waving.mp4", "no frame"))
    assert "state      failed: no frame" in framebank("store", "show", folder, "waving").stdout
    assert json.loads(framebank("store", "show", folder, "juggling", "--json").stdout)["state"] == "to extract"
    assert "near names: 'juggling'" in framebank("store", "show", folder, "jugling", exit_code=1).stderr


def test_store_info_tells_what_made_it(framebank, store):
    info = json.loads(framebank("store", "info", store, "--json").stdout)
    assert (info["videos"], info["rows"], info["failed"], info["streams"]) == (64, 512, 0, ["frame"])
    assert info["splits"] == {"test": 16, "train": 48}
    assert info["spec"]["model"] == "demo"
    assert info["spec"]["sampling"] == "segments:8"
    assert len(info["spec"]["weights_hash"]) == 32
    told = framebank("store", "info", store).stdout
    assert info["spec"]["weights_hash"] in told
    assert "segments:8" in told
