"""The commands store import, store export and prompts --import, on made-up and on real features."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framebank.tests.places import DATA

FEATURES = DATA / "features"
CLIP = FEATURES / "clip-vit-b32"
VGG = FEATURES / "ucf101-vgg16-pca512.npz"
NINE = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "truck")


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """A folder of four videos, two of them unreadable."""
    folder = tmp_path / "features" / "run"
    folder.mkdir(parents=True)
    for name in "ab":
        np.save(folder / f"{name}.npy", np.ones((2, 5, 2)))
        (folder / f"{name}2.npy").write_text("none")
    return folder.parent


def test_import_says_what_became_of_each(features: Path, tmp_path: Path, framebank: Any) -> None:
    result = framebank("store", "import", features, tmp_path / "bank", "--describe", "model=pose", "--json")
    report = json.loads(result.stdout)
    assert {name: report[name] for name in ("videos", "imported", "failed", "already_there", "rows", "width")} == {
        "videos": 4, "imported": 2, "failed": 2, "already_there": 0, "rows": 4, "width": 10,
    }  # fmt: skip
    assert "flattened: 2 videos, such as (2, 5, 2) to (2, 10)" in result.stderr
    assert (
        "failed: run/a2: " in result.stderr and "not imported: 2 of 4 videos, each with its reason in" in result.stderr
    )
    again = framebank(
        "store", "import", features, tmp_path / "bank", "--describe", "model=pose", "--strict", exit_code=1
    )
    assert "4 videos: 0 imported, 2 failed, 2 already there" in again.stdout
    other = framebank("store", "import", features, tmp_path / "bank", "--describe", "model=other", exit_code=1)
    assert "made with model 'pose', this import with model 'other'" in other.stderr
    info = framebank("store", "info", tmp_path / "bank").stdout
    assert "pose/imported" in info and "RANDOM" not in info


def test_what_is_not_taken_is_counted(features: Path, tmp_path: Path, framebank: Any) -> None:
    for name in ("._a.npy", "run/._b.npy", "notes.md", "run/clip.mp4", "run/other.mp4", "README"):
        (features / name).write_bytes(b"")
    (features / "loop").symlink_to(features)
    for path in features.rglob("?2.npy"):
        path.unlink()
    result = framebank("store", "import", features, tmp_path / "bank", "--json")
    assert json.loads(result.stdout)["not_taken"] == {
        ".md": 1, ".mp4": 2, "hidden": 2, "link to a folder that is read already": 1, "no suffix": 1,
    }  # fmt: skip
    line = "not taken: 7 files: 2 .mp4, 2 hidden, 1 .md, 1 link to a folder that is read already, 1 no suffix"
    assert line in result.stderr.splitlines()
    for path in features.rglob("?.npy"):
        path.unlink()
    told = framebank("store", "import", features, tmp_path / "bank2", exit_code=1).stderr
    assert "holds no feature file; expected one of" in told and "; not taken: 7 files: 2 .mp4" in told


def test_an_import_of_nothing_that_can_be_read_is_an_error(features: Path, tmp_path: Path, framebank: Any) -> None:
    for path in features.rglob("?.npy"):
        path.unlink()
    result = framebank("store", "import", features, tmp_path / "bank", exit_code=1)
    assert f"no video was imported of 2; {tmp_path / 'bank' / 'failed.csv'} says why" in result.stderr
    assert len((tmp_path / "bank" / "failed.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("form", ["npy", "parquet", "webdataset"])
def test_export_of_a_real_store(store: Path, tmp_path: Path, framebank: Any, form: str) -> None:
    out = tmp_path / ("out.parquet" if form == "parquet" else "out")
    report = json.loads(framebank("store", "export", store, out, "--format", form, "--split", "test", "--json").stdout)
    assert report["videos"] == 16 and report["streams_left_out"] == [] and out.exists()
    assert "exists already" in framebank("store", "export", store, out, "--format", form, exit_code=1).stderr


@pytest.mark.parametrize("form", ["npy", "parquet", "webdataset"])
def test_an_exported_store_is_searched_and_scored_like_the_first(
    store: Path, tmp_path: Path, framebank: Any, form: str
) -> None:
    out = tmp_path / ("out.parquet" if form == "parquet" else "out")
    framebank("store", "export", store, out, "--format", form)
    framebank("store", "import", out, tmp_path / "back")
    scores = [json.loads(framebank("zeroshot", bank, "--json").stdout) for bank in (store, tmp_path / "back")]
    assert scores[0]["scores"] == scores[1]["scores"]


@pytest.mark.slow
def test_a_stream_is_exported_by_name(clips: Path, store: Path, tmp_path: Path, framebank: Any) -> None:
    video = clips / "waving" / "waving_train_00.mp4"
    options = ("--model", "ViT-S-32-alt", "--pretrained", "none", "--frames", 4, "--streams", "frame,regions:2")
    framebank("extract", video, tmp_path / "s", *options)
    result = framebank("store", "export", tmp_path / "s", tmp_path / "out", "--stream", "regions", "--json")
    report = json.loads(result.stdout)
    assert (report["stream"], report["streams_left_out"]) == ("regions", ["frame"])
    assert np.load(tmp_path / "out" / f"{video.stem}.npy").shape[:2] == (4, 4)
    assert "only the stream regions is exported; not exported: frame" in result.stderr
    framebank("store", "import", tmp_path / "out", tmp_path / "back")
    assert "ViT-S-32-alt regions 2/" in framebank("store", "info", tmp_path / "back").stdout
    (tmp_path / "l.txt").write_text("waving\n")
    told = framebank("prompts", tmp_path / "l.txt", tmp_path / "p.h5", "--like", tmp_path / "back", exit_code=1).stderr
    assert "no model 'ViT-S-32-alt regions 2'" in told  # they lie in no space of texts
    told = framebank("store", "export", store, tmp_path / "none", "--stream", "regions", exit_code=1).stderr
    assert told == f"Error: {store}: has no stream 'regions'; it has frame\n"
    assert not (tmp_path / "none").exists()


def test_prompts_import_wants_a_store_and_nothing_that_embeds(store: Path, tmp_path: Path, framebank: Any) -> None:
    (tmp_path / "l.txt").write_text("a\n")
    (features := tmp_path / "t.npz").write_bytes(b"")
    for wrong in (("--import", features), ("--names", "x"), ("--import", features, "--like", store, "--model", "demo")):
        assert "--import" in framebank("prompts", tmp_path / "l.txt", tmp_path / "o.h5", *wrong, exit_code=2).stderr


@pytest.mark.skipif(not CLIP.is_dir(), reason=f"no CLIP features at {CLIP}")
def test_real_clip_embeddings_recognise_real_images(tmp_path: Path, framebank: Any) -> None:
    images, described = CLIP / "cifar10-images.npz", ("--describe", "model=ViT-B-32,pretrained=openai")
    (tmp_path / "nine.txt").write_text("\n".join(NINE))
    everything = json.loads(framebank("store", "import", images, tmp_path / "all", *described, "--json").stdout)
    assert (everything["imported"], everything["rows"], everything["width"]) == (500, 500, 512)
    only = ("--only-labels", tmp_path / "nine.txt", "--json")
    nine = json.loads(framebank("store", "import", images, tmp_path / "nine", *described, *only).stdout)
    assert (nine["imported"], nine["left_out"]) == (443, 57)
    framebank(
        "prompts", tmp_path / "nine.txt", tmp_path / "nine.h5", "--like", tmp_path / "nine",
        "--import", CLIP / "lvis-names.npz", "--map", "automobile=car_(automobile)",
    )  # fmt: skip
    scored = framebank("zeroshot", tmp_path / "nine", "--prompts", tmp_path / "nine.h5", "--split", "all", "--json")
    assert round(100 * json.loads(scored.stdout)["top1"], 1) == 89.6


@pytest.mark.skipif(not VGG.exists(), reason=f"no VGG features at {VGG}")
def test_a_head_is_trained_on_real_features_of_another_program(
    tmp_path: Path, framebank: Any, one_thread: None
) -> None:
    framebank("store", "import", VGG, tmp_path / "bank", "--describe", "model=VGG16,pretrained=imagenet")
    recipe = ("--head", "mean", "--classifier", "linear", "--epochs", 10, "--json")
    trained = json.loads(framebank("train", tmp_path / "bank", tmp_path / "run", *recipe).stdout)
    assert trained["train_videos"] + trained["val_videos"] == 673 and trained["classes"] == 7
    result = framebank("evaluate", tmp_path / "run", "--json")
    report = json.loads(result.stdout)
    assert report["made_by"]["videos_evaluated"] == 268 and report["top1"] > 0.9
    assert "RANDOM" not in result.output
