"""The commands index, search and label on a real store."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.tests.worlds.cli import LABELS, sentence


def test_search_by_text_by_id_and_by_video_agree(framebank: Any, clips: Path, index: Path) -> None:
    hits = json.loads(framebank("search", index, "--text", "a person lying on the floor", "-k", 5, "--json").stdout)[
        "hits"
    ]
    assert len(hits) == 5
    assert set(hits[0]) == {"video_id", "score", "label", "start", "end", "enrolled", "path", "chance"}
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    near = sentence(framebank("search", index, "--id", "falling_down_train_0", exit_code=1))
    assert "among its 64; near names: 'falling_down_train_0" in near
    of_id = json.loads(framebank("search", index, "--id", "falling_down_train_00", "-k", 4, "--json").stdout)["hits"]
    assert "falling_down_train_00" not in {hit["video_id"] for hit in of_id}
    video = clips / "falling_down" / "falling_down_train_00.mp4"
    of_video = json.loads(framebank("search", index, "--video", video, "-k", 5, "--json").stdout)["hits"]
    assert of_video[0]["video_id"] == "falling_down_train_00"
    assert of_video[0]["score"] == pytest.approx(1, abs=1e-3)
    assert [hit["video_id"] for hit in of_video[1:]] == [hit["video_id"] for hit in of_id]


def test_label_by_run_by_index_and_by_texts(framebank: Any, clips: Path, store: Path, run: Path, index: Path) -> None:
    video = clips / "falling_down" / "falling_down_train_00.mp4"
    by_index = json.loads(framebank("label", video, "--index", index, "-k", 1, "--json").stdout)
    assert by_index["videos"][0]["labels"] == [
        {"label": "falling down", "score": 1.0, "by": "neighbours", "measure": "share of votes"}
    ]
    for options in (("--run", run), ("--labels", LABELS, "--like", store), ("--labels", LABELS, "--model", "demo")):
        (answer,) = json.loads(framebank("label", video, *options, "--top", 16, "--json").stdout)["videos"]
        assert sum(one["score"] for one in answer["labels"]) == pytest.approx(1, abs=1e-4)
    assert "falling down" in framebank("label", video, "--index", index, "-k", 1).stdout


def test_label_of_a_video_equals_its_stored_prediction(framebank: Any, clips: Path, run: Path) -> None:
    framebank("evaluate", run)
    with np.load(run / "predictions.npz") as saved:
        row = list(saved["video_ids"]).index("waving_test_00")
        expected = dict(zip(saved["labels"].tolist(), saved["scores"][row].tolist(), strict=True))
    video = clips / "waving" / "waving_test_00.mp4"
    (answer,) = json.loads(framebank("label", video, "--run", run, "--top", 16, "--json").stdout)["videos"]
    for one in answer["labels"]:
        assert one["score"] == pytest.approx(expected[one["label"]], abs=0.02)


def test_an_index_of_other_files(framebank: Any, store: Path, index: Path, tmp_path: Path) -> None:
    framebank("index", store, tmp_path / "test", "--split", "test")
    shutil.copy(index / "index.faiss", tmp_path / "test" / "index.faiss")
    told = sentence(framebank("search", tmp_path / "test", "--text", "a person", exit_code=1))
    assert "different indexes" in told


def test_an_index_is_replaced_only_when_told(framebank: Any, store: Path, tmp_path: Path) -> None:
    framebank("index", store, tmp_path / "i", "--split", "test")
    before = {path.name: path.read_bytes() for path in (tmp_path / "i").iterdir()}
    told = sentence(framebank("index", store, tmp_path / "i", exit_code=1))
    there = f"Error: {tmp_path / 'i'}: already holds an index; choose another folder"
    assert told == f"{there}, or overwrite it (--overwrite)"
    assert {path.name: path.read_bytes() for path in (tmp_path / "i").iterdir()} == before
    report = json.loads(framebank("index", store, tmp_path / "i", "--overwrite", "--json").stdout)
    assert report["videos"] == 64


def test_label_says_which_video_could_not_be_read(framebank: Any, clips: Path, run: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no")
    good = clips / "falling_down" / "falling_down_train_00.mp4"
    result = framebank("label", tmp_path / "bad.mp4", good, "--run", run, exit_code=1)
    assert str(good) in result.stdout
    assert "bad.mp4" in sentence(result)


def test_search_tells_the_seconds_of_parts(framebank: Any, clips: Path, tmp_path: Path) -> None:
    video = clips / "waving" / "waving_train_00.mp4"
    rows = f"video_id,path,label,start,end\nwhole,{video},wave,,\npart,{video},wave,0.5,1.25\nrest,{video},wave,1.5,\n"
    (tmp_path / "list.csv").write_text(rows)
    framebank("extract", tmp_path / "list.csv", tmp_path / "s", "--model", "demo", "--frames", 2)
    framebank("index", tmp_path / "s", tmp_path / "i")
    hits = json.loads(framebank("search", tmp_path / "i", "--video", video, "-k", 3, "--json").stdout)["hits"]
    assert {hit["video_id"]: (hit["start"], hit["end"]) for hit in hits} == {
        "whole": (None, None), "part": (0.5, 1.25), "rest": (1.5, None)
    }  # fmt: skip
    header, *lines = framebank("search", tmp_path / "i", "--video", video, "-k", 3).stdout.splitlines()
    assert header.split() == ["video", "seconds", "cosine", "label", "path"]
    assert any(line.startswith("part   0.5 to 1.25 ") for line in lines)
    assert any(line.startswith("rest   1.5 to the end") for line in lines)
    found = framebank("label", video, "--index", tmp_path / "i", "-k", 3, "--json").stdout
    assert json.loads(found)["videos"][0]["labels"][0]["label"] == "wave"


def test_search_of_whole_videos_has_no_column_of_seconds(framebank: Any, index: Path) -> None:
    told = framebank("search", index, "--id", "falling_down_train_00", "-k", 2).stdout
    assert told.splitlines()[0].split() == ["video", "cosine", "chance", "label", "path"]


def test_a_hit_of_a_video_tells_how_many_others_fit_it_as_well(store: Path, tmp_path: Path) -> None:
    opened = fb.index(store, tmp_path / "frames", level="frame")
    hits = opened.search_id("falling_down_train_00", k=20)
    assert hits.by_videos and hits[0].start is not None
    for hit in hits:
        others = [name not in ("falling_down_train_00", hit.video_id) for name in opened.ids]
        fits = opened.index.own_vectors[others] @ opened.index.vector_of(hit)
        least, most = (np.count_nonzero(fits >= hit.score + slack) for slack in (1e-5, -1e-5))
        assert hit.chance is not None and (1 + least) / 63 <= hit.chance <= (1 + most) / 63
    assert hits[0].chance < hits[19].chance
    assert opened.search(opened.index.vector(opened.ids[0]), k=1)[0].chance is None  # an embedding may be of a text
