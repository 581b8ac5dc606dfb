"""Imports: every layout that others write, what is refused, and that a second run does what is left."""

import json
import os
import socket
import tarfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from framebank.store import DataError, FeatureStore, LabelSet
from framebank.store.exchange.imports import find_width, import_features, imported_spec, only_labels, read_description
from framebank.store.exchange.source import Names
from framebank.store.exchange.sources import open_source

RNG = np.random.default_rng(0)


def drawn(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def import_from(src: Path, store: Path, *, fps: float = 1.0, **names: Any) -> dict[str, str]:
    """Import all and return the error of each video that failed."""
    source = open_source(src, Names(**names))
    spec = imported_spec({"model": "made"}, dim=find_width(source), made_by=source.spec)
    return {o.video.video_id: o.error for o in import_features(store, source, spec=spec, fps=fps) if o.error}


def save(path: Path, values: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
    return values.astype(np.float16)


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


def test_two_streams_of_one_video_are_refused(tmp_path: Path) -> None:
    for name in ("v_rgb", "v_flow"):
        save(tmp_path / f"{name}.npy", drawn(3, 4))
    save(tmp_path / "v_fps.npy", np.array(25.0))
    with pytest.raises(DataError, match="stands for two videos"):
        open_source(tmp_path, Names())


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


def test_bad_videos_are_failures_and_the_rest_is_imported(tmp_path: Path) -> None:
    good = save(tmp_path / "src" / "good.npy", drawn(3, 4))
    np.save(tmp_path / "src" / "huge.npy", np.full((3, 4), 70000.0))
    save(tmp_path / "src" / "nan.npy", np.full((3, 4), np.nan))
    save(tmp_path / "src" / "wide.npy", drawn(3, 5))
    np.save(tmp_path / "src" / "words.npy", np.array(["a", "b"]))
    np.save(tmp_path / "src" / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "src" / "cut.npy").write_bytes((tmp_path / "src" / "good.npy").read_bytes()[:90])
    errors = import_from(tmp_path / "src", tmp_path / "bank")
    assert set(errors) == {"huge", "nan", "wide", "words", "objects", "cut"}
    assert errors["huge"] == "huge: holds the value 70000, too large for 16 bits (65504 at most); scale it first"
    assert "not finite" in errors["nan"] and "width 5, the store 4" in errors["wide"]
    assert "expected numbers" in errors["words"] and "Python objects" in errors["objects"]
    store = FeatureStore(tmp_path / "bank")
    assert store.ids == ("good",) and np.array_equal(store["good"].data, good)
    assert {failure.video_id: failure.reason for failure in store.failures} == errors


def test_code_in_a_pt_is_not_run(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "src").mkdir()
    torch.save(Code(), tmp_path / "src" / "evil.pt")
    assert set(import_from(tmp_path / "src", tmp_path / "bank")) == {"evil"}
    assert not (tmp_path / "ran").exists()


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


@pytest.mark.parametrize(
    ("arrays", "names", "message"),
    [
        ({"a": 1, "b": 1}, {}, "choose one with --array"),
        ({"x": np.ones((3, 4)), "label": np.ones(2, dtype=int)}, {}, "holds 3 videos, but 2 labels"),
        ({"x": np.ones((2, 4)), "label": np.array([0, 2]), "classes": np.array(["a"])}, {}, "the label 2"),
        ({"x": np.ones((3, 4))}, {"ids": "who"}, "holds no array 'who'; it has x"),
        ({"x": np.ones((2, 4)), "id": np.array(["a", "a"])}, {}, "stands for two videos"),
        ({"x": np.ones(4)}, {}, r"expected \(V, T, D\) or \(V, D\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: Any, names: Any, message: str) -> None:
    np.savez(tmp_path / "all.npz", **arrays)
    with pytest.raises(DataError, match=message):
        open_source(tmp_path / "all.npz", Names(**names))


def test_places_that_hold_no_features_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.npz").write_text("no zip")
    (tmp_path / "empty").mkdir()
    for name, message in (("empty", "no feature file"), ("notes.npz", "cannot be read"), ("gone", "no such file")):
        with pytest.raises(DataError, match=message):
            open_source(tmp_path / name, Names())


def test_zeros_are_a_failure_where_there_is_nothing_else_and_counted_where_there_is(tmp_path: Path) -> None:
    values = np.ones((4, 3, 2), dtype=np.float32)
    values[1] = 0
    values[2, 1] = 0
    values[3] = 1e-12
    np.savez(tmp_path / "all.npz", x=values, ids=np.array(list("abcd")))
    source = open_source(tmp_path / "all.npz", Names())
    outcomes = {o.video.video_id: o for o in import_features(tmp_path / "bank", source, spec=imported_spec({}, dim=2))}
    assert {name: (o.num_rows, o.zero_rows) for name, o in outcomes.items()} == {
        "a": (3, 0), "b": (0, 0), "c": (3, 1), "d": (0, 0),
    }  # fmt: skip
    assert outcomes["b"].error == "b: holds only zeros, as if the feature is missing"
    assert outcomes["d"].error == "d: holds no value above 1e-12, too small for 16 bits; scale it first"
    store = FeatureStore(tmp_path / "bank")
    assert store.ids == ("a", "c") and [failure.video_id for failure in store.failures] == ["b", "d"]


@pytest.mark.parametrize("form", ["npy", "csv", "parquet", "tar", "h5"])
def test_a_video_of_zeros_fails_in_every_layout(tmp_path: Path, form: str) -> None:
    good = save(tmp_path / "src" / "good.npy", drawn(3, 4))
    zero = save(tmp_path / "src" / "zero.npy", np.zeros((3, 4)))
    path = tmp_path / f"all.{form}"
    if form == "npy":
        path = tmp_path / "src"
    elif form == "csv":
        path.write_text("video_id,path\ngood,src/good.npy\nzero,src/zero.npy\n")
    elif form == "parquet":
        import pyarrow.parquet

        table = pyarrow.table({"id": ["good", "zero"], "x": [good.tolist(), zero.tolist()]})
        pyarrow.parquet.write_table(table, path)
    elif form == "tar":
        with tarfile.open(path, "w") as tar:
            for name in ("good", "zero"):
                tar.add(tmp_path / "src" / f"{name}.npy", f"{name}.npy")
    else:
        with h5py.File(path, "w") as file:
            file["good/f"], file["zero/f"] = good, zero
    (error,) = import_from(path, tmp_path / "bank").values()
    assert error.endswith("zero: holds only zeros, as if the feature is missing")
    assert len(FeatureStore(tmp_path / "bank")) == 1


@pytest.mark.parametrize("way", ["itself", "two", "parent", "each other"])
def test_each_real_file_is_read_once_whatever_links_there_are(tmp_path: Path, way: str) -> None:
    for name in ("run/a", "wave/b", "c"):
        save(tmp_path / "src" / f"{name}.npy", drawn(3, 4))
    links = {
        "itself": [("loop", ".")],
        "two": [("loop", "."), ("run/loop", "..")],
        "parent": [("run/up", ".."), ("wave/deep", "../../src/run")],
        "each other": [("run/other", "../wave"), ("wave/other", "../run")],
    }[way]
    for name, target in links:
        (tmp_path / "src" / name).symlink_to(target)
    source = open_source(tmp_path / "src", Names())
    assert sorted(video.video_id for video in source.manifest.videos) == ["c", "run/a", "wave/b"]
    assert source.not_taken == {"link to a folder that is read already": len(links)}


@pytest.mark.parametrize("given", ["folder", "file", "csv"])
def test_what_is_no_plain_file_is_never_waited_for(tmp_path: Path, given: str) -> None:
    save(tmp_path / "src" / "a.npy", drawn(3, 4))
    os.mkfifo(tmp_path / "src" / "pipe.npy")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "src" / "s.npy"))
    (tmp_path / "src" / "null.npy").symlink_to("/dev/null")
    (tmp_path / "src" / "gone.npy").symlink_to("nowhere.npy")
    for name in (
        "._a.npy",
        ".ipynb_checkpoints/a-checkpoint.npy",
        "@eaDir/a.npy",
        "__MACOSX/a.npy",
        "note.md",
        "x.mp4",
    ):
        (tmp_path / "src" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "src" / name).write_bytes(b"")
    if given == "file":
        with pytest.raises(DataError, match=r"pipe\.npy: is not a regular file"):
            open_source(tmp_path / "src" / "pipe.npy", Names())
    elif given == "csv":
        (tmp_path / "l.csv").write_text("video_id,path\na,src/a.npy\npipe,src/pipe.npy\n")
        assert "is not a regular file" in import_from(tmp_path / "l.csv", tmp_path / "bank")["pipe"]
    else:
        source = open_source(tmp_path / "src", Names())
        assert [video.video_id for video in source.manifest.videos] == ["a"]
        assert source.not_taken == {
            "not a regular file": 3, "dangling link": 1, "hidden": 4, ".md": 1, ".mp4": 1,
        }  # fmt: skip


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "src" / "a.npy", drawn(3, 4))
    (tmp_path / "src" / "wave").mkdir()
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("wave"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"wave: this folder cannot be read \(Permission denied\)"):
        open_source(tmp_path / "src", Names())


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


def test_a_store_is_not_imported(tmp_path: Path) -> None:
    save(tmp_path / "src" / "a.npy", drawn(3, 4))
    import_from(tmp_path / "src", tmp_path / "bank")
    with pytest.raises(DataError, match="is a store already"):
        open_source(tmp_path / "bank", Names())
