"""The commands of few-shot recognition on the demo's store: 16 classes, three training clips and one test clip each."""

import csv
import json

import click
import pytest

from framebank.commands.fewshot import fewshot
from framebank.commands.fewshot_train import fewshot_train
from framebank.heads.fewshot.matcher_name import untrained_matchers
from framebank.heads.matchers import MATCHERS
from framebank.store import FeatureStore
from framebank.tests.worlds.cli import sentence

pytestmark = pytest.mark.usefixtures("one_thread")

EPISODES = ("--split", "train", "--episodes", 60)


def test_table(framebank, store):
    lines = framebank("fewshot", store, *EPISODES, "--matcher", "chamfer").stdout.splitlines()
    assert lines[0].split() == ["matcher", "accuracy", "95", "%", "interval", "seconds"]
    assert [line.split("  ")[0] for line in lines[1:4]] == ["chamfer", "text (baseline)", "mean (baseline)"]
    assert lines[4].startswith("hardest classes of chamfer: ")
    assert "48 of 48 listed in split train" in "\n".join(lines)
    assert lines[-1].startswith("episodes   60 of 5-way 1-shot with 1 query of each class, seed 0, hash ")


def test_few_episodes_have_no_interval(framebank, store, tmp_path):
    arguments = (store, "--split", "test", "--way", 0, "--episodes", 2)
    lines = framebank("fewshot", *arguments).stdout.splitlines()
    assert lines[0].split() == ["matcher", "accuracy", "lowest-highest", "seconds"]
    shown = framebank("fewshot-compare", store, tmp_path / "table", *arguments[1:], "--matchers", "mean", "--shots", 1)
    assert "In brackets: lowest-highest over the episodes." in shown.stdout.splitlines()


def test_help_names_every_matcher():
    (said,) = (option.help for option in fewshot.params if option.name == "matchers")
    assert said.split(", or all")[0].split(", ") == [
        one for name in untrained_matchers() for one in ([name, "combine:NAME"] if name == "combine" else [name])
    ]
    (said,) = (option.help for option in fewshot_train.params if option.name == "matcher")
    assert set(said.rstrip(".").split(", ")) == set(MATCHERS) - set(untrained_matchers())


def test_json_and_all(framebank, store):
    report = json.loads(framebank("fewshot", store, *EPISODES, "--matcher", "all", "--shot", 2, "--json").stdout)
    names = [row["matcher"] for row in report["scores"]]
    of_frames = ["mean", "max", "diagonal", "otam", "bi-mhm", "chamfer", "chamfer++", "tuple", "text", "combine"]
    assert names == [*of_frames, "ridge", "linear-probe", "tip-adapter", "text-residual"]
    assert all(0.3 < row["accuracy"] <= 1 for row in report["scores"])
    assert report["matcher"] == "mean"
    assert len(report["classes"]) == 16
    again = json.loads(framebank("fewshot", store, *EPISODES, "--matcher", "mean", "--shot", 2, "--json").stdout)
    assert again["accuracy"] == report["accuracy"]
    assert again["made_by"]["protocol_hash"] == report["made_by"]["protocol_hash"]


def test_options_of_a_matcher(framebank, store, tmp_path):
    arguments = ("fewshot", store, *EPISODES, "--shots", 2, "--json")
    report = json.loads(framebank(*arguments, "--matcher", "otam", "--option", "smoothing=0.5").stdout)
    assert report["matcher"] == "otam(smoothing=0.5)"
    assert (report["made_by"]["matcher_options"], report["made_by"]["shot"]) == ({"smoothing": 0.5}, 2)
    assert json.loads(framebank(*arguments, "--option", "smoothing=0.5").stdout)["matcher"] == report["matcher"]
    both = json.loads(framebank(*arguments, "--matcher", "otam(smoothing=0.5)", "--matcher", "otam").stdout)["scores"]
    assert [row["matcher"] for row in both][:2] == ["otam(smoothing=0.5)", "otam"]
    assert both[0]["protocol_hash"] == report["made_by"]["protocol_hash"] != both[1]["protocol_hash"]
    compared = ("--matchers", "otam(smoothing=0.5),combine:max(text_share=0.5,text_scale=2)", "--shot", "2")
    framebank("fewshot-compare", store, tmp_path / "table", *EPISODES, *compared)
    rows = list(csv.DictReader((tmp_path / "table" / "results.csv").open()))
    assert [row["matcher"] for row in rows[:2]] == [
        "otam(smoothing=0.5)",
        "combine:max(text_scale=2.0, text_share=0.5)",
    ]
    assert rows[0]["protocol_hash"] == report["made_by"]["protocol_hash"]


def test_class_split(framebank, store, tmp_path):
    labels = FeatureStore(store).manifest.labels
    file = tmp_path / "classes.json"
    file.write_text(json.dumps({name: "test" if number < 6 else "train" for number, name in enumerate(labels)}))
    result = framebank("fewshot", store, "--class-split", file, "--episodes", 40, "--json")
    report = json.loads(result.stdout)
    assert not result.stderr.startswith("\n")  # nothing to tell of the split is no empty line
    assert set(report["classes"]) == set(labels[:6])
    assert report["made_by"]["videos_evaluated"] == 24  # of both splits of the store
    assert report["made_by"]["class_split"]


def test_all_ways(framebank, store, tmp_path):
    drawn = json.loads(framebank("fewshot", store, "--way", 0, "--shot", 2, "--matcher", "mean", "--json").stdout)
    assert len(drawn["accuracies"]) == 3
    assert drawn["made_by"]["classes"] == 16
    assert (drawn["made_by"]["split"], drawn["made_by"]["support_videos"]) == ("test and support", 48)
    manifest = FeatureStore(store).manifest
    listed = tmp_path / "train1_few_shot_3.txt"
    names = sorted(manifest.labels)
    listed.write_text(
        "".join(f"{video.path.name} {names.index(video.label)}\n" for video in manifest.split("train").videos)
    )
    arguments = ("fewshot", store, "--way", 0, "--support-list", listed, "--matcher", "mean")
    report = json.loads(framebank(*arguments, "--shot", 3, "--json").stdout)
    assert len(report["accuracies"]) == 1
    assert report["accuracy"] > 0.5
    told = framebank(*arguments, "--shot", 2, exit_code=1).stderr
    assert "lists 3 videos of" in told
    assert "expected 2, as many as shots" in told


def test_compare(framebank, store, tmp_path):
    out = tmp_path / "table"
    arguments = ("fewshot-compare", store, out, *EPISODES, "--matchers", "otam,max", "--shots", "1,2")
    printed = framebank(*arguments).stdout
    text = (out / "results.md").read_text()
    assert printed.startswith(text.rstrip("\n"))
    assert text.splitlines()[0] == "| matcher | 1-shot | 2-shot |"
    assert [line.split("|")[1].strip() for line in text.splitlines()[2:6]] == [
        "otam",
        "max",
        "text (baseline)",
        "mean (baseline)",
    ]
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert [(row["shot"], row["matcher"]) for row in rows[3:5]] == [("1", "mean"), ("2", "otam")]
    reports = json.loads((out / "results.json").read_text())
    assert float(rows[0]["accuracy"]) == reports[0]["scores"][0]["accuracy"]
    assert float(rows[4]["low"]) == reports[1]["scores"][0]["interval"][0]
    assert "is not empty; expected a new folder" in framebank(*arguments, exit_code=1).stderr


def test_classes_with_numbers_for_names_have_no_texts(framebank, store, tmp_path):
    """As few-shot lists of Something-Something name them."""
    from framebank.store import Manifest, Video

    copy = tmp_path / "store"
    copy.mkdir()
    for path in store.iterdir():
        if path.name != "manifest.csv":
            (copy / path.name).symlink_to(path)
    manifest = FeatureStore(store).manifest
    number = {name: f"test{place}" for place, name in enumerate(manifest.labels)}
    Manifest(tuple(Video(v.video_id, v.path, number[v.label], v.split) for v in manifest.videos)).write(
        copy / "manifest.csv"
    )
    printed = framebank("fewshot", copy, *EPISODES).stdout
    assert "no texts   the classes have numbers for names (test0); name them with labels (--labels)" in printed
    assert "text (baseline)" not in printed
    told = framebank("fewshot", copy, *EPISODES, "--matcher", "combine", exit_code=1).stderr
    assert "the matcher 'combine' needs the texts of the classes, but the classes have numbers" in told


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--matcher", "linear"), 1, "the matcher 'linear' has weights to train"),
        (("--matcher", "median"), 1, "the matcher 'median' is not known"),
        (("--option", "softness=1"), 1, "the matcher 'otam' has no option 'softness'; it has smoothing"),
        (("--option", "smoothing=soft"), 1, "matcher.smoothing is 'soft'; expected a number"),
        (("--option", "smoothing=0"), 1, "the matcher otam(smoothing=0.0) cannot be built: smoothing is 0.0; expected"),
        (("--option", "smoothing=1e-300"), 1, "the matcher 'otam(smoothing=1e-300)' gives scores that are not numbers"),
        (("--option", "smoothing"), 2, "the option is 'smoothing'; expected NAME=VALUE"),
        (("--option", "smoothing=1", "--matcher", "all"), 2, "--option is for one --matcher"),
        (("--option", "smoothing=1", "--matcher", "otam", "--matcher", "max"), 2, "--option is for one --matcher"),
        (("--matcher", "otam(smoothing"), 1, "'otam(smoothing' is not a matcher"),
        (("--shot", 3), 1, "each class needs 3 support videos and 1 query"),
        (("--way", 17, "--split", "all"), 1, "an episode needs 17 classes, but the videos have 16 classes"),
        (("--split", "nowhere"), 1, "no video is in the split 'nowhere'"),
        (
            ("--way", 0, "--support-split", "test", "--split", "test"),
            1,
            "is both a support video and a video to recognise",
        ),
        (("--way", 1), 2, "--way is 1, so there is no other class"),
        (("--seed", -1), 2, "-1 is not in the range"),
        (("--way", 0, "--query", 2), 2, "--query is not for --way 0"),
        (("--support-split", "train"), 2, "are for --way 0"),
        (
            ("--way", 0, "--support-split", "elsewhere"),
            1,
            "and 'all'; expected support_split (--support-split) or support_list",
        ),
        (("--class-split", "nothing.json"), 1, "nothing.json: no such file or folder; expected lists of a class split"),
        (("--labels", "nothing.txt"), 1, "nothing.txt: no such labels file"),
    ],
)
def test_what_cannot_be_done(framebank, store, arguments, code, message):
    split = () if "--split" in arguments else ("--split", "train")
    result = framebank("fewshot", store, *split, "--episodes", 5, *arguments, exit_code=code)
    assert message in result.stderr


def test_class_splits_that_do_not_fit(framebank, store, tmp_path):
    file = tmp_path / "classes.json"
    arguments = ("fewshot", store, "--class-split", file, "--episodes", 5)
    file.write_text(json.dumps({"flying": "test", "melting": "test"}))
    strangers = sentence(framebank(*arguments, exit_code=1))
    assert f"Error: {store}: none of the 2 classes of the split ('flying', ...) has a video" in strangers
    trained = sentence(framebank("fewshot-train", store, tmp_path / "run", "--class-split", file, exit_code=1))
    assert trained == strangers
    file.write_text(json.dumps({"waving": "test", "melting": "test"}))
    lone = framebank(*arguments, "--way", 0, "--support-split", "train", exit_code=1)
    assert "no video is in the split 'train'" in sentence(lone)
    assert "an episode needs 2 classes, but the videos have 1 class" in sentence(
        framebank(*arguments, "--way", 2, exit_code=1)
    )


def test_places_that_are_no_store(framebank, tmp_path):
    for command in (("fewshot",), ("fewshot-compare",), ("fewshot-train",)):
        out = () if command == ("fewshot",) else (tmp_path / "out",)
        assert "no such store" in sentence(framebank(*command, tmp_path / "gone", *out, exit_code=1))
        assert "holds no shard" in sentence(framebank(*command, tmp_path, *out, exit_code=1))
    assert not (tmp_path / "out").exists()


def test_an_empty_list_of_matchers(framebank, store, tmp_path):
    told = framebank("fewshot-compare", store, tmp_path / "table", "--matchers", " ", exit_code=2).stderr
    assert "--matchers is empty; expected names such as mean,otam" in told


def test_shots_that_are_no_numbers(framebank, store, tmp_path):
    told = framebank("fewshot-compare", store, tmp_path / "table", "--shots", "one", exit_code=2).stderr
    assert "--shots is 'one'; expected numbers such as 1,5" in told
    assert not (tmp_path / "table").exists()


def test_commands_are_at_the_door():
    from framebank.cli import main

    assert isinstance(main.commands["fewshot"], click.Command)
    assert isinstance(main.commands["fewshot-compare"], click.Command)
