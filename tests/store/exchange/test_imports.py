"""Imports: every layout that others write, and that a second run does what is left."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from framebank.store import DataError, FeatureStore, LabelSet
from framebank.store.exchange.imports import find_width, import_features, imported_spec, only_labels, read_description
from framebank.store.exchange.source import Names
from framebank.store.exchange.sources import open_source
from framebank.tests.worlds.features import drawn, import_from, save


def test_a_folder_gives_labels_splits_and_distinct_frames(tmp_path: Path) -> None:
    rows = save(tmp_path / "src" / "train" / "juggle" / "a.npy", drawn(3, 4))
    one = save(tmp_path / "src" / "test" / "wave" / "b.npy", drawn(4))
    torch.save(torch.ones(2, 4, dtype=torch.bfloat16), tmp_path / "src" / "test" / "wave" / "c.pt")
    np.savez(tmp_path / "src" / "d.npz", features=np.ones((5, 4)))
    assert import_from(tmp_path / "src", tmp_path / "bank", fps=2.0) == {}
    store = FeatureStore(tmp_path / "bank")
    found = {v.video_id: (v.label, v.split) for v in store.manifest.videos}
    assert found == {
        "train/juggle/a": ("juggle", "train"),
        "test/wave/b": ("wave", "test"),
        "test/wave/c": ("wave", "test"),
        "d": ("", ""),
    }
    a = store["train/juggle/a"]
    assert np.array_equal(a.data, rows)
    assert a.indices.tolist() == [0, 1, 2] and a.timestamps.tolist() == [0, 0.5, 1]
    assert np.array_equal(store["test/wave/b"].data, one[None])
    assert (store["test/wave/c"].data == 1).all() and store["d"].data.shape == (5, 4)


def test_video_features_keeps_its_timestamps(tmp_path: Path) -> None:
    save(tmp_path / "src" / "v1_clip.npy", drawn(3, 4))
    save(tmp_path / "src" / "v1_timestamps_ms.npy", np.array([0.0, 40.0, 80.0]))
    save(tmp_path / "src" / "v1_fps.npy", np.array(25.0))
    save(tmp_path / "src" / "v2_clip.npy", drawn(2, 4))
    save(tmp_path / "src" / "v2_fps.npy", np.array(10.0))
    assert import_from(tmp_path / "src", tmp_path / "bank") == {}
    store = FeatureStore(tmp_path / "bank")
    assert sorted(store) == ["v1", "v2"]
    assert store["v1"].timestamps == pytest.approx([0, 0.04, 0.08])
    assert store["v2"].timestamps == pytest.approx([0, 0.1])


def test_clip_video_encode_and_its_captions(tmp_path: Path) -> None:
    rows = save(tmp_path / "00001.npy", drawn(3, 4))
    (tmp_path / "00001.json").write_text(json.dumps({"duration": 3, "label": "not ours"}))
    (tmp_path / "00001.txt").write_text("a dog")
    source = open_source(tmp_path, Names())
    assert source.manifest.videos[0].label == ""
    assert source.notes == ("not kept: 1 caption (.txt) beside the features; a store has labels",)
    assert np.array_equal(source.read(source.manifest.videos[0]).values.astype(np.float16), rows)


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_one_file_of_arrays(tmp_path: Path, suffix: str) -> None:
    arrays = {
        "features": drawn(3, 2, 4),
        "video": np.array(["a", "b", "c"]),
        "label": np.array([1, 0, 1]),
        "classes": np.array(["run", "walk"]),
        "split": np.array([False, True, True]),
    }
    path = tmp_path / f"all{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = values.astype("S") if values.dtype.kind == "U" else values
    assert import_from(path, tmp_path / "bank", split_values=("train", "test")) == {}
    store = FeatureStore(tmp_path / "bank")
    found = [(v.video_id, v.label, v.split) for v in store.manifest.videos]
    assert found == [("a", "walk", "train"), ("b", "run", "test"), ("c", "walk", "test")]
    assert np.array_equal(store["c"].data, arrays["features"][2].astype(np.float16))
    with pytest.raises(DataError, match="--split-values train,test"):
        open_source(path, Names())


def test_packed_rows_end_where_the_file_says(tmp_path: Path) -> None:
    rows = drawn(5, 4)
    for name, ends in (("ends", [2, 5]), ("offsets", [0, 2, 5])):
        np.savez(tmp_path / f"{name}.npz", x=rows, end=np.array(ends))
        assert import_from(tmp_path / f"{name}.npz", tmp_path / name) == {}
        store = FeatureStore(tmp_path / name)
        assert store.ids == ("0", "1")
        assert np.array_equal(store["1"].data, rows[2:].astype(np.float16))
    np.savez(tmp_path / "wrong.npz", x=rows, end=np.array([2, 4]))
    with pytest.raises(DataError, match="number of rows, 5"):
        open_source(tmp_path / "wrong.npz", Names())


def test_skeletons_are_flattened_and_it_is_said(tmp_path: Path) -> None:
    rows = drawn(2, 6, 5, 3)
    np.save(tmp_path / "skeletons.npy", rows)
    source = open_source(tmp_path / "skeletons.npy", Names())
    spec = imported_spec({}, dim=find_width(source))
    outcomes = list(import_features(tmp_path / "bank", source, spec=spec))
    assert spec.dim == 15 and [outcome.flattened for outcome in outcomes] == [(6, 5, 3)] * 2
    assert np.array_equal(FeatureStore(tmp_path / "bank")["1"].data, rows[1].reshape(6, 15).astype(np.float16))


def test_a_second_run_does_what_is_left_and_another_spec_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "src" / "a.npy", drawn(3, 4))
    save(tmp_path / "src" / "b.npy", np.full((3, 4), np.nan))
    assert set(import_from(tmp_path / "src", tmp_path / "bank")) == {"b"}
    save(tmp_path / "src" / "b.npy", drawn(2, 4))
    assert import_from(tmp_path / "src", tmp_path / "bank") == {}
    store = FeatureStore(tmp_path / "bank")
    assert store.ids == ("a", "b") and not store.failures
    source = open_source(tmp_path / "src", Names())
    with pytest.raises(DataError, match="with model 'made', this import with model 'other'"):
        list(import_features(tmp_path / "bank", source, spec=imported_spec({"model": "other"}, dim=4)))


def test_a_manifest_of_feature_files(tmp_path: Path) -> None:
    rows = save(tmp_path / "f" / "0.npy", drawn(3, 4))
    (tmp_path / "list.csv").write_text("video_id,path,label,split\nx,f/0.npy,run,test\ny,f/1.npy,run,test\n")
    errors = import_from(tmp_path / "list.csv", tmp_path / "bank")
    assert set(errors) == {"y"} and "no such file" in errors["y"]
    store = FeatureStore(tmp_path / "bank")
    assert np.array_equal(store["x"].data, rows) and store.manifest.videos[0].split == "test"


def test_only_labels_takes_classes_by_their_words(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", x=drawn(3, 4), label=np.array(["PlayingPiano", "Archery", "PlayingPiano"]))
    source = open_source(tmp_path / "all.npz", Names())
    kept = only_labels(source, LabelSet(("playing piano",)), where="names.txt")
    assert [video.video_id for video in kept.manifest.videos] == ["0", "2"]
    with pytest.raises(DataError, match=r"names.txt: names no class of the 3 videos to import"):
        only_labels(source, LabelSet(("dive",)), where="names.txt")


def test_what_is_described_alike_may_be_mixed() -> None:
    a = imported_spec(read_description(("model=VGG16,pretrained=imagenet",)), dim=4)
    b = imported_spec(read_description(("pretrained=imagenet", "model = VGG16")), dim=4)
    other = imported_spec(read_description(("model=VGG16,pretrained=places",)), dim=4)
    assert a == b and a.weights_hash != other.weights_hash
    assert imported_spec({"weights_hash": "abc"}, dim=4).weights_hash == "abc"
    assert "RANDOM" not in imported_spec({}, dim=4).encoder
    for wrong in ("VGG16", "dims=4", "model="):
        with pytest.raises(DataError, match="expected NAME=VALUE"):
            read_description((wrong,))


def test_a_parquet_file_without_its_suffix_and_a_folder_of_one(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"video_id": ["a", "b"], "embedding": [[1.0, 2.0], [3.0, 4.0]]})
    pyarrow.parquet.write_table(table, tmp_path / "features")
    assert import_from(tmp_path / "features", tmp_path / "bank") == {}
    assert sorted(FeatureStore(tmp_path / "bank")) == ["a", "b"]
    (tmp_path / "folder").mkdir()
    (tmp_path / "features").rename(tmp_path / "folder" / "x.parquet")
    with pytest.raises(DataError, match=r"folder: holds 1 parquet file; expected one of them: .*x\.parquet"):
        open_source(tmp_path / "folder", Names())
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"notes\.txt: is not a file of features; expected \.npy, .*\.parquet"):
        open_source(tmp_path / "notes.txt", Names())


def test_one_stem_with_two_suffixes_is_two_videos(tmp_path: Path) -> None:
    first = save(tmp_path / "src" / "run" / "a.npy", drawn(3, 4))
    np.savez(tmp_path / "src" / "run" / "a.npz", features=drawn(2, 4))
    save(tmp_path / "src" / "run" / "b.npy", drawn(3, 4))
    assert not import_from(tmp_path / "src", tmp_path / "bank")
    store = FeatureStore(tmp_path / "bank")
    assert sorted(store) == ["run/a.npy", "run/a.npz", "run/b"]
    assert np.array_equal(store["run/a.npy"].data, first) and len(store["run/a.npz"].data) == 2
