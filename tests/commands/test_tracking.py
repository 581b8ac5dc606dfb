"""--track: the epochs of a training as each tracker reads them; a tracker that is not installed is skipped."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from framebank.heads.training.run import Run
from framebank.tests.worlds.cli import sentence

TRAIN = ("--head", "mean", "--classifier", "linear", "--epochs", 3)


def trained(framebank: Any, world: Any, run: Path, tracker: str) -> list[float]:
    """Train with a tracker; return the loss of each epoch as log.csv has it."""
    framebank("train", world.store.path, run, *TRAIN, "--track", tracker)
    assert Run.read(run).labels
    lines = (run / "log.csv").read_text().splitlines()
    return [float(line.split(",")[lines[0].split(",").index("loss")]) for line in lines[1:]]


def test_tensorboard(framebank: Any, world: Any, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    losses = trained(framebank, world, tmp_path / "run", "tensorboard")
    found = EventAccumulator(str(tmp_path / "run"))
    found.Reload()
    assert [one.value for one in found.Scalars("loss")] == pytest.approx(losses, rel=1e-5)
    assert [one.step for one in found.Scalars("val_score")] == [1, 2, 3]


def test_mlflow(framebank: Any, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    losses = trained(framebank, world, tmp_path / "run", "mlflow")
    client = mlflow.MlflowClient()
    (found,) = client.search_runs([client.get_experiment_by_name("Default").experiment_id])
    assert found.info.run_name == "run"
    assert [one.value for one in client.get_metric_history(found.info.run_id, "loss")] == pytest.approx(losses)


def test_wandb(framebank: Any, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    trained(framebank, world, tmp_path / "run", "wandb")
    assert [path.stat().st_size > 0 for path in (tmp_path / "run" / "wandb").rglob("*.wandb")] == [True]


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_is_named(framebank: Any, world: Any, tmp_path: Path, name: str) -> None:
    if importlib.util.find_spec(name):
        pytest.skip(f"{name} is installed")
    told = sentence(framebank("train", world.store.path, tmp_path / "run", *TRAIN, "--track", name, exit_code=1))
    assert f"pip install framebank[{name}]" in told and not list(tmp_path.rglob("checkpoint.safetensors"))
