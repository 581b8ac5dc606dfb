"""Files that hold one array a video, in every way they are laid out, and the files that only look so."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from framebank.store import DataError, FeatureStore
from framebank.store.exchange.imports import find_width, import_features, imported_spec
from framebank.store.exchange.source import Names
from framebank.store.exchange.sources import open_source
from framebank.tests.places import DATA

REPORTS = DATA / "reports"


def write(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".pt":
        torch.save({name: torch.from_numpy(values) for name, values in arrays.items()}, path)
    else:
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = values.astype("S") if values.dtype.kind == "U" else values
    return path


def rows(number: int, frames: int = 3) -> np.ndarray:
    return np.full((frames, 4), number + 1, dtype=np.float32)


def import_from(src: Path, store: Path, **names: Any) -> dict[str, str]:
    source = open_source(src, Names(**names))
    spec = imported_spec({}, dim=find_width(source))
    return {o.video.video_id: o.error for o in import_features(store, source, spec=spec) if o.error}


def found_in(store: Path) -> dict[str, tuple[str, str, int]]:
    """The label, split and number of each video; `rows` gives the number."""
    bank = FeatureStore(store)
    return {v.video_id: (v.label, v.split, int(bank[v.video_id].data[0, 0]) - 1) for v in bank.manifest.videos}


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".npz", ".pt"])
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("v_0/c3d_features", "v_1/c3d_features"), {"v_0": ("", ""), "v_1": ("", "")}),
        (("v_0", "v_1", "v_2"), {"v_0": ("", ""), "v_1": ("", ""), "v_2": ("", "")}),
        (("video_test_01", "video_test_02"), {"video_test_01": ("", ""), "video_test_02": ("", "")}),
        (
            ("train/run/v_0/f", "val/wave/v_1/f", "test/wave/v_2/f"),
            {"train/run/v_0": ("run", "train"), "val/wave/v_1": ("wave", "val"), "test/wave/v_2": ("wave", "test")},
        ),
        (("run/a", "run/b", "wave/c"), {"run/a": ("run", ""), "run/b": ("run", ""), "wave/c": ("wave", "")}),
        (("run/a", "wave/c"), {"run/a": ("run", ""), "wave/c": ("wave", "")}),
        (("a/b/c/d/e/x", "a/b/c/d/f/x"), {"a/b/c/d/e": ("d", ""), "a/b/c/d/f": ("d", "")}),
        (("v_0/rgb", "v_1/rgb", "v_2/flow"), {"v_0": ("", ""), "v_1": ("", ""), "v_2": ("", "")}),
        (("only/c3d_features",), {"only": ("", "")}),
        (("video_test_01/c3d_features",), {"video_test_01": ("", "")}),
    ],
)
def test_each_array_is_a_video(
    tmp_path: Path, suffix: str, names: tuple[str, ...], expected: dict[str, tuple[str, str]]
) -> None:
    path = write(tmp_path / f"all{suffix}", {name: rows(n, frames=n + 2) for n, name in enumerate(names)})
    assert import_from(path, tmp_path / "bank") == {}
    assert found_in(tmp_path / "bank") == {
        video_id: (*known, number) for number, (video_id, known) in enumerate(expected.items())
    }
    store = FeatureStore(tmp_path / "bank")
    assert [len(store[video_id].data) for video_id in expected] == [n + 2 for n in range(len(expected))]


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_groups_of_several_arrays_need_a_choice(tmp_path: Path, suffix: str) -> None:
    names = [f"v_{number}/{name}" for number in range(3) for name in ("c3d", "i3d")]
    path = write(tmp_path / f"all{suffix}", {name: rows(n) for n, name in enumerate(names)})
    with pytest.raises(DataError, match=r"3 groups of several arrays, such as c3d, i3d; choose .* with --array"):
        open_source(path, Names())
    assert import_from(path, tmp_path / "bank", array="i3d") == {}
    assert found_in(tmp_path / "bank") == {"v_0": ("", "", 1), "v_1": ("", "", 3), "v_2": ("", "", 5)}
    with pytest.raises(
        DataError, match=r"no array 'rgb'; it has v_0/c3d, v_0/i3d, v_1/c3d, v_1/i3d, v_2/c3d and 1 more"
    ):
        open_source(path, Names(array="rgb"))


def test_the_usual_name_in_every_group_is_taken(tmp_path: Path) -> None:
    arrays = {f"video_{n}/{name}": rows(n) for n in range(2) for name in ("features", "gtscore")}
    arrays["video_0/n_frames"] = np.array(900)
    assert import_from(write(tmp_path / "tvsum.h5", arrays), tmp_path / "bank") == {}
    assert found_in(tmp_path / "bank") == {"video_0": ("", "", 0), "video_1": ("", "", 1)}


def test_a_group_without_the_array_is_a_failure(tmp_path: Path) -> None:
    path = write(tmp_path / "all.h5", {"a/c3d": rows(0), "b/c3d": rows(1), "c/c3d": rows(2)[:0], "d/c3d": rows(-1)})
    with h5py.File(path, "a") as file:
        file.create_group("none")
        file["gone"] = h5py.SoftLink("/nowhere")
    errors = import_from(path, tmp_path / "bank")
    assert errors == {
        "c": "c: holds an array of shape (0, 4), expected frames (T, D)",
        "d": "d: holds only zeros, as if the feature is missing",
        "none": "none: its group has no such array",
        "gone": "gone: its group has no such array",
    }
    assert FeatureStore(tmp_path / "bank").ids == ("a", "b")


def test_links_in_hdf5_are_followed_once(tmp_path: Path) -> None:
    path = write(tmp_path / "all.h5", {"v_0/c3d": rows(0), "v_1/c3d": rows(1)})
    with h5py.File(path, "a") as file:
        file["v_2/c3d"] = h5py.SoftLink("/v_1/self/c3d")  # through another link
        file["v_0/again"] = file["/"]
        file["v_1/self"] = h5py.SoftLink("/v_1")
    assert import_from(path, tmp_path / "bank") == {}
    assert found_in(tmp_path / "bank") == {"v_0": ("", "", 0), "v_1": ("", "", 1), "v_2": ("", "", 1)}


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
@pytest.mark.parametrize(
    "arrays",
    [
        {"x_train": rows(0), "x_test": rows(1)},
        {"train/f": rows(0), "test/f": rows(1)},
        {
            "train/features": rows(0),
            "train/labels": np.arange(3),
            "test/features": rows(1),
            "test/labels": np.arange(3),
        },
        {"fold/features": rows(0), "fold/ids": np.arange(3), "fold2/features": rows(1), "fold2/ids": np.arange(3)},
        {"layer3": rows(0), "layer4": np.ones((3, 5))},
        {"a": rows(0), "b": rows(1), "labels": np.arange(3)},
        {"a": rows(0), "names of it": np.array(["x", "y"])},
        {"a": np.array(1), "b": np.array(1)},
        {"v_0/f": rows(0), "v_1/f": rows(1), "mean": rows(2)},
    ],
)
def test_what_only_looks_so_asks(tmp_path: Path, suffix: str, arrays: dict[str, np.ndarray]) -> None:
    path = write(tmp_path / f"all{suffix}", arrays)
    with pytest.raises(DataError, match=r"holds the arrays .*; choose one with --array"):
        open_source(path, Names())


def test_the_layouts_of_before_come_first(tmp_path: Path) -> None:
    layouts: tuple[dict[str, np.ndarray], ...] = (
        {"features": rows(0), "more": rows(1)},
        {"v": rows(0)},
        {"data/features": rows(0)},
        {"x": rows(0), "id": np.arange(3)},
    )
    for number, arrays in enumerate(layouts):
        source = open_source(write(tmp_path / f"{number}.h5", arrays), Names())
        assert [video.video_id for video in source.manifest.videos] == ["0", "1", "2"]
        assert source.notes == ()


def test_it_is_said_what_a_video_is(tmp_path: Path) -> None:
    path = write(tmp_path / "all.npz", {f"v_{number:04d}": rows(number) for number in range(5000)})
    source = open_source(path, Names())
    assert source.notes == ("5000 arrays, each one video: v_0000, v_0001, v_0002 and 4997 more",)
    with pytest.raises(DataError) as error:
        open_source(path, Names(ids="who"))
    assert str(error.value).endswith("choose one with --array") and len(str(error.value)) < 300
    arrays = {"mean": rows(0), "sd": rows(0), "v_0/f": rows(1), "v_1/f": rows(2)}
    notes = open_source(write(tmp_path / "m.h5", arrays), Names(array="f")).notes
    assert notes[1] == "2 arrays outside the groups not read"


@pytest.mark.skipif(not REPORTS.is_dir(), reason=f"no inputs that failed at {REPORTS}")
def test_activity_net(tmp_path: Path) -> None:
    assert import_from(REPORTS / "anet.h5", tmp_path / "bank") == {}
    store = FeatureStore(tmp_path / "bank")
    with h5py.File(REPORTS / "anet.h5") as file:
        assert {video_id: len(store[video_id].data) for video_id in store} == {f"v_{n}": n + 4 for n in range(5)}
        for video_id in store:
            values = file[f"{video_id}/c3d_features"][:]
            np.testing.assert_array_equal(store[video_id].data, values.astype(np.float16))


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".pt"])
def test_a_single_group_is_a_folder_of_videos(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"all{suffix}", {"run/v_a": rows(0), "run/v_b": rows(1, frames=5)})
    assert import_from(path, tmp_path / "bank") == {}
    assert found_in(tmp_path / "bank") == {"run/v_a": ("run", "", 0), "run/v_b": ("run", "", 1)}
    path = write(tmp_path / f"one{suffix}", {"v_a/rgb": rows(0), "v_a/flow": rows(1)})
    with pytest.raises(DataError, match=r"holds 1 group of several arrays, such as \w+, \w+; choose the one of the"):
        open_source(path, Names())


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".pt"])
def test_arrays_of_two_widths_are_named(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"all{suffix}", {"v_a": np.ones((3, 8)), "v_b": np.ones((5, 16))})
    with pytest.raises(DataError, match="v_a, v_b of 2 widths, such as 'v_a' of 8 and 'v_b' of 16; choose one"):
        open_source(path, Names())
