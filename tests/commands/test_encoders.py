"""Encoders of other makers from the front door: extract, resume, train, label, search, and what is refused."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from framebank.store import FeatureStore
from framebank.tests.worlds.tiny_models import CLIP_FRAMES, save_model

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def few(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of two training clips and a test clip each, as a table."""
    lines = (clips / "manifest.csv").read_text().splitlines()
    labels = sorted({line.split(",")[2] for line in lines[1:]})[:4]
    kept = [
        line.replace(path, str(clips / path))
        for line in lines[1:]
        if (path := line.split(",")[1]) and line.split(",")[2] in labels and "_train_02" not in line
    ]
    table = tmp_path_factory.mktemp("few") / "few.csv"
    table.write_text("\n".join([lines[0], *kept]) + "\n")
    return table


def told(result: Any) -> str:
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, result.stderr
    return str(lines[0])


def test_a_model_of_timm_from_a_plain_state_dict(few: Path, tmp_path: Path, framebank: Any) -> None:
    torch.manual_seed(2)
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    store = tmp_path / "store"
    asked = ("--model", "timm:vit_tiny_patch16_224", "--pretrained", tmp_path / "w.safetensors", "--precision", "fp32")
    made = ("extract", few, store, *asked, "--frames", 2, "--streams", "frame,tokens:2", "--json")
    assert json.loads(framebank(*made).stdout)["embedded"] == 12
    again = json.loads(framebank("extract", few, store, "--json").stdout)
    assert (again["embedded"], again["already_there"]) == (0, 12)
    assert json.loads(framebank(*made).stdout)["already_there"] == 12  # named as it was at first
    opened = FeatureStore(store)
    assert opened.spec.model == "timm:vit_tiny_patch16_224"
    assert opened.read_stream(opened.ids[0], "tokens").shape == (2, 4, 192)
    run = tmp_path / "run"
    framebank("train", store, run, "--recipe", "attentive-tokens", "--set", "epochs=1", "--set", "head.blocks=1")
    assert json.loads(framebank("evaluate", run, "--json").stdout)["videos_evaluated"] == 4
    refused = told(framebank("zeroshot", store, exit_code=1))
    assert "timm:vit_tiny_patch16_224 has no text tower" in refused and "such as linear" in refused
    framebank("index", store, tmp_path / "index")
    video = opened.manifest.videos[0].path
    assert ".mp4" in framebank("search", tmp_path / "index", "--video", video, "--all").stdout
    assert "has no text tower" in told(framebank("search", tmp_path / "index", "--text", "a person", exit_code=1))


def test_a_model_of_clips_from_a_folder(few: Path, tmp_path: Path, framebank: Any) -> None:
    pytest.importorskip("transformers")
    save_model("vjepa2", tmp_path / "tiny")
    store, model = tmp_path / "store", f"hf:{tmp_path / 'tiny'}"
    made = ("extract", few, store, "--model", model, "--precision", "fp32", "--fps", 4, "--json")
    assert json.loads(framebank(*made).stdout)["embedded"] == 12
    assert json.loads(framebank(*made).stdout)["already_there"] == 12
    opened = FeatureStore(store)
    rows = opened[opened.ids[0]]
    assert rows.windows is not None and len(rows.windows) == len(rows.data) >= 2
    np.testing.assert_allclose(rows.windows[0, 0], 0)
    assert (np.diff(rows.timestamps) > 0).all() and (rows.windows[:, 1] > rows.windows[:, 0]).all()
    shown = json.loads(framebank("store", "show", store, opened.ids[0], "--json").stdout)
    assert shown["windows"] == rows.windows.tolist()
    framebank("store", "verify", store)
    merged = tmp_path / "merged"
    framebank("store", "merge", store, merged)
    np.testing.assert_array_equal(FeatureStore(merged)[opened.ids[0]].windows, rows.windows)
    run = tmp_path / "run"
    framebank("train", store, run, "--head", "mean", "--classifier", "linear", "--epochs", 1)
    video = opened.manifest.videos[0].path
    assert "run: " in framebank("label", video, "--run", run).stdout
    framebank("index", store, tmp_path / "index")
    hits = framebank("search", tmp_path / "index", "--id", opened.ids[0], "--moments", "--all", "--json").stdout
    assert json.loads(hits)


def test_what_cannot_be_is_refused_before_a_video_is_read(few: Path, tmp_path: Path, framebank: Any) -> None:
    pytest.importorskip("transformers")
    save_model("vjepa2", tmp_path / "tiny")
    store, model = tmp_path / "store", f"hf:{tmp_path / 'tiny'}"

    def refused(*more: object) -> str:
        return told(framebank("extract", few, store, *more, exit_code=1))

    few_frames = refused("--model", model, "--frames", CLIP_FRAMES - 1)
    assert re.search(r"clips of 4 frames, and 3 frames .*multiple of 4, such as --frames 4", few_frames)
    assert "did you mean timm:vit_tiny" in refused("--model", "tim:vit_tiny")
    assert "vit_tiny_patch16_224" in refused("--model", "timm:vit_tiny_patch16_22", "--pretrained", "none")
    assert "is no folder of a model" in refused("--model", f"hf:{tmp_path / 'tinny'}")
    assert "has no stream tokens: it reads clips" in refused("--model", model, "--streams", "frame,tokens:2")
    assert not store.exists()


def test_a_video_that_is_shorter_than_a_clip_has_its_line(few: Path, tmp_path: Path, framebank: Any) -> None:
    pytest.importorskip("transformers")
    save_model("vjepa2", tmp_path / "tiny")
    store = tmp_path / "store"
    asked = ("--model", f"hf:{tmp_path / 'tiny'}", "--precision", "fp32", "--fps", 0.5)
    framebank("extract", few, store, *asked, exit_code=1)
    reasons = (store / "failed.csv").read_text()
    assert "of the 4 frames that one clip of the encoder needs; expected a longer video" in reasons
