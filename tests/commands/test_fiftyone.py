"""The export for FiftyOne: samples as `fiftyone.Sample.from_dict` takes them, held against the documented fields."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.store import Manifest, ShardWriter, Span, Video
from framebank.store.spans.files import write_spans
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.heads import SPEC, frames_of, row, write_world

CONFIDENT = {"_cls", "label", "confidence"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, framebank: Any) -> Path:
    """A folder with a store, and a run of it."""
    folder = tmp_path_factory.mktemp("fiftyone")
    (folder / "store").mkdir()
    write_world(folder / "store")
    framebank("train", folder / "store", folder / "run", "--head", "mean", "--classifier", "linear", "--epochs", 2)
    return folder


def samples_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The samples of an export by the ids of their videos, after what every importer asks of it was checked."""
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["media_type"] == "video" and "version" not in metadata  # with a version it would be a database's
    samples = json.loads((folder / "samples.json").read_text())["samples"]
    for sample in samples:
        assert Path(sample["filepath"]).is_absolute()
        assert json.loads((folder / sample["frames"]).read_text()) == {"frames": {}}
    return {sample["video_id"]: sample for sample in samples}


def test_labels_and_predictions(framebank: Any, made: Path, tmp_path: Path) -> None:
    store = fb.open(made / "store")
    write_spans(tmp_path / "spans.csv", [Span("wave-test-0", 0.3, 1.2, "up", 0.75)])
    framebank(
        *("store", "export", made / "store", tmp_path / "out", "--format", "fiftyone", "--split", "test"),
        *("--run", made / "run", "--spans", tmp_path / "spans.csv"),
    )
    samples = samples_of(tmp_path / "out")
    assert "lost" not in samples  # it has no embedding
    said = {one.video.video_id: one for one in fb.TrainedRun.open(made / "run").predict(store, "test")}
    for video in store.split("test").videos:
        if video.video_id not in samples:
            continue
        sample = samples[video.video_id]
        assert sample["filepath"] == str(video.path) and sample["tags"] == ["test"]
        assert sample.get("ground_truth") == ({"_cls": "Classification", "label": video.label} if video.label else None)
        assert set(sample["predictions"]) == CONFIDENT
        label, confidence = said[video.video_id].top(1)[0]
        assert (sample["predictions"]["label"], sample["predictions"]["confidence"]) == (
            label,
            pytest.approx(confidence),
        )
    found = samples["wave-test-0"]["spans"]
    assert found["_cls"] == "TemporalDetections"
    # ten frames a second: frame 3 of those that count from 0 is the fourth
    assert found["detections"] == [{"_cls": "TemporalDetection", "support": [4, 12], "label": "up", "confidence": 0.75}]


def test_parts_of_a_file_and_several_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    videos = [
        Video("a", tmp_path / "film.mp4", "wave", "train", 0.0, 0.6),
        Video("b", tmp_path / "film.mp4", "clap;wave", "train", 0.6, 2.0),
        Video("c", tmp_path / "other.mp4", "clap;wave", "test"),
        Video("d", tmp_path / "last.mp4", "clap", "test"),
    ]
    (tmp_path / "store").mkdir()
    Manifest(tuple(videos)).write(tmp_path / "store" / "manifest.csv")
    with ShardWriter(tmp_path / "store", SPEC, max_videos=9) as writer:
        for video in videos:
            writer.add(video.video_id, row(frames_of("clap", rng)))
    done = fb.export_fiftyone(tmp_path / "store", tmp_path / "out")
    samples = samples_of(tmp_path / "out")
    assert done.num_videos == 4 and set(samples) == {"a", "c", "d"}
    parts = samples["a"]["ground_truth_parts"]["detections"]
    assert [(one["label"], one["support"]) for one in parts] == [("wave", [1, 6]), ("clap", [7, 20]), ("wave", [7, 20])]
    each = samples["c"]["ground_truth"]
    assert each["_cls"] == "Classifications" and [one["label"] for one in each["classifications"]] == ["clap", "wave"]
    assert samples["d"]["ground_truth"]["_cls"] == "Classifications"  # a field has one type


def test_whole_videos_of_one_file_are_samples_of_their_own(tmp_path: Path) -> None:
    """Videos of an imported table may share its path; each keeps its label, its tags and its spans."""
    rng = np.random.default_rng(0)
    table = tmp_path / "table.npz"
    videos = [
        Video("part", table, "rise", "val", 0.6, 2.0),
        Video("a", table, "wave", "train"),
        Video("b", table, "clap", "test"),
    ]
    (tmp_path / "store").mkdir()
    Manifest(tuple(videos)).write(tmp_path / "store" / "manifest.csv")
    with ShardWriter(tmp_path / "store", SPEC, max_videos=9) as writer:
        for video in videos:
            writer.add(video.video_id, row(frames_of("clap", rng)))
    write_spans(tmp_path / "spans.csv", [Span("b", 0.3, 1.2, "up", 0.75), Span("part", 0.0, 1.0, "down", 0.5)])
    fb.export_fiftyone(tmp_path / "store", tmp_path / "out", spans=tmp_path / "spans.csv")
    samples = samples_of(tmp_path / "out")
    assert set(samples) == {"a", "b"} and {one["filepath"] for one in samples.values()} == {str(table)}
    assert (samples["a"]["ground_truth"]["label"], samples["b"]["ground_truth"]["label"]) == ("wave", "clap")
    assert (samples["a"]["tags"], samples["b"]["tags"]) == (["val", "train"], ["test"])
    assert [one["label"] for one in samples["a"]["ground_truth_parts"]["detections"]] == ["rise"]
    assert [one["label"] for one in samples["a"]["spans"]["detections"]] == ["down"]
    assert [one["label"] for one in samples["b"]["spans"]["detections"]] == ["up"]


def test_what_cannot_be_exported(framebank: Any, made: Path, tmp_path: Path) -> None:
    write_spans(tmp_path / "spans.csv", [Span("nobody", 0.0, 1.0)])
    call = ("store", "export", made / "store", tmp_path / "out", "--format", "fiftyone")
    told = sentence(framebank(*call, "--spans", tmp_path / "spans.csv", exit_code=1))
    assert "spans.csv: has a span of 'nobody'; expected video_ids of the videos that are exported" in told
    assert not (tmp_path / "out").exists()
    framebank(*call)
    assert "exists already" in sentence(framebank(*call, exit_code=1))
