"""The demo's clips, their store and a run, which the tests of the library share. Not to be written to."""

from pathlib import Path

import pytest

import framebank as fb
from framebank.demo.clips import render_clips
from framebank.store import FeatureStore
from framebank.tests.worlds.once import made_once

NUM_TRAIN, NUM_TEST = 3, 2  # clips of each class


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clips of the demo, by class, and their manifest.csv."""
    return made_once(
        tmp_path_factory,
        "videos",
        lambda folder: list(render_clips(folder, num_train=NUM_TRAIN, num_test=NUM_TEST, seed=0)),
    )


@pytest.fixture(scope="session")
def bank(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return FeatureStore(
        made_once(
            tmp_path_factory,
            "bank",
            lambda folder: fb.extract(videos / "manifest.csv", folder, model="demo", frames=4),
        )
    )


@pytest.fixture(scope="session")
def run(bank: FeatureStore, tmp_path_factory: pytest.TempPathFactory) -> fb.TrainedRun:
    folder = tmp_path_factory.mktemp("run") / "run"
    return fb.train(bank, folder, head="mean", classifier="linear", loss="ce", epochs=20, lr=0.01)
