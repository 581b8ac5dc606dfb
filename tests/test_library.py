"""The library as a script and a notebook use it: the whole chain by a few calls, and what comes back."""

import doctest
import importlib
import inspect
import json
import os
import pydoc
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.demo.clips import render_clips
from framebank.heads.training.recipe import read_recipe
from framebank.store import DataError, FeatureStore, PromptBank
from framebank.store.errors import DataWarning

LABELS = Path(__file__).parents[1] / "demo" / "labels.json"
NUM_TRAIN, NUM_TEST = 3, 2


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's clips; those of four of its classes."""
    folder = tmp_path_factory.mktemp("clips") / "videos"
    for _ in render_clips(folder, num_train=NUM_TRAIN, num_test=NUM_TEST, seed=0):
        pass
    return folder


@pytest.fixture(scope="module")
def bank(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return fb.extract(videos / "manifest.csv", tmp_path_factory.mktemp("bank") / "bank", model="demo", frames=4)


@pytest.fixture(scope="module")
def run(bank: FeatureStore, tmp_path_factory: pytest.TempPathFactory) -> fb.TrainedRun:
    folder = tmp_path_factory.mktemp("run") / "run"
    return fb.train(bank, folder, head="mean", classifier="linear", loss="ce", epochs=20, lr=0.01)


def test_import_is_light_and_finds_the_rooms() -> None:
    code = (
        "import sys, framebank; assert not {'torch', 'numpy', 'h5py', 'click'} & set(sys.modules);"
        "assert framebank.store.FeatureStore; assert 'torch' not in sys.modules;"
        "assert framebank.heads.HEADS and framebank.extract.TEMPLATES and callable(framebank.extract);"
        "assert {'open', 'extract', 'store'} <= set(dir(framebank))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})


def test_the_help_of_a_room_that_is_called_is_that_of_the_call() -> None:
    shown = pydoc.render_doc(fb.extract, renderer=pydoc.plaintext)
    assert "framebank.extract - Embed the frames of videos into the folder `store`" in shown
    assert "extract(videos: " in shown and ">>> bank = fb.extract(" in shown
    assert list(inspect.signature(fb.extract).parameters)[:2] == ["videos", "store"]


def test_every_public_name_is_there() -> None:
    for name in fb.__all__:
        assert getattr(fb, name) is not None
    with pytest.raises(AttributeError, match="'framebank' has no attribute 'no_such_name'"):
        _ = fb.no_such_name  # type: ignore[attr-defined]


def test_extract_gives_the_store_and_goes_on_with_it(bank: FeatureStore, videos: Path) -> None:
    assert isinstance(bank, FeatureStore)
    assert bank[bank.ids[0]].data.shape == (4, bank.spec.dim)
    again = fb.extract(videos / "manifest.csv", bank.path)  # the store says itself how it was made
    assert again.ids == bank.ids
    with pytest.raises(DataError, match="cannot be mixed"):
        fb.extract(videos / "manifest.csv", bank.path, frames=8)
    with pytest.raises(DataError, match="frames and fps exclude each other"):
        fb.extract(videos, bank.path, frames=8, fps=2)


def test_a_video_that_cannot_be_read_is_told_of(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "run").mkdir(parents=True)
    (tmp_path / "in" / "run" / "good.mp4").write_bytes(next(videos.rglob("*.mp4")).read_bytes())
    (tmp_path / "in" / "run" / "bad.mp4").write_bytes(b"not a video")
    with pytest.warns(DataWarning, match="1 of 2 videos have no embedding"):
        found = fb.extract(tmp_path / "in", tmp_path / "bank", model="demo", frames=2)
    assert found.ids == ("run/good",)
    assert [failure.video_id for failure in found.failures] == ["run/bad"]


def test_zeroshot_says_what_the_command_says(framebank: Any, bank: FeatureStore) -> None:
    report = fb.zeroshot(bank, split="test")
    printed = json.loads(framebank("zeroshot", bank.path, "--json").stdout)
    assert json.loads(json.dumps(report.to_dict())) == printed
    assert framebank("zeroshot", bank.path).stdout == f"{report!r}\n"
    assert report.top1 is not None and report.top5 is not None and report.interval is not None
    assert report.interval[0] < report.top1 < report.interval[1]
    assert report.top5 >= report.top1
    assert sum(map(sum, report.confusion)) == report.videos_evaluated and list(report.classes) == list(report.labels)
    occurring = [value for value in report.classes.values() if value is not None]
    assert np.mean(occurring) == pytest.approx(report.mean_class_accuracy)
    assert len(report.others) == 2  # the ways to average the templates
    assert report.protocol["videos_evaluated"] == report.videos_evaluated
    assert "<td>names</td>" in report._repr_html_()


def test_a_run_scores_and_labels(framebank: Any, bank: FeatureStore, run: fb.TrainedRun, videos: Path) -> None:
    report = run.evaluate(split="test")
    assert json.loads(json.dumps(report.to_dict())) == json.loads(framebank("evaluate", run.path, "--json").stdout)
    assert report.top1 == pytest.approx(0.6, abs=0.4)
    opened = fb.open(run.path)
    assert isinstance(opened, fb.TrainedRun)
    assert opened.labels == run.labels
    assert repr(opened).startswith(f"TrainedRun('{run.path}': mean + linear on ")
    video = next(one for one in bank.manifest.split("train").videos)
    found = run.label(video.path)
    top = found.top(3)
    assert found.label == top[0][0] and len(top) == 3
    assert [score for _, score in top] == sorted((score for _, score in top), reverse=True)  # type: ignore[type-var]
    by_row = dict(zip(run.labels, run.score(bank[video.video_id].data).tolist(), strict=True))
    assert top[0][1] == pytest.approx(by_row[top[0][0]], abs=1e-3)
    several = run.label([video.path, videos / "gone.mp4"])
    assert len(several) == 1 and several[0].label == found.label
    assert "gone.mp4" in several.failed[0].reason
    assert str(several).splitlines()[-1].startswith("failed: ")
    with pytest.raises(DataError, match=r"gone\.mp4"):
        run.label(videos / "gone.mp4")
    stored = run.predict(bank, split="test")
    assert len(stored) == report.videos_evaluated
    right = [one.label == one.video.label for one in stored]
    assert np.mean(right) == pytest.approx(report.top1)


def test_train_takes_recipes_options_and_refuses_what_is_none(bank: FeatureStore, tmp_path: Path) -> None:
    made = fb.train(bank, tmp_path / "a", recipe="linear-probe", epochs=1, settings={"batch_size": 8})
    assert (made.run.recipe.epochs, made.run.recipe.batch_size) == (1, 8)
    with pytest.raises(DataError, match="already holds a run"):
        fb.train(bank, tmp_path / "a", recipe="linear-probe", epochs=1)
    fb.train(bank, tmp_path / "a", recipe="linear-probe", epochs=1, overwrite=True)
    with pytest.raises(DataError, match="a recipe has no key 'epoch'"):
        fb.train(bank, tmp_path / "b", epoch=1)
    with pytest.raises(DataError, match="head_mix is 'much'"):
        fb.train(bank, tmp_path / "b", head_mix="much")
    with pytest.raises(DataError, match="reads no lexicon"):
        fb.train(bank, tmp_path / "b", lexicon=tmp_path / "phrases.h5")
    mixed = fb.train(bank, tmp_path / "b", recipe="linear-probe", epochs=1, head_mix="auto", val_split="test")
    assert mixed.head_mix_score is not None and "(head_mix), chosen on those videos" in mixed.lines()[-1]
    opened = fb.open(mixed.path)
    assert isinstance(opened, fb.TrainedRun) and opened.to_dict()["recipe"] == mixed.to_dict()["recipe"]
    deep = fb.train(bank, tmp_path / "c", head="transformer", epochs=1, settings={"head.num_layers": 1})
    assert deep.run.recipe.head_options["num_layers"] == 1


def test_an_index_finds_learns_and_labels(framebank: Any, bank: FeatureStore, tmp_path: Path) -> None:
    index = fb.index(bank, tmp_path / "index", split="train")
    first = bank.manifest.split("train").videos[0]
    by_id = index.search(first.video_id, k=3)
    assert first.video_id not in [hit.video_id for hit in by_id]
    by_file = index.search(first.path, k=1)
    assert (by_file[0].video_id, by_file[0].label) == (first.video_id, first.label)
    assert by_file[0].score == pytest.approx(1, abs=1e-3)
    by_vector = index.search(bank[first.video_id].data.astype(np.float32).mean(0), k=2)
    assert len(by_vector) == 2
    by_text = index.search("a person lying on the floor", k=4, keep_all=True)
    command = framebank("search", index.path, "--text", "a person lying on the floor", "-k", 4, "--all")
    assert command.stdout == f"{by_text!r}\n"
    assert by_text[1:].hits == by_text.hits[1:]
    assert by_text._repr_html_().count("data:image/jpeg;base64,") == 4
    with pytest.raises(DataError, match="is empty"):
        index.search_text(" ")
    tests = bank.manifest.split("test").videos
    made = index.enroll("my handshake", [tests[0].path, tests[1].path])
    assert made.num_enrolled == 2
    assert "my handshake" in [hit.label for hit in index.search(tests[0].path, k=3)]
    assert index.label(tests[0].path).label
    reopened = fb.open(index.path)
    assert isinstance(reopened, fb.SearchIndex)
    assert len(reopened) == len(index) == NUM_TRAIN * len(bank.manifest.labels) + 2
    assert index.thresholds.classes[0].label == "my handshake"
    told = index.calibrate(share=0.5)
    assert told.to_dict() == json.loads(framebank("calibrate", index.path, "--share", 0.5, "--json").stdout)
    assert framebank("calibrate", index.path, "--share", 0.5).stdout == f"{told!r}\n"
    assert "<td>my handshake</td>" in told._repr_html_()
    assert not index.update(bank).difference
    assert index.enrolled == ("my handshake",)
    assert index.unenroll("my handshake") == 2
    assert len(index) == NUM_TRAIN * len(bank.manifest.labels)


def test_several_sources_are_asked_together(
    framebank: Any, bank: FeatureStore, run: fb.TrainedRun, tmp_path: Path
) -> None:
    index, names = fb.index(bank, tmp_path / "index"), tmp_path / "names.txt"
    names.write_text("\n".join(bank.manifest.labels))
    clip = bank.manifest.videos[0].path
    found = fb.label([clip, tmp_path / "gone.mp4"], run=run, index=index, labels=names)
    assert [answer.by for answer in found[0].answers] == ["run", "texts", "neighbours"]
    assert found[0].label == run.label(clip).label
    asked = ("--run", run.path, "--index", index.path, "--labels", names)
    printed = framebank("label", clip, tmp_path / "gone.mp4", *asked, "--json", exit_code=1)
    assert json.loads(printed.stdout) == json.loads(json.dumps(found.to_dict()))
    told = fb.predict(bank, "test", run=run, csv=tmp_path / "labels.csv")
    assert [one.label for one in told.labels] == [one.label for one in run.predict(bank, "test")]
    shown = framebank("predict", bank.path, "--run", run.path, "--split", "test", "--csv", tmp_path / "labels.csv")
    assert shown.stdout == f"{told!r}\n"
    assert fb.predict(bank, "test", run=run).to_dict()["labelled"] == len(told.labels)
    wrong: dict[str, dict[str, Any]] = {
        "give at least one of run, index, labels and prompts": {},
        "like brings its own model": {"labels": ["a"], "like": bank, "model": "demo"},
        "holds its own classes, templates and texts; give it without labels": {"prompts": names, "labels": names},
        "expected a store that has it": {"labels": ["a", "b"]},
    }
    for sentence, options in wrong.items():
        with pytest.raises(DataError, match=sentence):
            fb.label(clip, **options)


def test_episodes_are_scored_compared_and_trained_on(framebank: Any, bank: FeatureStore, tmp_path: Path) -> None:
    drawn: dict[str, Any] = {"split": "train", "episodes": 40}
    report = fb.fewshot(bank, "otam", options={"smoothing": 0.5}, **drawn)
    options = ("--split", "train", "--episodes", 40, "--option", "smoothing=0.5", "--json")
    printed = json.loads(framebank("fewshot", bank.path, *options).stdout)
    assert [row["accuracy"] for row in printed["scores"]] == [score.accuracy for score in report.scores]
    assert report.interval and report.interval[0] < report.accuracy < report.interval[1]
    assert repr(report).startswith("matcher") and "<td>otam(smoothing=0.5)</td>" in report._repr_html_()
    both = fb.fewshot_compare(bank, tmp_path / "table", matchers=["mean", "max"], shots=[1, 2], **drawn)
    assert [score.accuracy for score in both.reports[0].scores if score.matcher == "mean"] == [
        score.accuracy for score in report.scores if score.matcher == "mean"
    ]
    assert (tmp_path / "table" / "results.md").read_text().splitlines() == both.markdown()
    quick: dict[str, Any] = {"steps": 4, "val_every": 2, "val_episodes": 4, "query": 1, "episodes": 1}
    made = fb.fewshot_train(bank, tmp_path / "trx", "trx", options={"width": 16}, way=4, val_split="test", **quick)
    opened = fb.open(tmp_path / "trx")
    assert isinstance(opened, fb.TrainedMatcher) and opened.labels == made.labels
    assert fb.fewshot(bank, run=opened, **drawn).accuracy == fb.fewshot(bank, run=made, **drawn).accuracy
    with pytest.raises(DataError, match="way is 1, so there is no other class"):
        fb.fewshot(bank, way=1)
    with pytest.raises(DataError, match="reads no texts; labels, prompts"):
        fb.fewshot_train(bank, tmp_path / "new", "trx", labels=["a"])
    assert not (tmp_path / "new").exists()


def test_recipes_are_compared(framebank: Any, bank: FeatureStore, tmp_path: Path) -> None:
    probe = read_recipe("linear-probe")
    recipes = {"linear-probe": probe, "regions": replace(probe, stream="regions")}
    found = fb.compare_recipes(bank, tmp_path / "table", recipes, seeds=1, settings={"epochs": 1})
    assert [standing.recipe for standing in found.standings] == ["linear-probe"]
    assert "has no stream 'regions'" in found.refused["regions"]
    assert json.loads((tmp_path / "table" / "compare.json").read_text()) == json.loads(json.dumps(found.to_dict()))
    options = ("--recipes", "linear-probe", "--seeds", 1, "--set", "epochs=1", "--json")
    printed = json.loads(framebank("compare", bank.path, tmp_path / "again", *options).stdout)
    assert [one["score"] for one in printed["standings"]] == [one.score for one in found.standings]
    assert "not run: regions: " in repr(found)
    assert "<td>linear-probe</td>" in found._repr_html_()
    with pytest.raises(DataError, match="two have the same name"):
        fb.compare_recipes(bank, tmp_path / "new", ["knn", "knn"])
    assert not (tmp_path / "new").exists()


def test_what_a_hand_gives_wrong_is_a_sentence(bank: FeatureStore, run: fb.TrainedRun, tmp_path: Path) -> None:
    index = fb.index(bank, tmp_path / "index")
    wrong = {
        "batch_size is 0; expected 1 or more": lambda: fb.extract(tmp_path, tmp_path / "s", model="demo", batch_size=0),
        "workers is -1; expected 1 or more": lambda: run.label(["a.mp4", "b.mp4"], workers=-1),
        "k is 0; expected 1 or more": lambda: index.search("a person", k=0),
        "the text to search for is empty": lambda: index.search(""),
        "share is 1; expected more than 0": lambda: index.calibrate(share=1),
        "'val' is given without a store": lambda: index.calibrate(split="val"),
        "nope.mp4": lambda: index.search(Path("nope.mp4")),
        "nope.mp4: no such file; expected a video, an id or a text": lambda: index.search("nope.mp4"),
        r"expected numbers \(128,\)": lambda: index.search(np.zeros((4, 128))),
        "scoring is 'nope'; expected probabilities or embeddings": lambda: fb.zeroshot(bank, scoring="nope"),
        "texts is 'nope'; expected names or descriptions": lambda: fb.prompts(["a"], bank, texts="nope"),
        "already holds a store": lambda: fb.train(bank, bank.path, epochs=1),
        "holds checkpoint.safetensors": lambda: fb.extract(bank.manifest.videos[0].path, run.path, model="demo"),
        "zeroshot: bank is a run; expected a store, a text or a path": lambda: fb.zeroshot(run),
        "score: frames are": lambda: run.score(np.zeros((0, 128))),
        "not finite": lambda: run.score(np.full((4, 128), np.nan)),
        "expected another place for the table": lambda: fb.predict(bank, run=run, csv=bank.path / "manifest.csv"),
    }
    for sentence, call in wrong.items():
        with pytest.raises(DataError, match=sentence):
            call()
    assert not (tmp_path / "s").exists()


def test_names_that_are_given_are_no_place(bank: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of names lies nowhere, so a folder that is called labels is free for the table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels").mkdir()
    fb.predict(bank, "test", labels=list(bank.manifest.labels), csv="labels/out.csv")
    assert (tmp_path / "labels" / "out.csv").read_text(encoding="utf-8").startswith("video_id,path")


def test_an_index_searches_on_the_device_that_is_named(bank: FeatureStore, tmp_path: Path) -> None:
    index = fb.index(bank, tmp_path / "index", device="auto")
    assert index.whole.device == "auto"
    index.update(bank)
    assert index.whole.device == "auto"


def test_several_processes_need_a_head(bank: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(DataError, match="torchrun trains a head that is named"):
        fb.train(bank, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_text_is_no_file_however_long_it_is(bank: FeatureStore, tmp_path: Path) -> None:
    index = fb.index(bank, tmp_path / "index")
    assert len(index.search("a person " * 60, k=2, keep_all=True)) == 2
    assert bank.ids[0] in index and "none" not in index


def test_objects_are_taken_where_files_are(bank: FeatureStore, run: fb.TrainedRun, tmp_path: Path) -> None:
    names = list(bank.manifest.labels)
    texts = fb.prompts(names, bank)
    assert fb.zeroshot(bank, prompts=texts).top1 == fb.zeroshot(bank, labels=names).top1
    trained = fb.train(bank, tmp_path / "r", prompts=texts, epochs=1, head="mean")
    assert fb.evaluate(trained).top1 == trained.evaluate().top1
    assert fb.zeroshot(bank, run=trained).protocol["run"] == str(trained.path)
    assert len(run.predict(bank, top=16)[0].top(16)) == 16


def test_score_is_what_label_says_of_a_run_with_fewer_frames(bank: FeatureStore, tmp_path: Path) -> None:
    made = fb.train(bank, tmp_path / "r", head="mean", classifier="linear", loss="ce", epochs=2, frames=2)
    for one in made.predict(bank, split="test", top=16):
        scores = made.score(bank[one.video.video_id].data)
        assert one.top(1)[0] == (made.labels[int(scores.argmax())], pytest.approx(scores.max(), abs=1e-5))


def test_open_tells_what_lies_there(bank: FeatureStore, tmp_path: Path) -> None:
    assert isinstance(fb.open(bank.path), FeatureStore)
    texts = fb.prompts(["juggling", "waving"], bank)
    texts.write(tmp_path / "texts.h5")
    opened = fb.open(tmp_path / "texts.h5")
    assert isinstance(opened, PromptBank)
    assert opened.labels.names == ("juggling", "waving")
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nothing"):
        with pytest.raises(DataError, match=f"{name}: was not written by framebank"):
            fb.open(tmp_path / name)


@pytest.mark.parametrize("module", ["table", "watch"])
def test_examples_of_docstrings(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"framebank.library.{module}"))
    assert found.attempted and not found.failed


SCRIPT = """
import framebank as fb
bank = fb.extract("videos/manifest.csv", "bank", model="demo", frames=4)
print(bank[bank.ids[0]].data.shape)
print(fb.zeroshot(bank, split="test").top1)
run = fb.train(bank, "run", head="transformer", epochs=2)
print(run.evaluate(split="test"))
print(run.label(bank.manifest.videos[0].path).top(3))
index = fb.index(bank, "index")
print(index.search("a person juggling", k=5))
index.enroll("my handshake", [bank.manifest.videos[0].path, bank.manifest.videos[1].path])
print(index.label(bank.manifest.videos[0].path))
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["script", "-c", "-"])
def test_the_chain_from_a_script_without_a_guard(videos: Path, tmp_path: Path, way: str) -> None:
    (tmp_path / "videos").symlink_to(videos)
    (tmp_path / "chain.py").write_text(SCRIPT)
    arguments = {"script": ["chain.py"], "-c": ["-c", SCRIPT], "-": ["-"]}[way]
    done = subprocess.run(
        [sys.executable, *arguments],
        input=SCRIPT if way == "-" else "",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("(4, ")
    assert not (tmp_path / "bank" / "failed.csv").exists()


def test_figures_of_its_own_training_videos_are_called_so(bank: FeatureStore, tmp_path: Path) -> None:
    run = fb.train(bank, tmp_path / "run", head="mean", classifier="linear", loss="ce", epochs=1)
    with pytest.warns(
        DataWarning, match="was trained on the split train, so its own training videos are in the split all"
    ):
        run.evaluate(split="all")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        run.evaluate(split="test")
