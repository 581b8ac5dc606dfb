"""eval: named protocols on small worlds and on real features."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import framebank as fb
from framebank.heads.training.recipe import Recipe
from framebank.store import Manifest
from framebank.tests.places import DATA
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.heads import CLASSES, World, write_world
from framebank.tests.worlds.protocol import PROTOCOL, write_protocol

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    """A protocol of two splits, its lists, and prompts of the classes."""
    folder = tmp_path_factory.mktemp("eval")
    write_protocol(folder, world)
    return folder


def test_a_supervised_protocol(framebank: Any, world: World, place: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "results.jsonl"
    arguments = ("eval", world.store.path, "--protocol", place / "two.toml", "--lists", place, "--results", ledger)
    told = json.loads(framebank(*arguments, "--recipe", "ridge", "--keep-runs", tmp_path / "runs", "--json").stdout)
    assert told["protocol"]["name"] == "two" and len(told["protocol"]["hash"]) == 12
    assert (told["videos_evaluated"], told["videos_listed"]) == (7 + 8, 9 + 8)
    assert told["top1"] == pytest.approx(sum(told["each_top1"]) / 2)
    assert told["top1_interval"][0] < told["top1"] <= told["top1_interval"][1]
    assert [part["name"] for part in told["parts"]] == ["split-1", "split-2"]
    run = fb.open(tmp_path / "runs" / "split-1")
    assert isinstance(run, fb.TrainedRun) and run.run.trained_on["train_videos"] == 40  # the recipe holds none out
    line = json.loads(ledger.read_text())
    assert line["recipe"] == "ridge" and line["settings"]["classifier"] == "ridge"
    assert {"store", "spec", "weights_hash", "seeds", "top1", "time", "versions", "each_top1"} <= set(line)
    framebank(*arguments, "--recipe", "ridge")
    again = [json.loads(text) for text in ledger.read_text().splitlines()]
    assert [one["top1"] for one in again] == [told["top1"]] * 2  # the same figure


@pytest.mark.parametrize("protocol", ["zero-shot-full", "zero-shot-half"])
def test_zero_shot_protocols(framebank: Any, world: World, place: Path, tmp_path: Path, protocol: str) -> None:
    arguments = ("eval", world.store.path, "--protocol", protocol, "--prompts", place / "prompts.h5")
    told = json.loads(framebank(*arguments, "--results", tmp_path / "r.jsonl", "--json").stdout)
    assert told["protocol"]["name"] == protocol
    if protocol == "zero-shot-full":
        assert (told["videos_evaluated"], told["videos_listed"]) == (82, 84)  # one without a label, one without rows
    else:
        assert len(told["parts"]) == 10
        assert {tuple(part["labels"]) for part in told["parts"]} > {("rise", "fall")}
        assert all(len(part["labels"]) == 2 for part in told["parts"])
        assert told["deviation"] > 0


def test_nothing_is_held_out_where_the_protocol_says_so(world: World, place: Path, tmp_path: Path) -> None:
    text = PROTOCOL.replace('"supervised"\n', '"supervised"\nval_fraction = 0.0\n')
    (tmp_path / "p.toml").write_text(text)
    fb.evaluate_protocol(
        world.store, tmp_path / "p.toml", lists=place, recipe="ridge", results=None, runs=tmp_path / "runs"
    )
    assert fb.TrainedRun.open(tmp_path / "runs" / "split-1").run.trained_on["train_videos"] == 40


def test_the_splits_of_the_store(framebank: Any, world: World, tmp_path: Path) -> None:
    arguments = ("eval", world.store.path, "--protocol", "supervised", "--recipe", "ridge")
    shown = framebank(*arguments, "--results", tmp_path / "r.jsonl").stdout
    assert "protocol   supervised, " in shown and "22 of 24" in shown


def test_a_split_val_of_the_store_is_not_looked_at_either(world: World, tmp_path: Path) -> None:
    fb.evaluate_protocol(world.store, "supervised", recipe="linear-probe", results=None, runs=tmp_path / "runs")
    facts = fb.TrainedRun.open(tmp_path / "runs" / "split").run.trained_on
    assert facts["train_videos"] + facts["val_videos"] == 48  # all of train, and none of the 12 of val
    assert facts["val_videos"] > 0


def test_a_recipe_keeps_its_own_texts(store: Path) -> None:
    own = Recipe(head="mean", classifier="text", templates=("a clip of {}", "{}"), epochs=1)
    given = fb.evaluate_protocol(store, "supervised", recipe=own, templates="bare", results=None)
    assert given.line["templates"] == ["{}"]
    assert fb.evaluate_protocol(store, "supervised", recipe=own, results=None).line["templates"] == list(own.templates)
    context = Recipe(head="mean", classifier="text", text="context", epochs=1)  # which reads the text tower
    assert fb.evaluate_protocol(store, "supervised", recipe=context, results=None).line["templates"] == ["{}"]


def test_what_a_recipe_does_not_read_is_refused(framebank: Any, world: World, place: Path, tmp_path: Path) -> None:
    start = ("eval", world.store.path, "--results", tmp_path / "r.jsonl", "--protocol")
    prompts = place / "prompts.h5"
    for option in (("--prompts", prompts), ("--templates", "bare"), ("--texts", "names")):
        told = sentence(framebank(*start, "supervised", "--recipe", "ridge", *option, exit_code=1))
        assert "'ridge' reads no texts" in told
    told = sentence(framebank(*start, "supervised", "--recipe", "ridge", "--lexicon", prompts, exit_code=1))
    assert "'ridge' reads no lexicon" in told
    assert "no --lexicon" in sentence(framebank(*start, "zero-shot-full", "--lexicon", prompts, exit_code=1))
    assert not (tmp_path / "r.jsonl").exists()
    attributes = Recipe(head="mean", classifier="attributes", loss="ce", epochs=1)
    given = {"recipe": attributes, "lexicon": prompts, "prompts": prompts, "runs": tmp_path / "runs"}
    fb.evaluate_protocol(world.store, "supervised", results=None, **given)
    assert fb.TrainedRun.open(tmp_path / "runs" / "split").run.trained_on["lexicon"]["phrases"] == len(CLASSES)


def test_the_notes_of_a_training_are_told(tmp_path: Path) -> None:
    world = write_world(tmp_path / "store")
    videos = (replace(video, group=video.label if video.split == "train" else "") for video in world.manifest.videos)
    Manifest(tuple(videos)).write(tmp_path / "store" / "manifest.csv")
    with pytest.warns(fb.DataWarning, match="^split: .*none of them is held out for validation"):
        fb.evaluate_protocol(tmp_path / "store", "supervised", recipe="linear-probe", results=None)


def test_what_does_not_fit(framebank: Any, world: World, place: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "r.jsonl"
    start = ("eval", world.store.path, "--results", ledger, "--protocol")
    lists = ("--lists", place)
    assert "expected --lists" in sentence(framebank(*start, "ucf101", exit_code=1))
    assert "holds no trainlist01.txt" in sentence(framebank(*start, "ucf101", *lists, exit_code=1))
    assert "reads no lists" in sentence(framebank(*start, "supervised", *lists, exit_code=1))
    assert "trains nothing" in sentence(framebank(*start, "zero-shot-full", "--recipe", "ridge", exit_code=1))
    assert "expected no --run" in sentence(framebank(*start, "supervised", "--run", place, exit_code=1))
    (tmp_path / "p.toml").write_text(PROTOCOL.replace("test_videos = 9", "test_videos = 10"))
    told = sentence(framebank(*start, tmp_path / "p.toml", *lists, exit_code=1))
    assert "test1.txt: lists 9 videos for test; the protocol says 10" in told
    for name in ("train1.txt", "test1.txt"):
        (tmp_path / name).write_text((place / name).read_text())
    (tmp_path / "test1.txt").write_text((place / "test1.txt").read_text().replace("wave-test-0", "wave-train-0"))
    told = sentence(framebank(*start, place / "two.toml", "--lists", tmp_path, exit_code=1))
    assert "'wave-train-0' to test on, which is trained on too" in told
    assert not ledger.exists()


def test_validation_videos_of_the_store_are_not_looked_at(world: World, place: Path, tmp_path: Path) -> None:
    """The store has a split val of its own, which the lists know nothing of: it may hold what they test on."""
    found = fb.evaluate_protocol(
        world.store, place / "two.toml", lists=place, recipe="linear-probe", results=None, runs=tmp_path / "runs"
    )
    run = fb.TrainedRun.open(tmp_path / "runs" / "split-1").run
    assert run.trained_on["train_videos"] + run.trained_on["val_videos"] == 40
    assert found.parts[0].evaluated == 7


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} with the real features is not there")
def test_ucf101_on_real_features(framebank: Any, tmp_path: Path) -> None:
    """Seven of the 101 classes: what is missing is counted."""
    source = DATA / "features" / "ucf101-vgg16-pca512.npz"
    framebank("store", "import", source, tmp_path / "s", "--describe", "model=VGG16,pretrained=imagenet")
    arguments = ("eval", tmp_path / "s", "--protocol", "ucf101", "--lists", DATA / "labels" / "ucf101")
    told = json.loads(framebank(*arguments, "--recipe", "ridge", "--results", tmp_path / "r.jsonl", "--json").stdout)
    assert told["parts"][0]["videos_evaluated"] == 268
    assert [part["listed"] for part in told["parts"]] == [3783, 3734, 3696]
    assert told["videos_listed"] == 11213
    assert all(top1 > 0.6 for top1 in told["each_top1"])


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("kind = 5\n", "kind is 5"),
        ('kind = "zero-shot"\nvideos = "half"\nseeds = [4294967296]\n', "seeds is [4294967296]"),
        ('kind = "zero-shot"\nvideos = "half"\nseeds = [1, 1]\n', "different whole numbers"),
        ('kind = "supervised"\nval_fraction = nan\n', "not a finite number"),
        ('kind = "supervised"\nsplits = [5]\n', "splits: is 5"),
        ('kind = "zero-shot"\nvideos = "full"\nname = ""\n', "expected a name on one line"),
        ('kind = "zero-shot"\nvideos = "full"\nname = "a\\nb"\n', "expected a name on one line"),
    ],
)
def test_odd_protocols_are_refused(world: World, tmp_path: Path, lines: str, told: str) -> None:
    name = "" if "name" in lines else 'name = "odd"\n'
    (tmp_path / "odd.toml").write_text(f'{name}about = "odd"\n{lines}')
    with pytest.raises(fb.DataError) as caught:
        fb.evaluate_protocol(world.store, tmp_path / "odd.toml", results=None)
    assert f"{tmp_path / 'odd.toml'}" in str(caught.value) and told in str(caught.value)
