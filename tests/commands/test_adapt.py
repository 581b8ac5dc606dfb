"""The way of an adapted encoder through the front door: its tokens, its training, and videos embedded with it."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framebank.store import FeatureStore
from framebank.tests.worlds.cli import sentence

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

HOW = ("--model", "demo", "--precision", "fp32", "--frames", 4)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    """The training clips of two classes."""
    with (clips / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in ("waving", "clapping")]
    path = tmp_path_factory.mktemp("few") / "few.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "path": clips / row["path"]} for row in rows)
    return path


def test_from_tokens_to_embeddings(framebank: Any, few: Path, tmp_path: Path) -> None:
    bank, out, better = tmp_path / "bank", tmp_path / "out", tmp_path / "better"
    streams = ("--streams", "frame,trunk:2")
    # A frame has 128 numbers and 128 maps of 8 x 8: 4 frames are 66,560 bytes, and 8 videos half a MiB.
    refused = sentence(framebank("extract", few, bank, *HOW, *streams, "--limit", "0.0004", exit_code=1))
    assert "0.06 MiB a video, 0.00 GiB for 8 videos; expected 0.0004 GiB at the most" in refused
    told = framebank("extract", few, bank, *HOW, *streams, "--limit", "0.0006").output
    assert "the streams frame,trunk:2 take 0.06 MiB a video, 0.00 GiB for 8 videos" in told
    store = FeatureStore(bank)
    assert store.read_packed("trunk")[0].shape == (32, 128, 8, 8)

    options = ("--epochs", 2, "--lr", "1e-3", "--classifier", "linear", "--val-fraction", 0, "--blocks", 1)
    report = json.loads(framebank("adapt", bank, out, *options, "--json").stdout)
    assert (report["blocks"], report["method"], report["val_score"]) == (1, "full", None)
    assert report["weights"] == str(out / "weights.safetensors")
    assert report["trained_parameters"] > 500_000

    framebank("extract", few, better, *HOW, "--pretrained", out)
    adapted = FeatureStore(better)
    assert adapted.spec.pretrained == report["weights"]
    assert set(adapted) == set(store)
    moved = np.stack([adapted[name].data.astype(np.float32) - store[name].data for name in store])
    assert np.abs(moved).max() > 1e-2
    again = framebank("extract", few, better).output  # the store knows its weights
    assert "8 already there" in again


def test_a_trunk_of_any_number_of_frames_is_refused(framebank: Any, few: Path, tmp_path: Path) -> None:
    call = ("extract", few, tmp_path / "bank", "--model", "demo", "--fps", 2, "--streams", "frame,trunk:2")
    assert "the stream trunk needs a fixed number of frames" in sentence(framebank(*call, exit_code=1))
