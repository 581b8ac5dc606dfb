"""Every small input on which an earlier version failed, each with its right value.

They lie in `shared/data/reports` beside the checkout, and its README.md names each of them; where the folder is absent,
the tests are skipped.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from framebank.extract.decoders.decode import count_frames, read_frames
from framebank.store import DataError, FeatureStore, Manifest

REPORTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "reports"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not REPORTS.is_dir(), reason=f"the inputs of the reports are not at {REPORTS}"),
]

Framebank = Callable[..., Result]
DEMO = ("--model", "demo", "--frames", 4)


def extracted(framebank: Framebank, tmp_path: Path, *sources: object, exit_code: int = 0, **_: object) -> dict:
    result = framebank("extract", *sources, tmp_path / "bank", *DEMO, "--json", exit_code=exit_code)
    return json.loads(result.stdout) if result.stdout.startswith("{") else {"error": result.stderr}


def expect_frames(count: int) -> Callable[[Path, Path, Framebank], None]:
    def check(path: Path, tmp_path: Path, framebank: Framebank) -> None:
        assert count_frames(path) == count
        assert extracted(framebank, tmp_path, path)["embedded"] == 1

    return check


def check_dropped_frames(path: Path, tmp_path: Path, framebank: Framebank) -> None:
    frames = read_frames(path, np.arange(50))
    np.testing.assert_allclose(frames.timestamps, np.arange(50) * 0.08, atol=1e-6)  # every second chunk is empty
    assert count_frames(path) == 50
    assert extracted(framebank, tmp_path, path)["embedded"] == 1


def red_box(path: Path) -> tuple[int, int]:
    image = read_frames(path, np.array([0])).data[0].astype(int)
    red = (image[..., 0] > 150) & (image[..., 1] < 110) & (image[..., 2] < 110)
    rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
    return int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1


def check_square_pixels(path: Path, tmp_path: Path, framebank: Framebank) -> None:
    height, width = red_box(path)
    assert abs(height - 118) <= 2
    assert abs(width - 118) <= 2
    extracted(framebank, tmp_path, REPORTS / "sar_1.mp4", REPORTS / "sar_2.mp4")
    store = FeatureStore(tmp_path / "bank")
    one, two = (store[name].data.astype(np.float32).mean(0) for name in ("sar_1", "sar_2"))
    assert one @ two / np.linalg.norm(one) / np.linalg.norm(two) > 0.995


def check_default_stream(path: Path, tmp_path: Path, framebank: Framebank) -> None:
    assert read_frames(path, np.array([0])).data.shape == (1, 96, 128, 3)
    assert extracted(framebank, tmp_path, path)["embedded"] == 1


def check_size_change(path: Path, tmp_path: Path, framebank: Framebank) -> None:
    assert extracted(framebank, tmp_path, path)["embedded"] == 1


def combing(frames: np.ndarray) -> float:
    """How much more neighbouring lines differ than lines of the same field do; 0 for a smooth picture."""
    grey = frames.astype(float).mean(-1)
    return float(np.abs(np.diff(grey, axis=1)).mean() - np.abs(grey[:, 2:] - grey[:, :-2]).mean() / 2)


def check_deinterlace(path: Path, tmp_path: Path, framebank: Framebank) -> None:
    assert count_frames(path) == 25
    report = framebank("extract", path, tmp_path / "bank", *DEMO, "--deinterlace", "--json")
    assert json.loads(report.stdout)["embedded"] == 1
    plain = extracted(framebank, tmp_path / "plain", path)
    assert plain["embedded"] == 1
    with_it, without = FeatureStore(tmp_path / "bank"), FeatureStore(tmp_path / "plain" / "bank")
    assert with_it.spec != without.spec
    np.testing.assert_array_equal(with_it["interlaced"].indices, without["interlaced"].indices)
    assert not np.array_equal(with_it["interlaced"].data, without["interlaced"].data)


def check_packets_lost(path: Path, tmp_path: Path, framebank: Framebank) -> None:
    refused = framebank("extract", path, tmp_path / "bank", "--model", "demo", "--every-frame", exit_code=1)
    assert "damaged" in refused.stderr
    assert "--use-damaged" in refused.stderr
    every = ("--model", "demo", "--every-frame", "--use-damaged", "--json")
    result = framebank("extract", path, tmp_path / "rest", *every)
    assert json.loads(result.stdout)["embedded"] == 1
    store = FeatureStore(tmp_path / "rest")
    assert 0 < len(store["packets_lost"].data) < 100
    assert re.search(r"damaged", f"{store.decoders['packets_lost']}{result.stderr}")


def check_animation(path: Path, tmp_path: Path, framebank: Framebank) -> None:
    assert count_frames(path) > 1
    assert extracted(framebank, tmp_path, path)["embedded"] == 1


def check_cut_texts(path: Path, tmp_path: Path, framebank: Framebank) -> None:
    options = ("--model", "demo", "--texts", "descriptions")
    refused = framebank("prompts", path, tmp_path / "out.h5", *options, exit_code=1)
    assert "sitting down" in refused.stderr
    assert "standing up" in refused.stderr
    assert not (tmp_path / "out.h5").exists()


def check_zero_vectors(path: Path, tmp_path: Path, framebank: Framebank) -> None:
    result = framebank("store", "import", path, tmp_path / "bank", "--json")
    store = FeatureStore(tmp_path / "bank")
    assert [failure.video_id for failure in store.failures] == ["a/0"]
    assert "a/0" not in store
    assert json.loads(result.stdout)["failed"] == 1


def check_activitynet(path: Path, tmp_path: Path, framebank: Framebank) -> None:
    import h5py

    framebank("store", "import", path, tmp_path / "bank")
    store = FeatureStore(tmp_path / "bank")
    with h5py.File(path) as file:
        assert set(store.ids) == set(file)
        for name in file:
            np.testing.assert_allclose(store[name].data, file[f"{name}/c3d_features"][:].astype(np.float16))


def check_no_main_guard(path: Path, tmp_path: Path, framebank: Framebank) -> None:
    videos = tmp_path / "videos" / "x"
    videos.mkdir(parents=True)
    shutil.copy(REPORTS / "short5.mkv", videos / "a.mkv")
    shutil.copy(REPORTS / "sar_1.mp4", videos / "b.mp4")
    script = tmp_path / "script.py"
    script.write_text(path.read_text().replace("VIDEOS", str(videos.parent)))
    for command in ([sys.executable, str(script)], [sys.executable, "-"]):
        text = script.read_text() if command[-1] == "-" else None
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=300)
        assert sorted(line.split() for line in done.stdout.splitlines()) == [["x/a", "4"], ["x/b", "4"]], done.stderr


CHECKS: dict[str, Callable[[Path, Path, Framebank], None]] = {
    "short1.mkv": expect_frames(1),
    "short5.mkv": expect_frames(5),
    "stale_duration_tag.mkv": expect_frames(100),
    "dropped_half.avi": check_dropped_frames,
    "fragmented_with_tag.mp4": expect_frames(50),
    "sar_1.mp4": check_square_pixels,
    "sar_2.mp4": check_square_pixels,
    "default_is_second.mkv": check_default_stream,
    "size_change.webm": check_size_change,
    "interlaced.mp4": check_deinterlace,
    "packets_lost.ts": check_packets_lost,
    "anim.webp": check_animation,
    "anim.gif": check_animation,
    "two_long_descriptions.json": check_cut_texts,
    "zero_vectors.npz": check_zero_vectors,
    "anet.h5": check_activitynet,
    "no_main_guard.py": check_no_main_guard,
}


@pytest.mark.parametrize("name", CHECKS)
def test_each_input_has_its_right_value(name: str, tmp_path: Path, framebank: Framebank) -> None:
    CHECKS[name](REPORTS / name, tmp_path, framebank)


def test_every_input_of_the_folder_is_checked() -> None:
    text = (REPORTS / "README.md").read_text(encoding="utf-8")
    assert all(name in text for name in CHECKS)
    assert {path.name for path in REPORTS.iterdir()} - {"README.md", "make_trees.sh"} == set(CHECKS)


@pytest.fixture(scope="module")
def trees() -> Iterator[Path]:
    """The folders and lists that make_trees.sh builds."""
    if not shutil.which("ffmpeg"):
        pytest.skip("ffmpeg, which make_trees.sh calls, is not installed")
    with tempfile.TemporaryDirectory(prefix="framebank-trees-") as folder:
        Path(folder).chmod(0o755)
        subprocess.run(["bash", str(REPORTS / "make_trees.sh")], cwd=folder, check=True, capture_output=True)
        yield Path(folder) / "trees"
        with contextlib.suppress(OSError):
            (Path(folder) / "trees" / "unreadable" / "wave").chmod(0o755)


def test_litter_of_file_managers_is_counted_and_left_out(trees: Path, tmp_path: Path, framebank: Framebank) -> None:
    report = extracted(framebank, tmp_path, trees / "hidden")
    assert report["videos"] == report["embedded"] == 1
    assert sum(report["not_taken"].values()) == 4
    assert FeatureStore(tmp_path / "bank").manifest.labels == ("run",)


def test_every_file_is_taken_or_counted(trees: Path, tmp_path: Path, framebank: Framebank) -> None:
    report = extracted(framebank, tmp_path, trees / "left_out")
    assert report["videos"] + sum(report["not_taken"].values()) == 10
    assert report["failed"] == 0
    wide = framebank("extract", trees / "left_out", tmp_path / "wide", *DEMO, "--any-suffix", "--json")
    wider = json.loads(wide.stdout)
    assert wider["embedded"] == 9
    assert sum(wider["not_taken"].values()) == 1  # the link that leads nowhere


def test_frames_of_another_kind_are_taken_or_counted(trees: Path, tmp_path: Path, framebank: Framebank) -> None:
    report = extracted(framebank, tmp_path, trees / "left_out_frames")
    assert report["embedded"] + sum(report["not_taken"].values()) in (2, 1 + 4)


@contextlib.contextmanager
def as_somebody() -> Iterator[None]:
    """Root may read everything: be somebody else for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_cannot_be_read_is_an_error(trees: Path) -> None:
    with as_somebody(), pytest.raises(DataError, match="unreadable/wave"):
        Manifest.read([trees / "unreadable"])


def test_a_class_may_be_called_as_a_split(trees: Path, tmp_path: Path, framebank: Framebank) -> None:
    extracted(framebank, tmp_path, trees / "vehicles")
    manifest = FeatureStore(tmp_path / "bank").manifest
    assert manifest.labels == ("bus", "car", "train")
    assert set(manifest.split_sizes) == {""}


def test_one_name_in_two_normal_forms_is_one_name(trees: Path, tmp_path: Path, framebank: Framebank) -> None:
    lists = [option for kind in ("train", "test") for option in ("--split-file", trees / f"nfd_{kind}list01.txt")]
    framebank("extract", trees / "nfd", tmp_path / "bank", *DEMO, *lists)
    store = FeatureStore(tmp_path / "bank")
    assert store.manifest.split_sizes == {"train": 2, "test": 2}
    framebank("zeroshot", tmp_path / "bank", "--labels", trees / "nfd_classes.txt")
    assert Manifest.read([trees / "both_forms"]).labels == ("caf\u00e9",)


def test_a_long_name_is_exported_and_comes_back(trees: Path, tmp_path: Path, framebank: Framebank) -> None:
    extracted(framebank, tmp_path, trees / "long_name")
    framebank("store", "export", tmp_path / "bank", tmp_path / "npy", "--format", "npy")
    framebank("store", "import", tmp_path / "npy", tmp_path / "back")
    one, other = FeatureStore(tmp_path / "bank"), FeatureStore(tmp_path / "back")
    assert one.ids == other.ids
    np.testing.assert_array_equal(one[one.ids[0]].data, other[one.ids[0]].data)


def test_one_stem_with_two_suffixes_is_two_videos(trees: Path, tmp_path: Path, framebank: Framebank) -> None:
    assert extracted(framebank, tmp_path, trees / "stems")["embedded"] == 3
    ids = FeatureStore(tmp_path / "bank").ids
    assert len(set(ids)) == 3
    assert "run/b" in ids


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("lists", "train_backslashes.txt"),
        ("lists", "train_commas.txt"),
        ("lists2", "train_names_ending_in_numbers.txt"),
    ],
)
def test_a_list_is_read_or_refused_with_a_hint(folder: str, name: str, trees: Path) -> None:
    try:
        manifest, _ = Manifest.read([trees / folder]).with_splits([trees / name])
    except DataError as error:
        assert re.search(r"expected|write|use", str(error)), error
    else:
        assert manifest.split_sizes == {"train": 2}
        assert manifest.labels == ("run", "wave")


def test_parts_of_one_file_stay_together(trees: Path) -> None:
    manifest = Manifest.read_csv(trees / "parts.csv")
    for seed in range(10):
        rest, held = manifest.held_out(0.2, seed=seed)
        assert not {video.path for video in rest.videos} & {video.path for video in held.videos}
