import csv
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import framebank as fb
import framebank.heads.evaluation.compare as compare_module
from framebank.heads.evaluation.compare import Comparison, Trial, run_trials, standings
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.library.figures.pairs import pairs_of_recipes
from framebank.store import DataError, LabelSet, Manifest
from framebank.tests.worlds.compared import compare
from framebank.tests.worlds.heads import write_world
from framebank.tests.worlds.process import children

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = Recipe(head="mean", classifier="linear", loss="ce", epochs=3, lr=0.05, val_fraction=0.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("compare"))


def test_what_is_odd_about_the_videos_is_noted(world, tmp_path):
    videos = world.manifest.split("train").videos
    one = Manifest(tuple(video for video in videos if video.label == videos[0].label))
    comparison = Comparison(world.store, one, one, "train", LabelSet.of(one.labels), torch.device("cpu"), tmp_path)
    (trial,) = run_trials(comparison, {"probe": replace(QUICK, shots=2)}, seeds=(0,))
    assert trial.notes == (
        f"all 2 training videos are of the class '{videos[0].label}': there is nothing to tell apart",
    )


def test_of_another_stream_one_seed_is_in_memory_at_a_time(world, tmp_path, monkeypatch):
    asked = []

    def train(jobs, own, **how):
        asked.append(len(jobs))
        return [[None] * len(own)] * len(jobs)

    monkeypatch.setattr(compare_module, "train_together", train)
    monkeypatch.setattr(Comparison, "_job", lambda *own, **how: SimpleNamespace())
    monkeypatch.setattr(Comparison, "try_recipe", lambda self, name, recipe, seed, **how: Trial(name, seed))
    recipes = {name: replace(QUICK, stream="pre_proj", lr=lr) for name, lr in (("a", 0.01), ("b", 0.02))}
    compare(world, recipes, tmp_path, seeds=(0, 1, 2))
    assert asked == [1, 1, 1]


def test_the_seconds_of_a_training_do_not_hold_the_loading_of_libraries(world, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(compare_module, "optimizer_of", lambda *own, **how: told.append("optimizer"))
    monkeypatch.setattr(compare_module, "time", SimpleNamespace(perf_counter=lambda: told.append("clock") or 0.0))
    compare(world, {"lstm": replace(QUICK, head="lstm", epochs=1)}, tmp_path, seeds=(0,))
    assert told == ["optimizer", "clock", "clock"]


def test_every_recipe_with_every_seed(world, tmp_path):
    recipes = {"probe": QUICK, "lstm": replace(QUICK, head="lstm", classifier="text", loss="ce")}
    trials = compare(world, recipes, tmp_path, prompts=world.prompts)
    assert [(trial.recipe, trial.seed) for trial in trials] == [("probe", 0), ("probe", 1), ("lstm", 0), ("lstm", 1)]
    for trial in trials:
        run = Run.read(tmp_path / trial.recipe / f"seed-{trial.seed}")
        assert run.recipe.seed == trial.seed
        assert json.loads((tmp_path / trial.recipe / f"seed-{trial.seed}" / "metrics.json").read_text()) == json.loads(
            json.dumps(trial.report)
        )
        assert trial.parameters == sum(parameter.numel() for parameter in run.model.parameters())
    found = standings(trials)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    lstm = next(one for one in found if one.recipe == "lstm")
    tops = [trial.report["top1"] for trial in trials if trial.recipe == "lstm"]
    assert lstm.score == pytest.approx(statistics.fmean(tops))
    assert lstm.deviation == pytest.approx(statistics.stdev(tops))
    assert lstm.interval[0] < lstm.score < lstm.interval[1]


def test_a_recipe_that_cannot_run_says_why_and_the_others_run(world, tmp_path):
    recipes = {"texts": Recipe(epochs=1), "regions": replace(QUICK, stream="regions"), "probe": QUICK}
    trials = compare(world, recipes, tmp_path, seeds=(0,))
    assert [bool(trial.refused) for trial in trials] == [True, True, False]
    assert "texts of the classes" in trials[0].refused
    assert "has no stream 'regions'" in trials[1].refused
    assert [one.recipe for one in standings(trials)] == ["probe"]


@pytest.mark.slow
def test_side_by_side_gives_the_same_and_leaves_the_processes_of_others(world, tmp_path):
    # Not as many videos of each class in a batch: then the first gradient of the biases would be rounding alone.
    probe = replace(QUICK, batch_size=5)
    recipes = {"texts": Recipe(epochs=1), "probe": probe, "lstm": replace(QUICK, head="lstm")}
    alone = compare(world, recipes, tmp_path / "alone")
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    together = compare(world, recipes, tmp_path / "together", workers=2)
    assert children() == [] and other.poll() is None
    other.kill()
    other.wait()
    assert [replace(trial, seconds=0, report={}) for trial in together] == [
        replace(trial, seconds=0, report={}) for trial in alone
    ]
    for name in ("probe", "lstm"):
        for seed in (0, 1):
            ours, theirs = (Run.read(tmp_path / way / name / f"seed-{seed}") for way in ("alone", "together"))
            assert name == "probe" or ours.weights_hash == theirs.weights_hash
            for key, weights in ours.model.state_dict().items():  # one process trains the seeds of the probe as one
                torch.testing.assert_close(weights, theirs.model.state_dict()[key], rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("running", [1, 2])  # 1: the other one is being started while the first one dies
def test_a_worker_that_is_killed(running, world, tmp_path):
    recipes = {"probe": replace(QUICK, epochs=100_000)}
    told = []

    def run():
        with pytest.raises(DataError, match=r"a training process ended before .* \(signal SIGKILL\)"):
            compare(world, recipes, tmp_path, workers=2)
        told.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive() and len(children()) < running:
        time.sleep(0.001)
    for child in children():
        os.kill(child, signal.SIGKILL)
    thread.join(60)
    assert told and not children()


def test_standings_of_several_labels():
    trials = [Trial("a", seed, report={"map": score, "videos_evaluated": 9}) for seed, score in enumerate((0.5, 0.7))]
    (found,) = standings(trials)
    assert (found.score, found.interval, found.mean_class_accuracy) == (pytest.approx(0.6), None, None)


def test_plot(world, tmp_path):
    pytest.importorskip("matplotlib")
    from framebank.heads.evaluation.plot import draw_standings

    trials = [Trial("a", 0, report={"top1": 0.5, "mean_class_accuracy": 0.4, "videos_evaluated": 20})]
    draw_standings(standings(trials), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_the_command(framebank, world, tmp_path):
    out = tmp_path / "out"
    world.prompts.write(tmp_path / "prompts.h5")
    arguments = ("compare", world.store.path, out, "--recipes", "linear-probe,actionclip", "--seeds", 2)
    told = framebank(*arguments, "--set", "epochs=1", "--prompts", tmp_path / "prompts.h5").stdout
    assert "linear-probe" in told and "4 runs" in told
    assert "beside " in told and "verdict" in told
    rows = list(csv.DictReader((out / "compare.csv").open()))
    assert len(rows) == 4
    assert {row["refused"] for row in rows} == {""}
    written = (out / "compare.md").read_text()
    assert written.count("|") == 4 * 8 + 3 * 5  # the recipes, and the best beside the other one
    assert "| beside " in written and "| verdict |" in written
    written = json.loads((out / "compare.json").read_text())
    assert len(written["trials"]) == 4
    assert {pair["seeds"] for pair in written["pairs"]} == {2}
    again = framebank(*arguments, "--prompts", tmp_path / "prompts.h5", exit_code=1)
    assert "already holds a comparison" in again.stderr


def test_a_recipe_that_was_refused_after_some_seeds_hides_no_pair(world, tmp_path):
    """The best of three recipes has one seed of two: the others are paired, and a note says why it is not."""
    recipes = {"a": QUICK, "b": replace(QUICK, head="lstm"), "c": replace(QUICK, epochs=1)}
    made = fb.compare_recipes(world.store, tmp_path / "out", recipes, seeds=2)
    assert len(made.pairs.pairs) == 2 and made.notes == ()
    pairs, notes = pairs_of_recipes(tmp_path / "out", {"c": 1, "a": 2, "b": 2})
    assert (pairs.first.name, [pair.run.name for pair in pairs.pairs]) == ("a", ["b"])
    assert notes == ("not paired: c: was trained with 1 of 2 seeds",)
    shown = replace(made, pairs=pairs, notes=notes)
    for form in (repr(shown), shown.markdown(), shown._repr_html_()):
        assert "beside a" in form and notes[0] in form
    assert shown._repr_html_().count("<table>") == 2
    assert pairs_of_recipes(tmp_path / "out", {"a": 2, "c": 1}) == (None, notes)
    assert pairs_of_recipes(tmp_path / "out", {}) == (None, ())


def test_the_command_with_a_name_that_is_none(framebank, world, tmp_path):
    told = framebank("compare", world.store.path, tmp_path / "o", "--recipes", "resnet", exit_code=1).stderr
    assert "no recipe is named 'resnet'; expected one of a5, actionclip" in told
    told = framebank("compare", world.store.path, tmp_path / "o", "--set", "epoch=3", exit_code=1).stderr
    assert "'epoch'; the nearest is 'epochs'" in told
    told = framebank("compare", world.store.path, tmp_path / "o", "--recipes", "knn,knn", exit_code=1).stderr
    assert "of the recipes knn, knn two have the same name" in told
    assert not (tmp_path / "o").exists()


def test_what_is_set_in_every_recipe_has_no_other_option(framebank, world, tmp_path):
    for options, told in (
        (("--set", "seed=3"), "--set seed does not work here"),
        (("--texts", "names", "--set", "texts=descriptions"), "--texts is 'names' and --set texts is 'descriptions'"),
    ):
        assert told in framebank("compare", world.store.path, tmp_path / "o", *options, exit_code=2).stderr
    assert not (tmp_path / "o").exists()


def test_a_store_without_a_text_tower(framebank, world, tmp_path):
    """The recipes that read no texts run; the others are listed with the reason."""
    arguments = ("compare", world.store.path, tmp_path / "out", "--seeds", 1)
    told = framebank(*arguments, "--recipes", "knn,actionclip").stdout
    assert "not run: actionclip: the recipe 'actionclip' needs the texts of the classes" in told
    assert "no text tower is here for its features (no model 'tiny' in open_clip" in told
    assert "1 run ->" in told
    alone = framebank(*arguments[:2], tmp_path / "other", *arguments[3:], "--recipes", "actionclip", exit_code=1).stderr
    assert "expected class embeddings (prompts, --prompts)" in alone
