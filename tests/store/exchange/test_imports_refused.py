"""Imports: what is refused, what fails alone, and what is passed over."""

import os
import socket
import tarfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from framebank.store import DataError, FeatureStore
from framebank.store.exchange.imports import import_features, imported_spec
from framebank.store.exchange.source import Names
from framebank.store.exchange.sources import open_source
from framebank.tests.worlds.features import drawn, import_from, save


def test_two_streams_of_one_video_are_refused(tmp_path: Path) -> None:
    for name in ("v_rgb", "v_flow"):
        save(tmp_path / f"{name}.npy", drawn(3, 4))
    save(tmp_path / "v_fps.npy", np.array(25.0))
    with pytest.raises(DataError, match="stands for two videos"):
        open_source(tmp_path, Names())


@pytest.mark.parametrize(
    ("column", "values", "given"),
    [
        ("embedding", [{"v": [1.0]}], "struct<v: list<item: double>>"),
        ("embedding", [["a"]], "list<item: string>"),
        ("embedding", [1.0], "double"),
        ("embedding", [[[[1.0]]]], "list<item: list<item: list<item: double>>>"),
        ("timestamp", [0.5], "double"),
    ],
)
def test_a_column_of_another_type_is_named(tmp_path: Path, column: str, values: Any, given: str) -> None:
    table = pyarrow.table({"video_id": ["x"], "embedding": [[1.0, 2.0]]} | {column: values})
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError, match="expected a list of numbers in each row") as error:
        open_source(tmp_path / "x.parquet", Names())
    assert f"x.parquet: its column {column!r} has the type {given};" in str(error.value).replace("element", "item")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    values = [pyarrow.array(["x"]), pyarrow.array([[1.0, 2.0]]), pyarrow.array([[1.0, 2.0]])]
    table = pyarrow.Table.from_arrays(values, names=["video_id", "embedding", "embedding"])
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"x\.parquet: has 2 columns with the name 'embedding'; expected one"):
        open_source(tmp_path / "x.parquet", Names())


def test_an_id_of_an_array_that_is_no_text(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", features=np.ones((1, 2)), ids=np.array(["a\0b"]))
    with pytest.raises(DataError, match=r"x\.npz: the video_id of 'a.*b' is not UTF-8 or holds a NUL; change it"):
        open_source(tmp_path / "x.npz", Names())


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


def test_a_store_is_not_imported(tmp_path: Path) -> None:
    save(tmp_path / "src" / "a.npy", drawn(3, 4))
    import_from(tmp_path / "src", tmp_path / "bank")
    with pytest.raises(DataError, match="is a store already"):
        open_source(tmp_path / "bank", Names())
    (tmp_path / "src" / "checkpoint.safetensors").touch()
    with pytest.raises(
        DataError, match=r"holds checkpoint\.safetensors, so it is a run or an index; expected features"
    ):
        open_source(tmp_path / "src", Names())
