"""Confidence through the commands: a temperature kept in a run, sets of labels, and answers that are held back."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.store import Manifest
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.heads import write_world


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, framebank: Any) -> tuple[Path, Path]:
    """A store, and a run of it whose temperature was fitted on a store that it has not seen: the folder's "held"."""
    folder = tmp_path_factory.mktemp("temperature")
    place = write_world(folder / "store").store.path
    options = ("--head", "mean", "--classifier", "linear", "--loss", "ce", "--epochs", 5)
    framebank("train", place, folder / "run", *options)
    write_world(folder / "held", seed=1)
    rename_train(folder / "held")
    framebank("temperature", folder / "run", "--store", folder / "held", "--split", "held")
    return place, folder / "run"


def rename_train(store: Path) -> None:
    """Call the split train of a store "held"."""
    videos = fb.open(store).manifest.videos
    Manifest(tuple(replace(video, split=video.split.replace("train", "held")) for video in videos)).write(
        store / "manifest.csv"
    )


def test_a_temperature_is_kept_and_told(framebank: Any, fitted: tuple[Path, Path], tmp_path: Path) -> None:
    store, run = fitted
    report = json.loads(framebank("evaluate", run, "--json").stdout)
    found = report["confidence"]
    assert found["temperature"] == report["made_by"]["confidence"]["temperature"] < 1
    assert found["ece"] < found["unscaled"]["ece"]
    assert {"brier", "nll", "reliability", "coverage", "aurc"} <= set(found)
    assert f"({100 * found['unscaled']['ece']:.1f} % unscaled)" in framebank("evaluate", run).stdout
    scaled = fb.open(run)
    assert isinstance(scaled, fb.TrainedRun)
    video = fb.open(store)["wave-test-0"].data
    raw = tmp_path / "raw"
    shutil.copytree(run, raw)
    told = json.loads(framebank("temperature", raw, "--off", "--json").stdout)
    assert told["videos"] == 0
    assert not (raw / "metrics.json").exists()
    plain = fb.TrainedRun.open(raw)
    expected = plain.score(video) ** (1 / found["temperature"])
    assert scaled.score(video) == pytest.approx(expected / expected.sum(), abs=1e-6)
    held = ("--store", run.parent / "held", "--split", "held")
    again = json.loads(framebank("temperature", raw, *held, "--by-class", "--json").stdout)
    assert again["by_class"] and again["videos"] == 48
    with np.load(run / "predictions.npz") as saved:
        row = saved["video_ids"].tolist().index("wave-test-0")
        assert saved["scores"][row] == pytest.approx(scaled.score(video), abs=1e-6)


def test_train_fits_it_where_there_are_videos_enough(framebank: Any, fitted: tuple[Path, Path], tmp_path: Path) -> None:
    store, _ = fitted
    options = ("--head", "mean", "--classifier", "linear", "--loss", "ce", "--epochs", 2)
    framebank("train", store, tmp_path / "few", *options)  # 12 videos in the split val
    assert fb.TrainedRun.open(tmp_path / "few").run.model.scaling is None
    done = framebank("train", store, tmp_path / "run", *options, "--val-split", "test", "--json")
    assert "what is kept is chosen on the split 'test', so figures on it will be too good" in done.stderr
    assert json.loads(done.stdout)["confidence"].keys() == {"temperature", "videos"}
    scaling = fb.TrainedRun.open(tmp_path / "run").run.model.scaling
    assert scaling and scaling.videos == len(scaling.scores) == 22


def test_sets_and_answers_held_back(framebank: Any, fitted: tuple[Path, Path], tmp_path: Path) -> None:
    store, run = fitted
    arguments = ("predict", store, "--run", run, "--split", "test", "--csv", tmp_path / "out.csv")
    framebank(*arguments, "--sets", 0.9, exit_code=1)  # one video has no embedding
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    held = {row["video_id"]: row["set"].split(";") for row in rows}
    assert np.mean([video.partition("-test")[0] in held[video] for video in held if "-test" in video]) >= 0.5
    framebank(*arguments, "--abstain-below", 1.0, exit_code=1)
    with (tmp_path / "out.csv").open() as file:
        assert {row["label"] for row in csv.DictReader(file)} == {"unknown"}
    found = fb.TrainedRun.open(run).predict(store, split="test", sets=0.9)
    assert {one.video.video_id: list(one.label_set or ()) for one in found} == {
        video: [name for name in names if name] for video, names in held.items()
    }
    assert "expected 99 or more for 99 %" in sentence(framebank(*arguments, "--sets", 0.99, exit_code=1))
    assert "go with --run" in framebank("predict", store, "--labels", run, "--sets", 0.9, exit_code=2).stderr


@pytest.mark.slow
def test_a_new_video_has_a_set(framebank: Any, store: Path, run: Path, clips: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    shutil.copytree(store, tmp_path / "held")
    rename_train(tmp_path / "held")
    framebank("temperature", tmp_path / "run", "--store", tmp_path / "held", "--split", "held")
    video = next((clips / "waving").iterdir())
    told = json.loads(framebank("label", video, "--run", tmp_path / "run", "--sets", 0.9, "--json").stdout)
    assert isinstance(told["videos"][0]["set"], list)
    assert "    set: " in framebank("label", video, "--run", tmp_path / "run", "--sets", 0.9).stdout
    by_class = framebank("label", video, "--run", tmp_path / "run", "--sets", 0.9, "--sets-by-class")
    assert "classes have fewer than 9 validation videos" in by_class.stderr


def test_what_cannot_be_fitted(framebank: Any, fitted: tuple[Path, Path], tmp_path: Path) -> None:
    _, run = fitted
    before = (run / "checkpoint.safetensors").read_bytes()
    assert "not fitted on the split 'test'" in sentence(framebank("temperature", run, "--split", "test", exit_code=1))
    told = sentence(framebank("temperature", run, "--split", "val", exit_code=1))
    assert "there are 12 validation videos to fit a temperature by; expected 20 or more" in told
    for split in ("train", "all"):
        told = sentence(framebank("temperature", run, "--split", split, exit_code=1))
        assert f"not fitted on the split '{split}', which may hold videos that the run was trained on" in told
    assert (run / "checkpoint.safetensors").read_bytes() == before


def test_the_split_that_a_run_was_trained_on_is_refused(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    _, run = fitted
    made = fb.train(run.parent / "held", tmp_path / "run", recipe="linear-probe", split="held", epochs=1)
    with pytest.raises(fb.DataError, match="not fitted on the split 'held'"):
        fb.fit_temperature(made, split="held")
    assert made.run.model.scaling is None


def test_off_can_be_undone(framebank: Any, fitted: tuple[Path, Path], tmp_path: Path) -> None:
    store, run = fitted
    changed = tmp_path / "run"
    shutil.copytree(run, changed)
    video = fb.open(store)["wave-test-0"].data
    before = fb.TrainedRun.open(changed)
    assert before.run.model.scaling
    told = sentence(framebank("temperature", changed, "--on", exit_code=1))
    assert "tells them already" in told
    framebank("temperature", changed, "--off")
    framebank("temperature", changed, "--off")  # again: what was taken out stays there
    assert fb.TrainedRun.open(changed).run.model.scaling is None
    told = json.loads(framebank("temperature", changed, "--on", "--json").stdout)
    after = fb.TrainedRun.open(changed)
    assert told["temperature"] == after.run.model.scaling.temperature == before.run.model.scaling.temperature
    assert after.run.trained_on == before.run.trained_on  # the scores for conformal sets too
    assert np.array_equal(after.score(video), before.score(video))
    fb.fit_temperature(changed, run.parent / "held", "held", by_class=True)
    framebank("temperature", changed, "--off")
    fb.fit_temperature(changed, run.parent / "held", "held")
    assert "tells them already" in sentence(framebank("temperature", changed, "--on", exit_code=1))


def test_training_videos_that_moved_to_another_split_are_told(framebank: Any, tmp_path: Path) -> None:
    store = write_world(tmp_path / "store").store.path
    framebank("train", store, tmp_path / "run", "--head", "mean", "--classifier", "linear", "--epochs", 1)
    assert "was trained on" not in framebank("evaluate", tmp_path / "run").stderr
    framebank("store", "relabel", store, tmp_path / "moved.csv", exit_code=1)
    (tmp_path / "moved.csv").write_text(
        "video_id,split\n"
        + "".join(f"{name}-train-{n},{'test' if n else 'held'}\n" for name in ("wave", "clap") for n in range(2))
    )
    framebank("store", "relabel", store, tmp_path / "moved.csv")
    told = " ".join(framebank("evaluate", tmp_path / "run").stderr.split())
    assert "was trained on 2 of the 26 videos of the split test: wave-train-1, clap-train-1" in told
    told = sentence(framebank("temperature", tmp_path / "run", "--split", "held", exit_code=1))
    assert "was trained on 2 videos of the split 'held': wave-train-0, clap-train-0" in told
    other = write_world(tmp_path / "other", seed=3).store.path  # another store, whose videos have the same names
    assert "was trained on" not in framebank("evaluate", tmp_path / "run", "--store", other).stderr


def test_a_training_video_with_another_label_now_is_left_out(framebank: Any, tmp_path: Path) -> None:
    place = write_world(tmp_path / "store", splits={"train": 12, "val": 12}).store.path
    framebank("train", place, tmp_path / "run", "--head", "mean", "--classifier", "linear", "--epochs", 5)
    first, second = (video.video_id for video in fb.open(place).split("train").videos[:2])
    framebank("store", "relabel", place, "--set", f"{first}=a new class", "--set", f"{second}=wave;clap")
    assert "temperature" in framebank("temperature", tmp_path / "run", "--split", "val").stdout


def test_the_test_split_is_refused_by_any_of_its_names(framebank: Any, tmp_path: Path) -> None:
    place = write_world(tmp_path / "store", splits={"train": 12, "test": 12}).store.path
    videos = fb.open(place).manifest.videos  # a store of an earlier version may have the other name
    Manifest(tuple(replace(v, split=v.split.replace("test", "testing")) for v in videos)).write(place / "manifest.csv")
    framebank("train", place, tmp_path / "run", "--head", "mean", "--classifier", "linear", "--epochs", 1)
    for name in ("test", "testing"):
        told = sentence(framebank("temperature", tmp_path / "run", "--split", name, exit_code=1))
        assert "is not fitted on the split 'testing', which measures it" in told


@pytest.mark.parametrize("loss", ["ce", "bce"])
def test_videos_of_one_source_with_training_videos_never_make_a_run_surer(
    framebank: Any, tmp_path: Path, loss: str
) -> None:
    place = write_world(tmp_path / "store", splits={"train": 12, "val": 12}).store.path
    options = ("--head", "mean", "--classifier", "linear", "--loss", loss, "--epochs", 5)
    assert "too easy" not in framebank("train", place, tmp_path / "apart", *options).stderr
    assert fb.TrainedRun.open(tmp_path / "apart").run.model.scaling.temperature < 1  # type: ignore[union-attr]
    videos = fb.open(place).manifest.videos
    Manifest(tuple(replace(video, group=video.video_id[-1] + video.label) for video in videos)).write(
        place / "manifest.csv"
    )
    note = "48 of 48 validation videos are, or look, of one source with training videos"
    assert note in framebank("train", place, tmp_path / "run", *options).stderr
    assert fb.TrainedRun.open(tmp_path / "run").run.model.scaling.temperature == 1  # type: ignore[union-attr]
    fitted = framebank("temperature", tmp_path / "apart", "--split", "val")
    assert "temperature 1.000" in fitted.stdout and note in fitted.stderr
    told = sentence(framebank("temperature", tmp_path / "apart", "--split", "val", "--by-class", exit_code=1))
    assert note in told and "needs videos of other sources" in told
