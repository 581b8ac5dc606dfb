"""Suspects through the command: changed labels, copies with different labels, and what cannot be judged."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.store import Manifest, ShardWriter, Video
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.heads import SPEC, row
from framebank.tests.worlds.several import write_several

pytestmark = pytest.mark.usefixtures("one_thread")
CLASSES = ("wave", "clap", "jump", "fall")


def write_bank(folder: Path, wrong: dict[int, str]) -> Path:
    """Write 80 videos of four classes, the first two of which show one recording; `wrong` are labels by number."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    last = np.zeros((8, SPEC.dim))
    with ShardWriter(folder, SPEC, max_videos=100) as writer:
        videos = []
        for number in range(80):
            true = 0 if number < 2 else number % 4
            frames = np.eye(SPEC.dim)[true] + 0.15 * rng.normal(size=(8, SPEC.dim))
            if number == 1:
                frames = last + 0.001 * rng.normal(size=frames.shape)
            last = frames
            label = wrong.get(number, CLASSES[true])
            videos.append(Video(f"clip-{number}", folder / f"clip-{number}.mp4", label, "train"))
            writer.add(f"clip-{number}", row(frames))
    Manifest(tuple(videos)).write(folder / "manifest.csv")
    return folder


def test_changed_labels_and_copies(framebank: Any, tmp_path: Path) -> None:
    store = write_bank(tmp_path / "store", {1: "fall", 22: "clap", 43: "wave"})
    told = json.loads(framebank("suspects", store, "--csv", tmp_path / "out.csv", "--json").stdout)
    found = {one["video_id"]: one for one in told["suspects"]}
    assert next(iter(found)) == "clip-1"  # a copy of a video with another label comes first
    assert (found["clip-1"]["suggested"], found["clip-1"]["copy_of"]) == ("wave", "clip-0")
    assert (found["clip-22"]["suggested"], found["clip-22"]["copy_of"]) == ("jump", "")
    assert found["clip-43"]["suggested"] == "fall" and found["clip-43"]["label"] == "wave"
    assert told["videos"] == 80 and told["unjudged"] == 0 and len(found) <= 5
    with (tmp_path / "out.csv").open() as file:
        assert [line["video_id"] for line in csv.DictReader(file)] == list(found)
    alone = fb.suspects(store, copies=False)
    assert {one.video_id for one in alone} >= {"clip-1", "clip-22", "clip-43"} and not any(one.copy_of for one in alone)
    assert "3 suspects, 3 of them confident, in 80 labelled videos" in framebank("suspects", store).stdout


def test_what_cannot_be_judged(framebank: Any, tmp_path: Path) -> None:
    store = write_bank(tmp_path / "store", dict.fromkeys(range(80), "wave"))
    told = sentence(framebank("suspects", store, exit_code=1))
    assert "its labelled videos are all of one class; expected two or more" in told
    (tmp_path / "several").mkdir()
    several = write_several(tmp_path / "several").store.path
    assert "has several labels" in sentence(framebank("suspects", several, exit_code=1))
