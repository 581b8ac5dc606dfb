"""The command extract: the shape of pixels in the spec, stores of before, fields, and damaged videos."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framebank.store import FeatureStore
from framebank.tests.extract.decoders.test_damaged import damage, write_noise
from framebank.tests.extract.decoders.test_pixels import disc, write_aspect, write_interlaced
from framebank.tests.worlds.cli import LABELS, sentence
from framebank.tests.worlds.store import edited

OPTIONS = ("--model", "demo", "--frames", 4)


@pytest.fixture
def videos(tmp_path: Path) -> tuple[Path, Path]:
    """One disc at two aspects of its pixels."""
    return tuple(write_aspect(tmp_path / f"{n}.mp4", disc(240 // n, 240), n) for n in (1, 2))  # type: ignore[return-value]


def make_old(store: Path) -> None:
    """Make a store as it was before the spec told the shape of pixels."""
    for path in store.glob("*.h5"):
        with edited(path) as file:
            del file.attrs["pixels"]


def likeness(store: FeatureStore) -> float:
    one, two = (store.read_video(video_id).data[0].astype(float) for video_id in ("1", "2"))
    return float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))


def test_one_disc_is_one_disc(framebank: Any, videos: tuple[Path, Path], tmp_path: Path) -> None:
    framebank("extract", *videos, tmp_path / "s", *OPTIONS)
    store = FeatureStore(tmp_path / "s")
    assert store.spec.pixels == "square"
    assert likeness(store) > 0.99


def test_a_store_of_before_keeps_its_pixels(framebank: Any, videos: tuple[Path, Path], tmp_path: Path) -> None:
    framebank("extract", videos[0], tmp_path / "old", *OPTIONS)
    make_old(tmp_path / "old")
    assert FeatureStore(tmp_path / "old").spec.pixels == "coded"
    report = json.loads(framebank("extract", *videos, tmp_path / "old", *OPTIONS, "--json").stdout)
    assert (report["embedded"], report["already_there"]) == (1, 1)
    old = FeatureStore(tmp_path / "old")
    assert old.spec.pixels == "coded"
    assert likeness(old) < 0.99
    # and is not mixed with a new one
    framebank("extract", videos[0], tmp_path / "new", *OPTIONS)
    merge = framebank("store", "merge", tmp_path / "old", tmp_path / "new", tmp_path / "both", exit_code=1)
    assert "pixels 'coded'" in sentence(merge)
    assert "pixels 'square'" in sentence(merge)


def test_an_index_of_before_reads_as_it_was_made(framebank: Any, videos: tuple[Path, Path], tmp_path: Path) -> None:
    found = {}
    for name in ("old", "new"):
        framebank("extract", videos[0], tmp_path / name, *OPTIONS)
        if name == "old":
            make_old(tmp_path / name)
        framebank("extract", videos[1], tmp_path / name, *OPTIONS)
        framebank("index", tmp_path / name, tmp_path / f"{name}.index")
        result = framebank("search", tmp_path / f"{name}.index", "--video", videos[1], "-k", 1, "--json")
        found[name] = json.loads(result.stdout)
    for name, result in found.items():
        assert '"2"' in json.dumps(result), name  # the video itself, and
        scores = [value for value in _numbers(result) if 0.9999 < value < 1.0001]
        assert scores, name  # at a cosine of 1


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for one in value.values() for number in _numbers(one)]
    if isinstance(value, list):
        return [number for one in value for number in _numbers(one)]
    return [value] if isinstance(value, float) else []


def test_deinterlaced_frames_are_told(framebank: Any, tmp_path: Path) -> None:
    video = write_interlaced(tmp_path / "v.ts")
    framebank("extract", video, tmp_path / "s", *OPTIONS, "--deinterlace")
    framebank("extract", video, tmp_path / "combed", *OPTIONS)
    assert FeatureStore(tmp_path / "s").spec.pixels == "square+deinterlaced"
    again = json.loads(framebank("extract", video, tmp_path / "s", *OPTIONS, "--json").stdout)
    assert again["already_there"] == 1  # the store knows
    refused = framebank("extract", video, tmp_path / "combed", *OPTIONS, "--deinterlace", exit_code=1)
    assert "--deinterlace needs another store" in sentence(refused)
    rows = [FeatureStore(tmp_path / name).read_video("v").data for name in ("s", "combed")]
    assert not np.array_equal(*rows)
    labels = framebank("label", video, "--labels", LABELS, "--like", tmp_path / "s", "--json")
    assert json.loads(labels.stdout)["videos"]


@pytest.mark.parametrize("option", ["--deinterlace", "--use-damaged"])
def test_other_decoders_have_no_part_in_it(framebank: Any, tmp_path: Path, option: str) -> None:
    video = write_interlaced(tmp_path / "v.ts")
    result = framebank("extract", video, tmp_path / "s", *OPTIONS, option, "--decoder", "decord", exit_code=2)
    assert "they need --decoder auto or pyav" in result.stderr


def test_damaged_videos_are_used_on_request(framebank: Any, tmp_path: Path) -> None:
    video = write_noise(tmp_path / "noise.mp4", g="12")
    damage(video, start=video.stat().st_size // 2, count=4000)
    every = ("--model", "demo", "--every-frame")
    first = framebank("extract", video, tmp_path / "s", *every, exit_code=1)
    assert "extract --use-damaged uses the good frames" in first.stderr
    again = framebank("extract", video, tmp_path / "s", *every, "--use-damaged", "--retry-failed", "--json")
    report = json.loads(again.stdout)
    assert (report["embedded"], report["damaged"], report["failed"]) == (1, 1, 0)
    told = FeatureStore(tmp_path / "s").decoders["noise"]
    assert told.startswith("pyav (")
    assert f"damaged: noise: {told.removeprefix('pyav (').rstrip(')')}\n" in again.stderr
    assert "left out" in told
