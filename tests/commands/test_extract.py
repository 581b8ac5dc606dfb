"""The command extract on real rendered videos: what it embeds, how it goes on, what it refuses."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framebank.store import FeatureStore
from framebank.tests.worlds.cli import LABELS, hear_interrupts, sentence


def test_extracting_again_does_nothing_and_more_videos_are_added(framebank: Any, clips: Path, tmp_path: Path) -> None:
    some = sorted((clips / "sitting_down").glob("*.mp4"))
    options = ("--model", "demo", "--frames", 4, "--json")
    first = json.loads(framebank("extract", *some[:2], tmp_path / "s", *options).stdout)
    assert (first["embedded"], first["already_there"]) == (2, 0)
    again = json.loads(framebank("extract", *some[:2], tmp_path / "s", *options).stdout)
    assert (again["embedded"], again["already_there"]) == (0, 2)
    more = json.loads(framebank("extract", *some, tmp_path / "s", *options).stdout)
    assert (more["embedded"], more["already_there"]) == (len(some) - 2, 2)


def test_a_folder_of_class_folders_gives_labels(framebank: Any, clips: Path, tmp_path: Path) -> None:
    for name in ("sitting_down", "standing_up"):
        shutil.copytree(clips / name, tmp_path / "videos" / name)
    framebank("extract", tmp_path / "videos", tmp_path / "s", "--model", "demo", "--frames", 2)
    with (tmp_path / "s" / "manifest.csv").open(newline="") as file:
        assert {row["label"] for row in csv.DictReader(file)} == {"sitting_down", "standing_up"}
    scores = json.loads(framebank("zeroshot", tmp_path / "s", "--split", "all", "--labels", LABELS, "--json").stdout)
    assert scores["videos_evaluated"] == 8


def test_random_weights_are_said_loudly(framebank: Any, clips: Path, tmp_path: Path) -> None:
    video = clips / "falling_down" / "falling_down_train_00.mp4"
    result = framebank("extract", video, tmp_path / "s", "--model", "RN50", "--pretrained", "none", "--frames", 1)
    assert "RANDOM WEIGHTS" in result.stderr
    assert "RANDOM WEIGHTS" in framebank("store", "info", tmp_path / "s").stdout


def test_extract_refuses_what_is_no_video_source(framebank: Any, clips: Path, tmp_path: Path) -> None:
    extract = ("--model", "demo")
    (tmp_path / "empty").mkdir()
    assert "no such file" in sentence(framebank("extract", tmp_path / "gone", tmp_path / "s", *extract, exit_code=1))
    assert "no video file" in sentence(framebank("extract", tmp_path / "empty", tmp_path / "s", *extract, exit_code=1))
    (tmp_path / "m.csv").write_text("video_id,label\na,b\n")
    assert "'path'" in sentence(framebank("extract", tmp_path / "m.csv", tmp_path / "s", *extract, exit_code=1))
    video = next(clips.glob("*/*.mp4"))
    (tmp_path / "d.csv").write_text(f"video_id,path\na,{video}\na,{video}\n")
    assert "'a'" in sentence(framebank("extract", tmp_path / "d.csv", tmp_path / "s", *extract, exit_code=1))
    assert not (tmp_path / "s").exists()


def test_extract_refuses_unknown_models_and_weights(framebank: Any, clips: Path, tmp_path: Path) -> None:
    video, store = next(clips.glob("*/*.mp4")), tmp_path / "s"
    told = sentence(framebank("extract", video, store, "--model", "ViT-B-61", exit_code=1))
    assert "ViT-B-16" in told
    told = sentence(framebank("extract", video, store, "--model", "ViT-B-16", "--pretrained", "opneai", exit_code=1))
    assert "openai" in told
    (tmp_path / "w.pt").write_text("no weights")
    told = sentence(
        framebank("extract", video, store, "--model", "RN50", "--pretrained", tmp_path / "w.pt", exit_code=1)
    )
    assert "w.pt" in told
    assert not store.exists()


def test_one_bad_video_costs_its_line_and_no_more(framebank: Any, clips: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos" / "falling_down"
    shutil.copytree(clips / "falling_down", videos)
    good = len(list(videos.iterdir()))
    whole = (videos / "falling_down_train_00.mp4").read_bytes()
    (videos / "text.mp4").write_text("this is no video")
    (videos / "empty.mp4").write_bytes(b"")
    (videos / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    options = ("--model", "demo", "--frames", 2)
    result = framebank("extract", tmp_path / "videos", tmp_path / "s", *options)
    assert f"{good} embedded, 3 failed" in result.stdout
    with (tmp_path / "s" / "failed.csv").open(newline="") as file:
        reasons = {row["video_id"]: row["reason"] for row in csv.DictReader(file)}
    assert set(reasons) == {"falling_down/text", "falling_down/empty", "falling_down/cut"}
    assert all(reasons.values())
    assert json.loads(framebank("store", "info", tmp_path / "s", "--json").stdout)["failed"] == 3
    framebank("extract", tmp_path / "videos", tmp_path / "s", *options, "--strict", exit_code=1)
    (videos / "cut.mp4").write_bytes(whole)
    untried = framebank("extract", tmp_path / "videos", tmp_path / "s", *options)
    assert "0 embedded, 0 failed" in untried.stdout
    assert "3 failed before, --retry-failed tries them again" in untried.stderr
    again = framebank("extract", tmp_path / "videos", tmp_path / "s", *options, "--retry-failed")
    assert "1 embedded, 2 failed" in again.stdout


@pytest.mark.parametrize(
    ("options", "rows", "groups"),
    [
        (["--fps", 2], None, 1),
        (["--stride", 6], [0, 6, 12], 1),
        (["--every-frame", "--view", "centre+flip"], list(range(16)), 2),
        (["--clips", 2, "--frames", 2], None, 2),
        (["--frames", 2, "--view", "three-crop"], None, 3),
    ],
)
def test_what_is_sampled_and_which_views(
    framebank: Any, clips: Path, tmp_path: Path, options: list[Any], rows: list[int] | None, groups: int
) -> None:
    video = next((clips / "waving").glob("*.mp4"))
    (tmp_path / "list.csv").write_text(f"video_id,path,label,start,end\nwhole,{video},wave,,\npart,{video},wave,0.5,\n")
    framebank("extract", tmp_path / "list.csv", tmp_path / "s", "--model", "demo", *options)
    store = FeatureStore(tmp_path / "s")
    whole, part = store["whole"], store["part"]
    assert whole.num_groups == part.num_groups == groups
    assert part.timestamps.min() >= max(0.5, whole.timestamps.min() + 0.05)
    if "--fps" in options:
        np.testing.assert_allclose(whole.timestamps[:3], [0.0, 0.5, 1.0], atol=0.041)
    if rows:
        np.testing.assert_array_equal(np.unique(whole.indices)[: len(rows)], rows)
        assert len(whole.indices) == len(np.unique(whole.indices)) * groups
    if "centre+flip" in options:
        half = len(whole.data) // 2
        assert not np.array_equal(whole.data[:half], whole.data[half:])


def test_folders_of_frames_and_tars_give_what_the_videos_give(framebank: Any, clips: Path, tmp_path: Path) -> None:
    from PIL import Image

    from framebank.extract.decoders.decode import count_frames, read_frames

    video = next((clips / "waving").glob("*_train_00.mp4"))
    frames = tmp_path / "frames" / "waving" / "one"
    frames.mkdir(parents=True)
    for number, image in enumerate(read_frames(video, np.arange(count_frames(video))).data):
        Image.fromarray(image).save(frames / f"img_{number + 1:05d}.png")
    with tarfile.open(tmp_path / "data.tar", "w") as tar:
        tar.add(video, "one.mp4")
        (tmp_path / "one.cls").write_text("waving")
        tar.add(tmp_path / "one.cls", "one.cls")
    sources = {"file": video, "frames": tmp_path / "frames", "tar": tmp_path / "data.tar"}
    for name, source in sources.items():
        framebank("extract", source, tmp_path / "stores" / name, "--model", "demo", "--frames", 4)
    stores = {name: FeatureStore(tmp_path / "stores" / name) for name in sources}
    data = {name: next(iter(store.values())).data for name, store in stores.items()}
    np.testing.assert_array_equal(data["file"], data["frames"])
    np.testing.assert_array_equal(data["file"], data["tar"])
    assert stores["frames"].manifest.labels == stores["tar"].manifest.labels == ("waving",)
    assert set(stores["frames"].decoders.values()) == {"images"}


@pytest.mark.slow
def test_streams_are_stored_beside_the_frame(framebank: Any, clips: Path, tmp_path: Path) -> None:
    video = next((clips / "waving").glob("*_train_00.mp4"))
    options = ("--model", "ViT-S-32-alt", "--pretrained", "none", "--frames", 4, "--precision", "fp32")
    streams = "frame,pre_proj,regions:2,patch_mean,layers:1+-1"
    framebank("extract", video, tmp_path / "s", *options, "--streams", streams, "--view", "centre+flip")
    framebank("extract", video, tmp_path / "plain", *options, "--view", "centre+flip")
    found, plain = FeatureStore(tmp_path / "s"), FeatureStore(tmp_path / "plain")
    np.testing.assert_array_equal(found[video.stem].data, plain[video.stem].data)
    shapes = {name: found.read_stream(video.stem, name).shape for name in found.streams}
    width = shapes["pre_proj"][1]
    assert shapes == {
        "frame": (8, found.spec.dim),
        "pre_proj": (8, width),
        "regions": (8, 4, found.spec.dim),
        "layers": (8, 2, width),
        "patch_mean": (2, 49, found.spec.dim),
    }
    assert json.loads(framebank("store", "verify", tmp_path / "s", "--json").stdout)["faults"] == []
    told = sentence(framebank("extract", video, tmp_path / "t", *options, "--streams", "frame,nose", exit_code=1))
    assert "nose" in told


def test_shards_of_the_work_are_joined_by_merge(framebank: Any, clips: Path, store: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        options = ("--model", "demo", "--frames", 8, "--shard", f"{number}/3")
        framebank("extract", clips / "manifest.csv", tmp_path / str(number), *options)
    framebank("store", "merge", *(tmp_path / str(number) for number in (1, 2, 3)), tmp_path / "whole")
    whole, once = FeatureStore(tmp_path / "whole"), FeatureStore(store)
    assert sorted(whole.ids) == sorted(once.ids)
    assert all(np.array_equal(whole[video_id].data, once[video_id].data) for video_id in once)
    assert set(whole.manifest.videos) == set(once.manifest.videos)
    for text in ("0/3", "4/3", "3", "a/b"):
        framebank("extract", clips, tmp_path / "s", "--model", "demo", "--shard", text, exit_code=2)


def test_two_samplings_exclude_each_other(framebank: Any, clips: Path, tmp_path: Path) -> None:
    result = framebank("extract", clips, tmp_path / "s", "--model", "demo", "--fps", 2, "--frames", 4, exit_code=2)
    assert "--frames and --fps exclude each other" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_interrupted_it_says_how_to_go_on(framebank: Any, clips: Path, tmp_path: Path, name: str, code: int) -> None:
    """A terminal, and whoever ends a service, tell all its processes; the videos are not blamed for it."""
    command = [sys.executable, "-m", "framebank.cli", "extract", str(clips / "manifest.csv"), str(tmp_path / "s")]
    command += ["--model", "demo", "--every-frame"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(scratch)},
    )
    while not list(scratch.glob("framebank-*")):  # torch leaves a folder of its own there
        time.sleep(0.02)
    time.sleep(0.5)
    os.killpg(process.pid, getattr(signal, name))
    told = process.communicate(timeout=60)[1]
    if process.returncode == 0:
        pytest.skip("it was done before it could be interrupted")
    assert process.returncode == code
    assert told.count("stopped") == 1 and "Traceback" not in told
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nobody of its session is left
    assert not [path for path in scratch.iterdir() if path.name.startswith(("framebank-", "pymp-"))]
    assert not (tmp_path / "s" / "failed.csv").exists()
    assert not list((tmp_path / "s").glob("*.part"))
    kept = len(FeatureStore(tmp_path / "s")) if list((tmp_path / "s").glob("*.h5")) else 0
    assert f"{'To go on' if kept else 'To begin again'}: framebank extract" in told  # a slow machine has none yet
    if name == "SIGTERM":  # what is kept, and two more
        with (clips / "manifest.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        there = FeatureStore(tmp_path / "s").ids if kept else ()
        rows = [row for row in rows if row["video_id"] in there] + [
            row for row in rows if row["video_id"] not in there
        ][:2]
        with (tmp_path / "some.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, "path": clips / row["path"]} for row in rows)
        command[command.index(str(clips / "manifest.csv"))] = str(tmp_path / "some.csv")
        told = json.loads(framebank(*command[3:], "--json").stdout)
        assert (told["already_there"], told["embedded"]) == (kept, 2)


def test_nothing_embedded_exits_with_1(framebank: Any, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no")
    told = sentence(framebank("extract", tmp_path / "a.mp4", tmp_path / "s", "--model", "demo", exit_code=1))
    assert "none of the 1 videos" in told
    assert (tmp_path / "s" / "failed.csv").exists()


def test_a_store_is_not_mixed(framebank: Any, clips: Path, tmp_path: Path) -> None:
    video = next(clips.glob("*/*.mp4"))
    framebank("extract", video, tmp_path / "s", "--model", "demo", "--frames", 2)
    told = sentence(framebank("extract", video, tmp_path / "s", "--model", "demo", "--frames", 4, exit_code=1))
    assert "segments:2" in told
    assert "segments:4" in told


@pytest.mark.slow
def test_a_class_written_in_two_ways_is_one(framebank: Any, clips: Path, tmp_path: Path) -> None:
    rows = [
        (f"{name}{number}", path, name.title() if number else name)
        for name in ("waving", "drinking")
        for number, path in enumerate(sorted((clips / name).glob("*.mp4"))[:2])
    ]
    lines = [f"{video_id},{path},{label},train" for video_id, path, label in rows]
    (tmp_path / "v.csv").write_text("\n".join(["video_id,path,label,split", *lines]) + "\n")
    told = (
        "note: 2 classes are written in several ways, which count as one class: "
        "'Drinking', 'drinking'; 'Waving', 'waving'"
    )
    result = framebank("extract", tmp_path / "v.csv", tmp_path / "s", "--model", "demo", "--frames", 2)
    assert told in result.stderr.splitlines()
    for command in (
        ("zeroshot", tmp_path / "s", "--split", "all"),
        ("train", tmp_path / "s", tmp_path / "run", "--epochs", 1, "--val-fraction", 0),
        ("train", tmp_path / "s", tmp_path / "probe", "--head", "mean", "--classifier", "linear", "--epochs", 1),
    ):
        assert framebank(*command).stderr.count(told) == 1, command
    report = json.loads(framebank("evaluate", tmp_path / "run", "--split", "all", "--json").stdout)
    assert report["labels"] == ["Drinking", "Waving"]
    assert report["videos_evaluated"] == 4
