"""Protocols with a grid of settings: V-JEPA 2's probe on made-up tokens, and what chooses one of the settings."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.heads.evaluation.named import read_protocol
from framebank.heads.training.recipe import read_recipe
from framebank.library.training import setting_texts
from framebank.store import Embeddings, Manifest, ShardWriter, Video
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.heads import DIM, SPEC

SIDE, NUM_FRAMES = 2, 3
GRID = """
name = "small"
about = "two rates and two decays"
kind = "supervised"
recipe = "attentive-tokens"

[settings]
epochs = 12
batch_size = 16
warmup = 0.0

[grid]
lr = [{lr}]
weight_decay = [0.01, 0.1]
"""

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Something is on the left or on the right, which the mean of the places cannot tell; 30 of each to learn."""
    folder = tmp_path_factory.mktemp("tokens")
    rng = np.random.default_rng(0)
    videos = [
        Video(f"{side}-{i}", folder / f"{side}-{i}.mp4", side, "train" if i < 30 else "test")
        for side in ("left", "right")
        for i in range(40)
    ]
    Manifest(tuple(videos)).write(folder / "manifest.csv")
    what, where = rng.normal(size=DIM), rng.normal(size=(SIDE * SIDE, DIM))
    times = np.arange(NUM_FRAMES)
    spec = replace(SPEC, sampling=f"segments:{NUM_FRAMES}", streams=f"frame,tokens:{SIDE}")
    with ShardWriter(folder, spec) as writer:
        for video in videos:
            tokens = rng.normal(size=(NUM_FRAMES, SIDE * SIDE, DIM)) * 0.2 + where
            tokens[:, 0 if video.label == "left" else 1] += 2 * what
            writer.add(video.video_id, Embeddings(tokens.mean(1), times / 10, times, streams={"tokens": tokens}))
    return folder


def test_v_jepa_2_trains_twenty_probes_and_tests_the_best(framebank: Any, store: Path, tmp_path: Path) -> None:
    runs, ledger = tmp_path / "runs", tmp_path / "r.jsonl"
    done = framebank(
        *("eval", store, "--protocol", "v-jepa-2-probe", "--results", ledger, "--keep-runs", runs, "--json")
    )
    told = json.loads(done.stdout)
    (part,) = told["parts"]
    tried = part["grid"]["tried"]
    assert {(one["lr"], one["weight_decay"]) for one in tried} == {
        (lr, decay) for lr in (5e-3, 3e-3, 1e-3, 3e-4, 1e-4) for decay in (0.01, 0.1, 0.4, 0.8)
    }
    chosen = part["grid"]["chosen"]
    assert chosen["val_loss"] == min(one["val_loss"] for one in tried) < max(one["val_loss"] for one in tried)
    run = fb.TrainedRun.open(runs / "split").run
    recipe = run.recipe
    assert (recipe.lr, recipe.weight_decay, recipe.epochs, recipe.batch_size) == (
        *(chosen["lr"], chosen["weight_decay"]),
        *(20, 256),
    )
    assert recipe.head_options["blocks"] == 3 and recipe.head_options["places"] == SIDE**2
    assert run.trained_on["train_videos"] + run.trained_on["val_videos"] == 60 and run.trained_on["val_videos"] >= 4
    # what is tested is the run that is kept, and the line of the results says what it is
    assert fb.evaluate(runs / "split", store, split="test").top1 == pytest.approx(told["top1"])
    assert json.loads(ledger.read_text())["grid"]["split"]["chosen"] == chosen
    assert fb.results(ledger).values[0]["settings"]["lr"] == chosen["lr"]


def test_the_grid_finds_a_rate_that_learns(store: Path, tmp_path: Path) -> None:
    protocol = tmp_path / "small.toml"
    protocol.write_text(GRID.format(lr="3e-3, 1e-7"))
    found = fb.evaluate_protocol(store, protocol, results=None)
    assert found.parts[0].report["grid"]["chosen"]["lr"] == 3e-3
    assert found.top1 is not None and found.top1 >= 0.9  # untrained it is 0.5
    assert "chosen     split: lr 0.003, weight_decay" in repr(found) and "of 4 settings" in repr(found)


def test_a_setting_that_diverges_is_left_out(store: Path, tmp_path: Path) -> None:
    protocol = tmp_path / "small.toml"
    protocol.write_text(GRID.format(lr="1e-3, 1e38"))
    with pytest.warns(fb.DataWarning, match=r"split: lr 1e\+38, weight_decay 0.01 is left out: the loss became nan"):
        found = fb.evaluate_protocol(store, protocol, results=None)
    assert found.parts[0].report["grid"]["chosen"]["lr"] == 1e-3
    protocol.write_text(GRID.format(lr="1e37, 1e38"))
    with pytest.warns(fb.DataWarning), pytest.raises(fb.DataError, match="none of the 4 settings could be trained"):
        fb.evaluate_protocol(store, protocol, results=None)


def test_a_small_set_gets_steps_enough_and_the_published_probe_stays() -> None:
    small, published = map(read_protocol, ("v-jepa-2-probe-small", "v-jepa-2-probe"))
    recipes = [read_recipe(one.recipe).with_settings(setting_texts(one.settings)) for one in (small, published)]
    steps = [recipe.epochs_of(54) * math.ceil(54 / recipe.batch_size) for recipe in recipes]
    assert steps == [602, 20]  # 86 passes of 7 batches; 20 passes of one
    assert small.grid == published.grid and small.hash != published.hash == "e8fa13ed77b4"


def test_three_views_are_asked_for(framebank: Any, store: Path, tmp_path: Path) -> None:
    assert read_protocol("v-jepa-2-probe-3-views").groups == 3
    call = ("eval", store, "--protocol", "v-jepa-2-probe-3-views", "--results", tmp_path / "r.jsonl")
    assert "averages 3; expected a store of extract --clips and --views" in sentence(framebank(*call, exit_code=1))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("lr = [1e-3, 1e-4]", "lr = [1e-3]"), "grid: lr is [0.001]; expected two or more different values"),
        (("lr = [1e-3, 1e-4]", "lr = [1e-3, 1e-3]"), "grid: lr is [0.001, 0.001]; expected two or more"),
        (("lr = [1e-3, 1e-4]", "lr = 1e-3"), "grid: lr is 0.001; expected a list"),
        (("lr = [1e-3, 1e-4]", "epochs = [1, 2]"), "no epochs, which stands among the settings"),
        (("lr = [1e-3, 1e-4]", "rate = [1, 2]"), "has no key 'rate'"),
        (('recipe = "attentive-tokens"\n\n[settings]\nepochs = 12\nbatch_size = 16\nwarmup = 0.0\n', ""), "a recipe"),
        (("warmup = 0.0", "warmup = 0.0\nval_fraction = 0.0"), "no video is held out to choose among settings"),
    ],
)
def test_a_grid_that_is_wrong(store: Path, tmp_path: Path, change: tuple[str, str], told: str) -> None:
    text = GRID.format(lr="1e-3, 1e-4")
    assert change[0] in text
    (tmp_path / "odd.toml").write_text(text.replace(*change))
    with pytest.raises(fb.DataError) as caught:
        fb.evaluate_protocol(store, tmp_path / "odd.toml", results=None)
    assert told in str(caught.value)
