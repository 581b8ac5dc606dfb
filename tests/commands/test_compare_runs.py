"""compare-runs: runs that were evaluated, aligned by their videos; what it prints and what it refuses."""

import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.heads.predictions import Predictions
from framebank.heads.training.build import build_model
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.heads import SPEC

COUNT = 100


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders that look like evaluated runs of 100 videos of two classes, in sources of five."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    right = rng.random(COUNT) < 0.6
    write(folder / "first", right)
    write(folder / "second", right | (rng.random(COUNT) < 0.5), order=rng.permutation(COUNT), labels=("b", "a"))
    write(folder / "third", right)
    write(folder / "alike" / "seed-0", right)
    write(folder / "alike" / "seed-1", right)
    write(folder / "better" / "seed-0", right | (rng.random(COUNT) < 0.6))
    write(folder / "better" / "seed-1", right | (rng.random(COUNT) < 0.6))
    return folder


def write(
    folder: Path,
    right: np.ndarray,
    *,
    order: np.ndarray | None = None,
    labels: tuple[str, str] = ("a", "b"),
    split: str = "test",
    store: str = "gone",
    **changes: Any,
) -> None:
    order = np.arange(len(right)) if order is None else order
    targets = np.array([labels.index("ab"[place % 2]) for place in range(len(right))])
    wins = np.where(right, targets, 1 - targets)[order]
    arrays: dict[str, Any] = {
        "video_ids": tuple(f"v_X_g{place // 5:02d}_c{place % 5:02d}" for place in order),
        "scores": np.eye(2)[wins],
        "targets": targets[order],
        "labels": labels,
        **changes,
    }
    folder.mkdir(parents=True)
    Predictions(**arrays).write(folder / "predictions.npz")
    (folder / "metrics.json").write_text(json.dumps({"made_by": {"split": split, "store": store}}))
    files = _run_files(labels, store)
    for name, content in files.items():
        (folder / name).write_bytes(content)


@functools.cache
def _run_files(labels: tuple[str, ...], store: str) -> dict[str, bytes]:
    """The files of a run of two classes that has learned nothing, by name."""
    recipe = Recipe(head="mean", classifier="linear", loss="ce")
    model = build_model(recipe, dim=SPEC.dim, num_classes=len(labels), texts=None).eval()
    with tempfile.TemporaryDirectory() as folder:
        Run(recipe, SPEC, labels, model, store, {}).write(Path(folder) / "run", log=[])
        return {path.name: path.read_bytes() for path in (Path(folder) / "run").iterdir() if path.is_file()}


def test_two_runs(framebank: Any, made: Path) -> None:
    told = json.loads(framebank("compare-runs", made / "first", made / "second", "--json").stdout)
    assert {"difference", "interval", "mcnemar_p", "flips", "smallest_difference", "verdict"} <= set(told)
    assert (told["verdict"], told["split"], told["videos"], told["flips"]["lost"]) == ("better", "test", COUNT, 0)
    assert told["flips"]["gained"] == len(told["flips"]["gained_videos"]) == round(told["difference"] * COUNT)
    assert told["sources"] == 40  # the names say g00 to g19, in each of the two classes
    shown = framebank("compare-runs", made / "first", made / "second").stdout
    assert "verdict    B is better than A" in shown
    assert f"gained     {told['flips']['gained_videos'][0]}" in shown
    assert "worse" in framebank("compare-runs", made / "second", made / "first").stdout


def test_the_library_gives_the_same_as_two_arrays(made: Path) -> None:
    pairs = fb.compare_runs(made / "first", made / "second")
    found = [Predictions.read(made / name / "predictions.npz") for name in ("first", "second")]
    right = [dict(zip(one.video_ids, (one.scores.argmax(1) == one.targets).tolist(), strict=True)) for one in found]
    ids = found[0].video_ids
    groups = [f"{video_id.rpartition('_')[0]} {place % 2}" for place, video_id in enumerate(ids)]
    a, b = (np.array([each[video_id] for video_id in ids]) for each in right)
    assert pairs.pairs[0].paired.difference == fb.compare(a, b).difference
    assert pairs.pairs[0].paired.sources == fb.compare(a, b, groups=np.array(groups)).sources
    assert pairs._repr_html_().startswith("<pre>")


def test_three_runs_are_corrected(framebank: Any, made: Path) -> None:
    told = json.loads(framebank("compare-runs", made / "first", made / "second", made / "third", "--json").stdout)
    assert "difference" not in told
    assert [pair["verdict"] for pair in told["pairs"]] == ["better", "cannot tell"]
    assert all(pair["p_holm"] >= pair["p_value"] for pair in told["pairs"])
    shown = framebank("compare-runs", made / "first", made / "second", made / "third", "--equivalent-within", 5).stdout
    assert "equivalent within 5 points" in shown


def test_seeds_are_taken_in_pairs(framebank: Any, made: Path) -> None:
    told = json.loads(framebank("compare-runs", made / "alike", made / "better", "--json").stdout)
    assert (told["seeds"], told["verdict"]) == (2, "better")
    assert "is one run" in sentence(framebank("compare-runs", made / "alike", made / "first", exit_code=1))


def test_groups_of_the_evaluation_count(tmp_path: Path) -> None:
    right = np.arange(COUNT) % 3 > 0
    write(tmp_path / "a", right, groups=np.arange(COUNT) // 20)
    write(tmp_path / "b", ~right)
    assert fb.compare_runs(tmp_path / "a", tmp_path / "b").pairs[0].paired.sources == 5


def test_what_cannot_be_compared(framebank: Any, made: Path, tmp_path: Path) -> None:
    right = np.ones(COUNT, dtype=bool)
    ids = tuple(f"v_X_g{place // 5:02d}_c{place % 5:02d}" for place in range(COUNT))
    write(tmp_path / "split", right, split="val")
    write(tmp_path / "fewer", right[:-1])
    write(tmp_path / "twice", right, video_ids=(*ids[:-1], ids[0]))
    write(tmp_path / "labels", right, targets=np.zeros(COUNT, dtype=np.int64))
    write(tmp_path / "named", right)
    (tmp_path / "named" / "predictions.npz").unlink()
    found = Predictions.read(made / "first" / "predictions.npz")
    with (tmp_path / "named" / "predictions.npz").open("wb") as file:
        np.savez(file, video_ids=ids, scores=found.scores, targets=found.targets, labels=["a", "c"])
    (tmp_path / "cut").mkdir()
    shutil.copytree(made / "first", tmp_path / "cut", dirs_exist_ok=True)
    (tmp_path / "cut" / "predictions.npz").write_bytes(b"PK")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "checkpoint.safetensors").touch()
    for name, expected in {
        "split": "the split 'val'",
        "fewer": f"not measured on 1 of the {COUNT} videos",
        "twice": f"{ids[0]!r} twice",
        "labels": "different labels",
        "named": "different classes, such as 'b'",
        "cut": "cannot be read",
        "new": f"run `framebank evaluate {tmp_path / 'new'} --split test` first",
    }.items():
        told = sentence(framebank("compare-runs", made / "first", tmp_path / name, exit_code=1))
        assert expected in told and str(tmp_path / name) in told
    assert "no such run" in sentence(framebank("compare-runs", made / "first", tmp_path / "none", exit_code=1))
    assert "holds no run" in sentence(framebank("compare-runs", made / "first", tmp_path, exit_code=1))
    assert "given twice" in sentence(framebank("compare-runs", made / "first", made / "first", exit_code=1))
    assert "one run alone" in framebank("compare-runs", made / "first", exit_code=2).output


def test_runs_of_a_real_store(framebank: Any, store: Path, run: Path, tmp_path: Path) -> None:
    framebank("train", store, tmp_path / "r", "--head", "mean", "--classifier", "linear", "--epochs", 1)
    for folder in (run, tmp_path / "r"):
        framebank("evaluate", folder)
    told = json.loads(framebank("compare-runs", run, tmp_path / "r", "--json").stdout)
    tops = [json.loads((folder / "metrics.json").read_text())["top1"] for folder in (run, tmp_path / "r")]
    assert told["difference"] == pytest.approx(tops[1] - tops[0])
    assert told["sources"] == told["videos"] == 16


def test_runs_that_were_scored_on_different_stores_are_told(framebank: Any, made: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", np.arange(COUNT) % 2 == 0, store="elsewhere")
    told = " ".join(framebank("compare-runs", made / "first", tmp_path / "other").stderr.split())
    assert "was scored on the store gone and" in told and "on elsewhere; the difference is that of the rows too" in told
    assert not framebank("compare-runs", made / "first", made / "second").stderr
    write(tmp_path / "odd", np.arange(COUNT) % 2 == 0, store="elsewhere", split="val")
    told = sentence(framebank("compare-runs", made / "first", tmp_path / "odd", exit_code=1))
    assert "expected one split" in told and "elsewhere" not in told
    write(tmp_path / "same", np.arange(COUNT) % 2 == 0, store=str(Path("gone").absolute()))
    assert not framebank("compare-runs", made / "first", tmp_path / "same").stderr


def test_a_run_knows_its_store_from_any_folder(
    framebank: Any, store: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(run, tmp_path / "run")
    monkeypatch.chdir(store.parent)
    framebank("evaluate", tmp_path / "run", "--store", store.name, "--split", "test")
    told = json.loads((tmp_path / "run" / "metrics.json").read_text())["made_by"]["store"]
    assert told == str(store)
