"""eval: base to novel, episodes, listed classes, several labels, draws of shots, and what was trained elsewhere."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import framebank as fb
from framebank.heads.training.recipe import Recipe
from framebank.library.figures.intervals import between
from framebank.store import Manifest
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.heads import CLASSES, World, write_groups, write_world

pytestmark = pytest.mark.usefixtures("one_thread")

BASE = """name = "half"
about = "two classes learned, two never seen"
kind = "base-to-novel"
val_fraction = 0.0

[[splits]]
train = ["base_train.txt"]
test = ["base_val.txt"]
novel = ["novel_val.txt"]
train_videos = 24
test_videos = 10
novel_videos = 10
"""
SHORT = 'head = "transformer"\nclassifier = "text"\nloss = "kl"\nepochs = 1\nbatch_size = 16\n'


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    """The lists of base and novel classes, and the prompts of all four."""
    folder = tmp_path_factory.mktemp("lists")
    for name, classes, split, count in (
        ("base_train", CLASSES[:2], "train", 12),
        ("base_val", CLASSES[:2], "test", 5),
        ("novel_val", CLASSES[2:], "test", 5),
    ):
        rows = [f"{each}-{split}-{number}.mp4" for each in classes for number in range(count)]
        (folder / f"{name}.txt").write_text("".join(f"{row}\n" for row in rows))
    (folder / "half.toml").write_text(BASE)
    (folder / "short.toml").write_text(SHORT)
    world.prompts.write(folder / "prompts.h5")
    return folder


def test_base_to_novel(framebank: Any, world: World, lists: Path, tmp_path: Path) -> None:
    arguments = ("eval", world.store.path, "--protocol", lists / "half.toml", "--lists", lists)
    given = ("--prompts", lists / "prompts.h5", "--results", tmp_path / "r.jsonl", "--keep-runs", tmp_path / "runs")
    found = framebank(*arguments, *given, "--json")
    told = json.loads(found.stdout)
    base, novel = told["base_top1"], told["novel_top1"]
    assert told["top1"] == pytest.approx(2 * base * novel / (base + novel))
    assert told["top1_interval"][0] < told["top1"] <= told["top1_interval"][1]
    assert [part["name"] for part in told["parts"]] == ["base-1", "novel-1"]
    assert [sorted(part["labels"]) for part in told["parts"]] == [["clap", "wave"], ["fall", "rise"]]
    assert base == 1.0  # which a head of 24 videos learns
    assert told["recipe"] == "actionclip"
    run = fb.open(tmp_path / "runs" / "draw-1")
    assert isinstance(run, fb.TrainedRun) and set(run.labels) == {"wave", "clap"}
    given = ("--prompts", lists / "prompts.h5", "--results", tmp_path / "s.jsonl", "--recipe", lists / "short.toml")
    shown = framebank(*arguments, *given).stdout
    assert "harmonic mean" in shown and "% of base classes" in shown
    told = sentence(framebank(*arguments, "--recipe", "ridge", "--results", tmp_path / "s.jsonl", exit_code=1))
    assert "'ridge' knows only the classes that it is trained on" in told


def test_a_novel_class_that_is_trained_on_is_refused(framebank: Any, world: World, lists: Path, tmp_path: Path) -> None:
    for path in lists.glob("*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    rows = [f"wave-val-{number}.mp4\n" for number in range(3)] + [f"rise-test-{number}.mp4\n" for number in range(5)]
    (tmp_path / "novel_val.txt").write_text("".join(rows))
    (tmp_path / "half.toml").write_text(BASE.replace("novel_videos = 10", "novel_videos = 8"))
    arguments = ("eval", world.store.path, "--protocol", tmp_path / "half.toml", "--lists", tmp_path)
    (tmp_path / "never.toml").write_text(
        SHORT.replace("epochs = 1", "epochs = 3") + "lr = 1e38\n"
    )  # it cannot be trained
    given = ("--prompts", lists / "prompts.h5", "--results", tmp_path / "r.jsonl", "--recipe", tmp_path / "never.toml")
    assert "lists 'wave' as a novel class" in sentence(framebank(*arguments, *given, exit_code=1))


def test_episodes_with_their_baselines(framebank: Any, world: World, lists: Path, tmp_path: Path) -> None:
    text = (Path(fb.__file__).parent / "heads/evaluation/protocols/episodes.toml").read_text()
    text = text.replace("10000", "50").replace("[1, 5]", "[1, 2]").replace("way = 5", "way = 3")
    (tmp_path / "few.toml").write_text(text)
    arguments = ("eval", world.store.path, "--protocol", tmp_path / "few.toml", "--results", tmp_path / "r.jsonl")
    given = ("--prompts", lists / "prompts.h5", "--matcher", "otam")
    told = json.loads(framebank(*arguments, *given, "--json").stdout)
    names = [part["name"] for part in told["parts"]]
    assert names == [f"{n}-shot {m}" for n in (1, 2) for m in ("otam", "mean", "ridge", "linear-probe", "text")]
    assert [part["baseline"] for part in told["parts"][:5]] == [False, True, True, True, True]
    firsts = [told["each"][f"{shot}-shot otam"] for shot in (1, 2)]
    assert told["top1"] == pytest.approx(sum(firsts) / 2) and told["recipe"] == "otam"
    same = fb.fewshot(world.store, "otam", shot=1, way=3, episodes=50, prompts=world.prompts)
    assert firsts[0] == same.accuracy
    assert "otam" in framebank("results", tmp_path / "r.jsonl").stdout
    # without texts, a line says that they are missing; without a matcher, the first baseline is the figure
    shown = framebank(*arguments).stdout
    assert "no texts" in shown and "mean, over the shots" in shown


def test_a_matcher_of_another_store(framebank: Any, world: World, tmp_path: Path) -> None:
    other = write_world(tmp_path / "other", classes=("wave", "clap", "rise"), seed=5)
    fb.fewshot_train(other.store, tmp_path / "run", matcher="trx", way=3, shot=1, query=1, steps=3)
    text = (Path(fb.__file__).parent / "heads/evaluation/protocols/cross-domain-episodes.toml").read_text()
    (tmp_path / "cross.toml").write_text(text.replace("10000", "20").replace("way = 5", "way = 3"))
    start = ("eval", world.store.path, "--results", tmp_path / "r.jsonl", "--protocol", tmp_path / "cross.toml")
    assert "expected --run, the folder of a run" in sentence(framebank(*start, exit_code=1))
    shown = framebank(*start, "--run", tmp_path / "run").stdout
    assert "overlap    the run was trained on 3 of these 4 classes" in shown
    assert "1-shot trained:trx" in shown and "5-shot ridge" in shown
    fb.fewshot_train(world.store, tmp_path / "own", matcher="trx", way=3, shot=1, query=1, steps=1)
    told = sentence(framebank(*start, "--run", tmp_path / "own", exit_code=1))
    assert f"{tmp_path / 'own'}: was trained on the store {world.store.path}, which the protocol" in told


def test_a_run_of_another_data_set_tells_its_overlap(framebank: Any, world: World, lists: Path, tmp_path: Path) -> None:
    other = write_world(tmp_path / "other", classes=("wave", "clap", "rise"), seed=5)
    run = fb.train(other.store, tmp_path / "run", head="mean", epochs=2, prompts=other.prompts)
    start = ("eval", world.store.path, "--protocol", "cross-dataset", "--prompts", lists / "prompts.h5")
    start = (*start, "--results", tmp_path / "r.jsonl")
    assert "expected --run" in sentence(framebank(*start, exit_code=1))
    told = json.loads(framebank(*start, "--run", run.path, "--json").stdout)
    assert sorted(told["classes_trained_on"]) == ["clap", "rise", "wave"]
    part = told["parts"][0]
    place = part["labels"].index("fall")
    own = part["confusion"][place]
    assert told["top1_without_them"] == own[place] / sum(own)
    assert "the run was trained on 3 of these 4 classes" in framebank(*start, "--run", run.path).stdout


def test_a_run_that_was_trained_on_what_is_tested(framebank: Any, world: World, lists: Path, tmp_path: Path) -> None:
    run = fb.train(world.store, tmp_path / "run", head="mean", epochs=1, prompts=world.prompts)
    start = ("eval", world.store.path, "--prompts", lists / "prompts.h5", "--results", tmp_path / "r.jsonl")
    start = (*start, "--run", run.path, "--protocol")
    for protocol in ("cross-dataset", "zero-shot-full", "zero-shot-half"):
        told = sentence(framebank(*start, protocol, exit_code=1))
        assert f"{run.path}: was trained on " in told and "expected a run of other videos" in told
    assert not (tmp_path / "r.jsonl").exists()
    rows = (f"{name}-test-{number}.mp4\n" for name in ("wave", "rise") for number in range(5))
    (tmp_path / "test.txt").write_text("".join(rows))
    text = 'name = "t"\nabout = "t"\nkind = "zero-shot"\nvideos = "lists"\n\n[[splits]]\ntest = ["test.txt"]\n'
    (tmp_path / "t.toml").write_text(text)
    framebank(*start, tmp_path / "t.toml", "--lists", tmp_path)  # which it did not see


def test_listed_classes(framebank: Any, world: World, lists: Path, tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text("id,name\n0,Rise\n1,fall\n")
    text = 'name = "two"\nabout = "two of four"\nkind = "zero-shot"\nvideos = "classes"\n\n[[splits]]\n'
    (tmp_path / "two.toml").write_text(f'{text}classes = ["classes.csv"]\nnum_classes = 2\n')
    start = ("eval", world.store.path, "--protocol", tmp_path / "two.toml", "--lists", tmp_path)
    start = (*start, "--prompts", lists / "prompts.h5", "--results", tmp_path / "r.jsonl")
    told = json.loads(framebank(*start, "--json").stdout)
    assert sorted(told["parts"][0]["labels"]) == ["fall", "rise"]
    assert told["videos_evaluated"] == 2 * (12 + 3 + 5)
    (tmp_path / "classes.csv").write_text("id,name\n0,rise\n1,fall\n2,nod\n")
    assert "lists 3 classes; the protocol says 2" in sentence(framebank(*start, exit_code=1))
    (tmp_path / "classes.csv").write_text("id,name\n0,rise\n1,nod\n")
    assert "lists the class 'nod', which is not among the texts" in sentence(framebank(*start, exit_code=1))


def test_draws_of_shots_by_a_fixed_recipe(framebank: Any, world: World, tmp_path: Path) -> None:
    start = ("eval", world.store.path, "--protocol", "mveb-linear", "--results", tmp_path / "r.jsonl")
    told = json.loads(framebank(*start, "--keep-runs", tmp_path / "runs", "--json").stdout)
    assert [part["name"] for part in told["parts"]] == [f"seed-{seed}" for seed in range(10)]
    assert told["seeds"] == list(range(10)) and told["settings"]["shots"] == 8
    run = fb.TrainedRun.open(tmp_path / "runs" / "seed-3").run
    assert run.trained_on["train_videos"] == 8 * len(CLASSES) and run.recipe.seed == 3
    assert "trains 'logistic'; expected no --recipe" in sentence(framebank(*start, "--recipe", "ridge", exit_code=1))


def test_videos_of_several_labels(framebank: Any, tmp_path: Path) -> None:
    world = write_world(tmp_path / "store")
    videos = (replace(v, label=f"{v.label};{v.label[0]}" if v.label else "") for v in world.manifest.videos)
    Manifest(tuple(videos)).write(tmp_path / "store" / "manifest.csv")
    recipe = Recipe(head="mean", classifier="linear", loss="bce", epochs=3)
    found = fb.evaluate_protocol(tmp_path / "store", "supervised", recipe=recipe, results=tmp_path / "r.jsonl")
    assert found.top1 is None and found.map == found.parts[0].report["map"] > 0.5
    assert found.interval == tuple(found.parts[0].report["map_interval"])
    assert "mAP" in str(found).splitlines()[0] and "top-1" not in str(found)
    shown = framebank("results", tmp_path / "r.jsonl").stdout
    assert "% mAP" in shown and between(found.interval) in shown


def test_views_and_clips_that_a_protocol_averages(framebank: Any, world: World, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('name = "p"\nabout = "six"\nkind = "supervised"\ngroups = 6\n')
    groups = write_groups(tmp_path / "groups", num_views=2, num_clips=3)
    start = ("--protocol", tmp_path / "p.toml", "--recipe", "ridge", "--results", tmp_path / "r.jsonl")
    framebank("eval", groups.store.path, *start)
    told = sentence(framebank("eval", world.store.path, *start, exit_code=1))
    assert "holds 1 view(s) and clip(s) of each video; the protocol 'p' averages 6" in told


def test_what_a_kind_does_not_read(framebank: Any, world: World, tmp_path: Path) -> None:
    start = ("eval", world.store.path, "--results", tmp_path / "r.jsonl", "--protocol")
    for protocol, option, told in (
        ("supervised", ("--matcher", "otam"), "expected no --matcher; it reads --recipe and --keep-runs and --lexicon"),
        ("zero-shot-full", ("--matcher", "otam"), "expected no --matcher; it reads --run"),
        ("episodes", ("--recipe", "ridge"), "expected no --recipe; it reads --run and --matcher"),
    ):
        assert told in sentence(framebank(*start, protocol, *option, exit_code=1))
