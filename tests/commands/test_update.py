"""The commands index --update, search, label, enroll and calibrate, on a store that changed behind its index."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framebank.store import Embeddings, FeatureStore, Manifest, ShardWriter, Video
from framebank.store.indexes.index import Index
from framebank.tests.commands.test_calibrate import copy_store
from framebank.tests.places import DATA
from framebank.tests.store.indexes.test_origin import rewrite
from framebank.tests.worlds.cli import sentence

REPORTS = DATA / "reports"


@pytest.fixture
def bank(store: Path, tmp_path: Path) -> Path:
    copy_store(store, tmp_path / "bank")
    for path in (tmp_path / "bank").glob("*.h5"):  # links, that a change would reach through
        real = path.resolve()
        path.unlink()
        shutil.copy2(real, path)
    return tmp_path / "bank"


def told(framebank: Any, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(framebank(*arguments, "--json").stdout)
    return found


def change(framebank: Any, bank: Path) -> None:
    """Three videos join, two leave, one has another label."""
    rows = FeatureStore(bank)["waving_train_00"]
    with ShardWriter(bank, FeatureStore(bank).spec) as writer:
        for number in range(3):
            data = rows.data + np.float16(0.01 * (number + 1))
            writer.add(f"new/{number}", replace(rows, data=data))
    videos = FeatureStore(bank).manifest.videos
    added = tuple(Video(f"new/{number}", Path(f"/new/{number}.mp4"), "waving") for number in range(3))
    Manifest((*videos, *added)).write(bank / "manifest.csv")
    framebank("store", "rm", bank, "waving_train_01", "waving_train_02")
    rewrite(bank, lambda video: replace(video, label="jogging") if video.video_id == "bowing_train_00" else video)


def test_a_store_that_changed_behind_its_index(framebank: Any, clips: Path, bank: Path, tmp_path: Path) -> None:
    index, clip = tmp_path / "my index", clips / "waving" / "waving_train_00.mp4"
    framebank("index", bank, index)
    framebank("enroll", index, "my wave", clip)
    framebank("calibrate", index, "--share", 0.1)
    quiet = framebank("search", index, "--video", clip, "--json")
    assert (quiet.stderr, json.loads(quiet.stdout)["drift"]["left"]) == ("", 0)
    change(framebank, bank)
    older = f"{index}: is older than its store: 3 videos joined, 2 left, 1 relabelled since; "
    mend = f"`framebank index {bank} '{index}' --update` mends that"  # as a shell takes it
    asked = framebank("search", index, "--video", clip, "-k", 1000, "--json")
    assert asked.stderr.splitlines() == [f"note: {older}{mend}"]
    found = json.loads(asked.stdout)
    assert found["drift"] == {"joined": 3, "left": 2, "changed": 0, "moved": 0, "relabelled": 1}
    by_id = {hit["video_id"]: hit for hit in found["hits"]}
    assert len(by_id) == 64 - 2 + 1 and not {"waving_train_01", "waving_train_02"} & set(by_id)
    assert by_id["bowing_train_00"]["label"] == "jogging"
    for arguments in (("label", clip, "--index", index), ("calibrate", index, "--share", 0.1)):
        assert framebank(*arguments).stderr.splitlines() == [f"note: {older}{mend}"]
    gone = framebank("search", index, "--id", "waving_train_01", exit_code=1)
    assert "the index has no video 'waving_train_01'" in sentence(gone)

    lines = framebank("index", bank, index, "--update").stdout.splitlines()
    assert lines[0] == f"{index}: 3 videos joined, 2 left, 1 relabelled"
    assert lines[1].startswith("kept 1 enrolled class: my wave 0.")
    assert lines[2] == "thresholds are set again, by the 66 videos of the index itself"
    assert lines[3] == f"65 of 65 videos, pooled by mean -> {index}"
    after = framebank("search", index, "--video", clip, "-k", 1000, "--json")
    assert after.stderr == ""
    ids = {hit["video_id"] for hit in json.loads(after.stdout)["hits"]}
    assert {"new/0", "new/1", "new/2", "my wave/waving_train_00"} <= ids and len(ids) == 66
    assert told(framebank, "label", clip, "--index", index)["made_by"]["thresholds"]["share"] == 0.1
    again = told(framebank, "index", bank, index, "--update")
    assert [again[name] for name in ("joined", "left", "changed", "moved", "relabelled")] == [[], [], [], {}, []]
    assert (again["videos"], again["enrolled"], again["set_by"]["share"]) == (65, 1, 0.1)


def test_a_store_that_is_there_and_cannot_be_read_is_told(framebank: Any, bank: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    framebank("index", bank, folder)
    asked = ("search", folder, "--id", "waving_train_00", "--json")
    assert not framebank(*asked).stderr
    whole = (bank / "manifest.csv").read_bytes()
    for damage in (b"\xff\xfe no", b"video_id,path\na,b\n"):
        (bank / "manifest.csv").write_bytes(damage)
        result = framebank(*asked)
        assert "whether its store has changed since is not known: " in result.stderr
        assert "manifest.csv" in result.stderr and len(result.stderr.splitlines()) == 1
        assert json.loads(result.stdout)["drift"] is None and json.loads(result.stdout)["hits"]
    (bank / "manifest.csv").write_bytes(whole)
    shard = next(bank.glob("*.h5"))
    shard.write_bytes(shard.read_bytes()[:1000])
    assert f"not known: {shard}" in framebank(*asked).stderr
    bank.rename(tmp_path / "elsewhere")  # a store may be on another disk: that is no fault
    assert not framebank(*asked).stderr


def test_wrong_use_of_update(framebank: Any, bank: Path, run: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    none = sentence(framebank("index", bank, index, "--update", exit_code=1))
    assert none == f"Error: {index}: is not an index; expected a folder made by `framebank index`"
    framebank("index", bank, index, "--split", "train")
    framebank("index", bank, index, "--update", "--overwrite", exit_code=2)
    other = sentence(framebank("index", bank, index, "--update", "--split", "test", exit_code=1))
    assert other.endswith("was made of the split 'train', not of 'test'; make a new index for that")
    other = sentence(framebank("index", bank, index, "--update", "--run", run, exit_code=1))
    assert "was pooled by the mean of the frames, not by" in other
    other = sentence(framebank("index", bank, index, "--update", "--remove", "a", "--add", "a", exit_code=1))
    assert "'a' is to be removed and to be added; expected one of the two" in other
    framebank("index", bank, index, "--update", "--split", "train")


def test_the_path_of_a_hit_is_short_where_that_helps(
    framebank: Any, clips: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = ("search", index, "--id", "waving_train_00", "-k", 1)
    (hit,) = told(framebank, *ask)["hits"]
    assert Path(hit["path"]).is_file() and Path(hit["path"]).is_absolute()
    monkeypatch.chdir(clips)
    assert framebank(*ask).stdout.splitlines()[1].split()[-1] == os.path.relpath(hit["path"], clips)
    monkeypatch.chdir("/usr/lib")
    assert framebank(*ask).stdout.splitlines()[1].split()[-1] in (hit["path"], os.path.relpath(hit["path"], "/usr/lib"))


def test_videos_of_zeros_are_left_out_and_named(framebank: Any, bank: Path, tmp_path: Path) -> None:
    features = FeatureStore(bank)
    rows = features["waving_train_00"]
    with ShardWriter(bank, features.spec) as writer:
        zeros = Embeddings(np.zeros_like(rows.data), rows.timestamps, rows.indices)
        writer.add("empty", zeros)
    videos = features.manifest.videos
    added = (Video("empty", Path("/empty.mp4"), "waving"), Video("lost", Path("/lost.mp4"), "waving"))
    Manifest((*videos, *added)).write(bank / "manifest.csv")
    lines = framebank("index", bank, tmp_path / "i").stdout.splitlines()
    assert lines == [
        f"64 of 66 videos, pooled by mean -> {tmp_path / 'i'}",
        "left out: 1 video whose embedding is not in the store: lost",
        "left out: 1 video whose embedding is all zeros: empty",
    ]
    assert told(framebank, "index", bank, tmp_path / "i", "--update")["left_out"] == {
        "lost": "not in the store", "empty": "all zeros"
    }  # fmt: skip
    asked = framebank("search", tmp_path / "i", "--id", "waving_train_00", "-k", 1000, "--json")
    assert asked.stderr == "" and len(json.loads(asked.stdout)["hits"]) == 63


def test_the_reported_vector_of_zeros(framebank: Any, bank: Path, tmp_path: Path) -> None:
    if not (REPORTS / "zero_vectors.npz").exists():
        pytest.skip("the reported inputs are not here")
    with np.load(REPORTS / "zero_vectors.npz", allow_pickle=False) as arrays:
        embeddings, ids = arrays["embeddings"].astype(np.float32), arrays["ids"].astype(str).tolist()
    spec = replace(FeatureStore(bank).spec, dim=embeddings.shape[-1])
    rows = {name: np.atleast_2d(own) for name, own in zip(ids, embeddings, strict=True)}
    (tmp_path / "s").mkdir()
    with ShardWriter(tmp_path / "s", spec) as writer:
        for name, own in rows.items():
            writer.add(name, Embeddings(own, np.zeros(len(own)), np.arange(len(own))))
    Manifest(tuple(Video(name, Path(f"/{name}"), "x") for name in ids)).write(tmp_path / "s" / "manifest.csv")
    report = told(framebank, "index", tmp_path / "s", tmp_path / "i")
    assert report["left_out"] == {"a/0": "all zeros"}
    assert "a/0" not in {video.video_id for video in Index.load(tmp_path / "i").videos}


def test_no_threshold_is_told_where_none_is_set(framebank: Any, clips: Path, bank: Path, tmp_path: Path) -> None:
    framebank("store", "rm", bank, *FeatureStore(bank).ids[:-9])
    framebank("index", bank, tmp_path / "index")
    framebank("enroll", tmp_path / "index", "my wave", clips / "waving" / "waving_train_00.mp4")
    lines = framebank("index", bank, tmp_path / "index", "--update").stdout.splitlines()
    assert lines[1:] == [
        "kept 1 enrolled class: my wave without a threshold",
        f"9 of 9 videos, pooled by mean -> {tmp_path / 'index'}",
    ]
