"""The front door: every command on real rendered videos, what it prints, and what it says to bad input."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import Result

from framebank.store import FeatureStore

ROOT = Path(__file__).parents[1]
LABELS = ROOT / "demo" / "labels.json"


def sentence(result: Result) -> str:
    """The one line that says what is wrong."""
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, result.output
    assert "Traceback" not in result.output
    return errors[0]


def commands() -> Iterator[tuple[str, click.Command]]:
    from framebank.cli import main

    for name, command in main.commands.items():
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", part) for inner, part in command.commands.items())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, store: Path, framebank: Any) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    framebank("train", store, folder, "--head", "conv1d", "--epochs", 3)
    return folder


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, store: Path, framebank: Any) -> Path:
    folder = tmp_path_factory.mktemp("indexes") / "index"
    framebank("index", store, folder)
    return folder


# --- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "command"), [pytest.param(*pair, id=pair[0]) for pair in commands()])
def test_every_command_has_help_with_an_example_and_stands_in_the_readme(name: str, command: click.Command) -> None:
    assert command.help
    if not isinstance(command, click.Group):
        assert f"framebank {name} " in command.help
        assert f"framebank {name}" in (ROOT / "README.md").read_text(encoding="utf-8")
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, f"{name} {parameter.name}"


def test_version(framebank: Any) -> None:
    assert framebank("--version").stdout.startswith("framebank, version ")


def test_wrong_usage_exits_with_2(framebank: Any, store: Path, clips: Path, index: Path, tmp_path: Path) -> None:
    framebank("extract", clips, exit_code=2)
    framebank("extract", clips, tmp_path / "s", exit_code=2)  # no --model
    framebank("search", index, exit_code=2)
    framebank("search", index, "--text", "a", "--id", "b", exit_code=2)
    framebank(
        "train", store, tmp_path / "r", "--head", "mean", "--classifier", "linear", "--texts", "names", exit_code=2
    )


# --- the chain --------------------------------------------------------------------------------------------------------


def test_store_info_tells_what_made_it(framebank: Any, store: Path) -> None:
    info = json.loads(framebank("store", "info", store, "--json").stdout)
    assert (info["videos"], info["rows"], info["failed"], info["streams"]) == (64, 512, 0, ["frame"])
    assert info["splits"] == {"test": 16, "train": 48}
    assert info["spec"]["model"] == "demo"
    assert info["spec"]["sampling"] == "segments:8"
    assert len(info["spec"]["weights_hash"]) == 32
    told = framebank("store", "info", store).stdout
    assert info["spec"]["weights_hash"] in told
    assert "segments:8" in told


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


def test_zeroshot_scores_names_and_descriptions_both_ways(framebank: Any, store: Path) -> None:
    report = json.loads(framebank("zeroshot", store, "--labels", LABELS, "--json").stdout)
    ways = [(score["texts"], score["scoring"]) for score in report["scores"]]
    assert ways == [(t, s) for t in ("names", "descriptions") for s in ("probabilities", "embeddings")]
    assert report["videos_evaluated"] == report["videos_listed"] == 16
    for name in ("top1", "top5", "mean_class_accuracy"):
        assert 0 <= report[name] <= 1
    facts = report["made_by"]
    assert (facts["model"], facts["split"], len(facts["templates"])) == ("demo", "test", 16)
    assert {"weights_hash", "sampling", "decoder", "protocol_hash", "videos_evaluated"} <= set(facts)
    chosen = framebank(
        "zeroshot", store, "--labels", LABELS, "--texts", "descriptions", "--scoring", "embeddings", "--json"
    )
    first = json.loads(chosen.stdout)
    assert (first["texts"], first["scoring"]) == ("descriptions", "embeddings")
    assert first["top1"] == report["scores"][3]["top1"]


def test_prompts_from_a_file_score_as_those_made_on_the_way(framebank: Any, store: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("someone {}\n{} is shown\n")
    framebank("prompts", LABELS, tmp_path / "p.h5", "--like", store, "--templates", tmp_path / "t.txt")
    by_file = json.loads(framebank("zeroshot", store, "--prompts", tmp_path / "p.h5", "--json").stdout)
    options = ("--labels", LABELS, "--templates", tmp_path / "t.txt", "--texts", "names")
    by_labels = json.loads(framebank("zeroshot", store, *options, "--json").stdout)
    assert by_file["confusion"] == by_labels["confusion"]
    assert by_file["made_by"]["templates"] == ["someone {}", "{} is shown"]


def test_train_leaves_a_run_and_evaluate_measures_it(framebank: Any, run: Path) -> None:
    assert {path.name for path in run.iterdir()} >= {"recipe.toml", "checkpoint.safetensors", "log.csv"}
    assert len((run / "log.csv").read_text().splitlines()) == 4
    report = json.loads(framebank("evaluate", run, "--json").stdout)
    assert report["videos_evaluated"] == report["videos_listed"] == 16
    assert np.array(report["confusion"]).sum() == 16
    assert report["made_by"]["recipe"]["head"] == "conv1d"
    assert json.loads((run / "metrics.json").read_text())["top1"] == report["top1"]
    with np.load(run / "predictions.npz", allow_pickle=False) as saved:
        assert saved["scores"].shape == (16, 16)
        assert (saved["scores"].argmax(1) == saved["targets"]).mean() == pytest.approx(report["top1"])
    assert "protocol" in framebank("evaluate", run, "--split", "train").stdout


@pytest.mark.parametrize("head", ["mean", "conv1d", "lstm", "transformer", "transformer-cls"])
@pytest.mark.parametrize("classifier", ["text", "linear"])
def test_every_head_trains_with_every_classifier(
    framebank: Any, store: Path, tmp_path: Path, head: str, classifier: str
) -> None:
    options = ("--head", head, "--classifier", classifier, "--epochs", 1, "--shots", 2, "--json")
    report = json.loads(framebank("train", store, tmp_path / "r", *options).stdout)
    assert (report["train_videos"], report["classes"], report["val_top1"]) == (32, 16, None)
    assert json.loads(framebank("evaluate", tmp_path / "r", "--json").stdout)["videos_evaluated"] == 16


def test_a_trained_head_recognises_other_classes_by_their_texts(
    framebank: Any, store: Path, run: Path, tmp_path: Path
) -> None:
    names = list(json.loads(LABELS.read_text()))
    (tmp_path / "more.txt").write_text("\n".join([*names, "juggling", "swimming"]))
    report = json.loads(framebank("zeroshot", store, "--run", run, "--labels", tmp_path / "more.txt", "--json").stdout)
    assert report["labels"][-2:] == ["juggling", "swimming"]
    assert report["made_by"]["head"] == "conv1d"


def test_search_by_text_by_id_and_by_video_agree(framebank: Any, clips: Path, index: Path) -> None:
    hits = json.loads(framebank("search", index, "--text", "a person lying on the floor", "-k", 5, "--json").stdout)[
        "hits"
    ]
    assert len(hits) == 5
    assert set(hits[0]) == {"video_id", "score", "label"}
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    of_id = json.loads(framebank("search", index, "--id", "falling_down_train_00", "-k", 4, "--json").stdout)["hits"]
    assert "falling_down_train_00" not in {hit["video_id"] for hit in of_id}
    video = clips / "falling_down" / "falling_down_train_00.mp4"
    of_video = json.loads(framebank("search", index, "--video", video, "-k", 5, "--json").stdout)["hits"]
    assert of_video[0]["video_id"] == "falling_down_train_00"
    assert of_video[0]["score"] == pytest.approx(1, abs=1e-3)
    assert [hit["video_id"] for hit in of_video[1:]] == [hit["video_id"] for hit in of_id]


def test_label_by_run_by_index_and_by_texts(framebank: Any, clips: Path, store: Path, run: Path, index: Path) -> None:
    video = clips / "falling_down" / "falling_down_train_00.mp4"
    by_index = json.loads(framebank("label", video, "--index", index, "-k", 1, "--json").stdout)
    assert by_index["videos"][0]["labels"] == [{"label": "falling down", "score": 1.0}]
    for options in (("--run", run), ("--labels", LABELS, "--like", store), ("--labels", LABELS, "--model", "demo")):
        (answer,) = json.loads(framebank("label", video, *options, "--top", 16, "--json").stdout)["videos"]
        assert sum(one["score"] for one in answer["labels"]) == pytest.approx(1, abs=1e-4)
    assert "falling down" in framebank("label", video, "--index", index, "-k", 1).stdout


def test_label_of_a_video_equals_its_stored_prediction(framebank: Any, clips: Path, run: Path) -> None:
    framebank("evaluate", run)
    with np.load(run / "predictions.npz") as saved:
        row = list(saved["video_ids"]).index("waving_test_00")
        expected = dict(zip(saved["labels"].tolist(), saved["scores"][row].tolist(), strict=True))
    video = clips / "waving" / "waving_test_00.mp4"
    (answer,) = json.loads(framebank("label", video, "--run", run, "--top", 16, "--json").stdout)["videos"]
    for one in answer["labels"]:
        assert one["score"] == pytest.approx(expected[one["label"]], abs=0.02)


def test_random_weights_are_said_loudly(framebank: Any, clips: Path, tmp_path: Path) -> None:
    video = clips / "falling_down" / "falling_down_train_00.mp4"
    result = framebank("extract", video, tmp_path / "s", "--model", "RN50", "--frames", 1)
    assert "RANDOM WEIGHTS" in result.stderr
    assert "RANDOM WEIGHTS" in framebank("store", "info", tmp_path / "s").stdout


# --- bad input --------------------------------------------------------------------------------------------------------


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

    from framebank.extract.decode import count_frames, read_frames

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
        framebank("extract", source, tmp_path / name, "--model", "demo", "--frames", 4)
    stores = {name: FeatureStore(tmp_path / name) for name in sources}
    data = {name: next(iter(store.values())).data for name, store in stores.items()}
    np.testing.assert_array_equal(data["file"], data["frames"])
    np.testing.assert_array_equal(data["file"], data["tar"])
    assert stores["frames"].manifest.labels == stores["tar"].manifest.labels == ("waving",)
    assert set(stores["frames"].decoders.values()) == {"images"}


@pytest.mark.slow
def test_streams_are_stored_beside_the_frame(framebank: Any, clips: Path, tmp_path: Path) -> None:
    video = next((clips / "waving").glob("*_train_00.mp4"))
    options = ("--model", "ViT-S-32-alt", "--frames", 4, "--precision", "fp32")
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
def test_interrupted_it_says_how_to_go_on(clips: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "framebank.cli", "extract", str(clips / "manifest.csv"), str(tmp_path / "s")]
    command += ["--model", "demo", "--every-frame"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "s" / "manifest.csv").exists():
        time.sleep(0.05)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    if process.returncode == 0:
        pytest.skip("it was done before it could be interrupted")
    assert process.returncode == 130
    assert "To go on: framebank extract" in told
    assert not list((tmp_path / "s").glob("*.part"))
    kept = len(FeatureStore(tmp_path / "s")) if list((tmp_path / "s").glob("*.h5")) else 0
    again = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(again.stdout)["already_there"] == kept


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


def test_outputs_that_cannot_be_written(framebank: Any, clips: Path, store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    video = next(clips.glob("*/*.mp4"))
    for inside in (tmp_path / "file", tmp_path / "file" / "deeper"):
        assert "file" in sentence(framebank("extract", video, inside, "--model", "demo", exit_code=1))
        assert "file" in sentence(framebank("train", store, inside, "--epochs", 1, exit_code=1))
        assert "file" in sentence(framebank("index", store, inside, exit_code=1))
    told = sentence(framebank("prompts", LABELS, tmp_path / "file" / "p.h5", "--like", store, exit_code=1))
    assert "cannot be written" in told


@pytest.mark.slow
def test_no_room_for_a_run(store: Path, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); import conftest; import resource; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**14, 2**14)); from framebank.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "train", str(store), str(tmp_path / "r"), "--head", "lstm", "--epochs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "checkpoint.safetensors: cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "r").iterdir()) == []


def test_classes_that_do_not_fit(framebank: Any, store: Path, run: Path, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("sitting down\nwaving\n")
    told = sentence(framebank("zeroshot", store, "--labels", tmp_path / "few.txt", exit_code=1))
    assert "few.txt" in told
    assert "without" in told
    framebank("prompts", tmp_path / "few.txt", tmp_path / "few.h5", "--like", store)
    assert "few.h5" in sentence(framebank("evaluate", run, "--prompts", tmp_path / "few.h5", exit_code=1))
    assert "few.h5" in sentence(
        framebank("train", store, tmp_path / "r", "--prompts", tmp_path / "few.h5", exit_code=1)
    )
    framebank("train", store, tmp_path / "linear", "--classifier", "linear", "--head", "mean", "--epochs", 1)
    framebank("prompts", LABELS, tmp_path / "all.h5", "--like", store)
    told = sentence(framebank("evaluate", tmp_path / "linear", "--prompts", tmp_path / "all.h5", exit_code=1))
    assert "linear" in told
    assert not (tmp_path / "r" / "checkpoint.safetensors").exists()


def test_a_run_on_a_store_sampled_otherwise(framebank: Any, clips: Path, run: Path, tmp_path: Path) -> None:
    framebank("extract", clips / "manifest.csv", tmp_path / "s", "--model", "demo", "--frames", 3)
    told = framebank("evaluate", run, "--store", tmp_path / "s", "--split", "test", "--json").stdout
    assert json.loads(told)["made_by"]["sampling"] == "segments:3"


def test_a_store_without_labels(framebank: Any, clips: Path, tmp_path: Path) -> None:
    framebank("extract", *sorted((clips / "falling_down").glob("*")), tmp_path / "s", "--model", "demo", "--frames", 3)
    told = sentence(framebank("zeroshot", tmp_path / "s", "--split", "all", exit_code=1))
    assert "label" in told  # single files have none


def test_stores_runs_and_indexes_that_are_none(framebank: Any, store: Path, run: Path, tmp_path: Path) -> None:
    for command in (("zeroshot",), ("store", "info")):
        assert "no such store" in sentence(framebank(*command, tmp_path / "gone", exit_code=1))
    assert "no shard" in sentence(framebank("zeroshot", tmp_path, exit_code=1))
    assert "checkpoint" in sentence(framebank("evaluate", tmp_path, exit_code=1))
    assert "is no index" in sentence(framebank("search", tmp_path, "--text", "a", exit_code=1))
    assert "'nowhere'" in sentence(framebank("zeroshot", store, "--split", "nowhere", exit_code=1))
    assert "already holds a run" in sentence(framebank("train", store, run, exit_code=1))


def test_numbers_that_are_too_large(framebank: Any, store: Path, index: Path, tmp_path: Path) -> None:
    told = sentence(framebank("search", index, "--text", "a person", "-k", 65, exit_code=1))
    assert "65" in told
    assert "64" in told
    assert "63" in sentence(framebank("search", index, "--id", "falling_down_train_00", "-k", 64, exit_code=1))
    assert "4 shots" in sentence(framebank("train", store, tmp_path / "r", "--shots", 4, exit_code=1))
    assert "no video 'x'" in sentence(framebank("search", index, "--id", "x", exit_code=1))


def test_values_that_make_no_sense(framebank: Any, clips: Path, store: Path, tmp_path: Path) -> None:
    video, run = next(clips.glob("*/*.mp4")), tmp_path / "r"
    wrong = framebank("extract", video, tmp_path / "s", "--model", "demo", "--decoder", "foo", exit_code=2)
    assert "'foo' is not one of 'auto', 'pyav', 'torchcodec', 'decord'" in wrong.stderr
    for option, value in (("--lr", "nan"), ("--weight-decay", -1), ("--label-smoothing", 2), ("--seed", -1)):
        assert option[2:].replace("-", "_") in sentence(framebank("train", store, run, option, value, exit_code=1))
    for option in ("--head", "--classifier", "--loss"):
        assert "'foo' is none of" in framebank("train", store, run, option, "foo", exit_code=2).stderr
    assert not run.exists()
    assert not (tmp_path / "s").exists()


def test_a_class_without_videos_cannot_be_trained(framebank: Any, store: Path, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("\n".join([*json.loads(LABELS.read_text()), "flying"]))
    told = sentence(framebank("train", store, tmp_path / "r", "--labels", tmp_path / "more.txt", exit_code=1))
    assert "'flying' has no training video" in told


def test_zeroshot_scores_among_all_classes_of_the_store(framebank: Any, clips: Path, tmp_path: Path) -> None:
    with (clips / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train" or row["label"] == "waving"]
    with (tmp_path / "m.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["video_id", "path", "label", "split"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "path": clips / row["path"]} for row in rows)
    framebank("extract", tmp_path / "m.csv", tmp_path / "s", "--model", "demo", "--frames", 2)
    assert len(json.loads(framebank("zeroshot", tmp_path / "s", "--json").stdout)["labels"]) == 16


def test_training_again_leaves_nothing_of_the_run_before(framebank: Any, store: Path, tmp_path: Path) -> None:
    framebank("train", store, tmp_path / "r", "--head", "mean", "--epochs", 1)
    framebank("evaluate", tmp_path / "r")
    assert (tmp_path / "r" / "metrics.json").exists()
    framebank("train", store, tmp_path / "r", "--head", "lstm", "--epochs", 1, "--overwrite")
    assert not (tmp_path / "r" / "metrics.json").exists()
    assert 'texts = "names"' in (tmp_path / "r" / "recipe.toml").read_text()


def test_the_protocol_does_not_depend_on_where_things_lie(
    framebank: Any, store: Path, run: Path, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "moved")
    shutil.copytree(store, tmp_path / "store")
    here = json.loads(framebank("evaluate", run, "--json").stdout)["made_by"]
    there = framebank("evaluate", tmp_path / "moved", "--store", tmp_path / "store", "--json")
    assert json.loads(there.stdout)["made_by"]["protocol_hash"] == here["protocol_hash"]


def test_an_index_of_other_files(framebank: Any, store: Path, index: Path, tmp_path: Path) -> None:
    framebank("index", store, tmp_path / "test", "--split", "test")
    shutil.copy(index / "index.faiss", tmp_path / "test" / "index.faiss")
    told = sentence(framebank("search", tmp_path / "test", "--text", "a person", exit_code=1))
    assert "different indexes" in told


def test_label_says_which_video_could_not_be_read(framebank: Any, clips: Path, run: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no")
    good = clips / "falling_down" / "falling_down_train_00.mp4"
    result = framebank("label", tmp_path / "bad.mp4", good, "--run", run, exit_code=1)
    assert str(good) in result.stdout
    assert "bad.mp4" in sentence(result)


def test_the_installed_command_runs_from_anywhere(tmp_path: Path) -> None:
    start = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); import conftest"
    code = f"{start}; from framebank.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "store", "info", "nowhere"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: nowhere: no such store; expected a folder made by `framebank extract`\n"
