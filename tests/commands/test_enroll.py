"""The commands enroll, unenroll and label, on an index that lacks two classes of the demo."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from framebank.tests.worlds.cli import LABELS, sentence
from framebank.tests.worlds.video import draw_index, write_video

LEFT_OUT = ("falling down", "getting up")  # the same poses in the two orders


@pytest.fixture(scope="module")
def known(framebank: Any, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the demo world without two classes. Not to be written to."""
    folder = tmp_path_factory.mktemp("known")
    rows = json.loads((LABELS).read_text(encoding="utf-8"))
    chosen = [name.replace(" ", "_") for name in rows if name not in LEFT_OUT]
    ids = [f"{name}_{part}" for name in chosen for part in ("train_00", "train_01", "train_02", "test_00")]
    (folder / "ids.txt").write_text("\n".join(ids))
    framebank("store", "split", store, folder / "store", "--videos", folder / "ids.txt")
    framebank("index", folder / "store", folder / "index")
    return folder / "index"


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three clips of bars that count upwards, each from another number: nothing that the demo shows."""
    folder = tmp_path_factory.mktemp("bars")
    return [
        write_video(folder / f"from {start}.mp4", [draw_index(start + 7 * step) for step in range(25)])
        for start in (0, 100, 300)
    ]


@pytest.fixture
def index(known: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(known, tmp_path / "index"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def told(framebank: Any, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(framebank(*arguments, "--json").stdout)
    return found


def test_a_class_by_one_clip_is_known_by_another(framebank: Any, clips: Path, index: Path, bars: list[Path]) -> None:
    stranger = clips / "falling_down" / "falling_down_test_00.mp4"
    before = told(framebank, "label", bars[1], "--index", index)["videos"][0]
    assert (before["by"], [answer["by"] for answer in before["answers"]]) == ("neighbours", ["neighbours"])
    made = told(framebank, "enroll", index, "counting bars", bars[0])
    assert (made["num_enrolled"], made["num_own"], made["num_others"]) == (1, 0, 56)
    bar, unknown, seen = told(
        framebank, "label", bars[1], stranger, clips / "waving" / "waving_train_00.mp4", "--index", index
    )["videos"]
    assert (bar["label"], bar["by"]) == ("counting bars", "enrolled")
    first = bar["labels"][0]
    assert (first["label"], first["by"], first["measure"]) == ("counting bars", "enrolled", "cosine")
    assert first["score"] > bar["answers"][0]["threshold"] == made["threshold"]
    assert (unknown["label"], unknown["by"]) == ("unknown", None)
    assert not any(answer["passes"] for answer in unknown["answers"])
    assert (seen["label"], seen["by"]) == ("waving", "neighbours")  # it is in the index
    lines = framebank("label", bars[1], stranger, "--index", index).stdout.splitlines()
    assert lines[0] == f"{bars[1]}: counting bars"
    assert re.fullmatch(r"  enrolled: counting bars 0\.\d\d \(cosine\)", lines[1])
    assert re.fullmatch(r"    passes: cosine 0\.\d{3}, threshold 0\.\d{3}, \d\.\d\d % of others come as near", lines[2])
    assert lines[5] == f"{stranger}: unknown"
    assert lines[7].startswith("    does not pass: cosine ")
    assert all(len(line) <= 80 for line in lines if line.startswith("    "))


def test_a_run_and_texts_answer_what_was_not_enrolled(
    framebank: Any, clips: Path, run: Path, index: Path, bars: list[Path]
) -> None:
    framebank("enroll", index, "counting bars", bars[0])
    video = clips / "falling_down" / "falling_down_test_00.mp4"
    asked = ("label", bars[1], video, "--index", index, "--run", run, "--labels", LABELS, "--top", 2)
    bar, falling = told(framebank, *asked)["videos"]
    assert [answer["by"] for answer in bar["answers"]] == ["enrolled", "run", "texts", "neighbours"]
    assert [answer["by"] for answer in falling["answers"]] == ["run", "texts", "enrolled", "neighbours"]
    assert falling["by"] == "run"
    alone = told(framebank, "label", video, "--run", run, "--top", 2)["videos"][0]["labels"]
    assert [one["label"] for one in falling["labels"][:2]] == [one["label"] for one in alone]
    for one, other in zip(falling["labels"], alone, strict=False):  # in a batch of two and of one
        assert one["score"] == pytest.approx(other["score"], abs=1e-3)


def test_unenroll_gives_the_bytes_back(framebank: Any, index: Path, bars: list[Path]) -> None:
    before = contents(index)
    framebank("enroll", index, "counting bars", bars[0], bars[1])
    one = contents(index)
    assert {name: one[name] for name in before} == before  # the index's own files are never touched
    framebank("enroll", index, "more bars", bars[2])
    assert told(framebank, "unenroll", index, "more bars")["removed"] == 1
    assert contents(index) == one
    near = sentence(framebank("unenroll", index, "counting bar", exit_code=1))
    assert "'counting bar' is not one of its enrolled classes; near names: 'counting bars'" in near
    assert "is not one of its" in sentence(framebank("unenroll", index, "waving", exit_code=1))  # its own, not enrolled
    assert "2 enrolled videos of 'counting bars' removed" in framebank("unenroll", index, "counting bars").stdout
    assert contents(index) == before


def test_search_shows_what_was_enrolled(framebank: Any, index: Path, bars: list[Path]) -> None:
    framebank("enroll", index, "counting bars", bars[0])
    hits = told(framebank, "search", index, "--video", bars[0], "-k", 2)["hits"]
    assert (hits[0]["video_id"], hits[0]["enrolled"]) == ("counting bars/from 0", True)
    assert hits[1]["enrolled"] is False
    header, first, second = framebank("search", index, "--video", bars[0], "-k", 2).stdout.splitlines()
    assert header.split() == ["video", "cosine", "chance", "label", "by", "path"]
    assert first.split()[-4:-2] == ["bars", "enrolled"] and first.endswith("/from 0.mp4")
    assert "enrolled" not in second and second.endswith(".mp4")
    assert hits[0]["path"] == str(bars[0])
    assert len(told(framebank, "search", index, "--text", "counting bars", "-k", 57, "--all")["hits"]) == 57


def test_videos_of_the_index_as_examples(framebank: Any, index: Path) -> None:
    made = told(framebank, "enroll", index, "arm up", "--id", "waving_train_00", "--id", "waving_train_01")
    assert (made["num_enrolled"], made["num_others"]) == (2, 54)  # the two themselves say nothing of other classes
    twice = sentence(framebank("enroll", index, "arm up", "--id", "waving_train_00", exit_code=1))
    assert "is already there under the label 'arm up', as 'arm up/waving_train_00'" in twice
    own = sentence(framebank("enroll", index, "waving", "--id", "waving_train_00", exit_code=1))
    assert "is already there under the label 'waving', as 'waving_train_00'" in own
    assert "no video 'gone'" in sentence(framebank("enroll", index, "x", "--id", "gone", exit_code=1))


def test_what_cannot_be_enrolled_changes_nothing(
    framebank: Any, store: Path, index: Path, bars: list[Path], tmp_path: Path
) -> None:
    before = contents(index)
    (tmp_path / "bad.mp4").write_text("no")
    assert "bad.mp4" in sentence(framebank("enroll", index, "bars", bars[0], tmp_path / "bad.mp4", exit_code=1))
    assert "is already there" in sentence(framebank("enroll", index, "bars", bars[0], bars[0], exit_code=1))
    assert "is not an index" in sentence(framebank("enroll", tmp_path / "none", "bars", bars[0], exit_code=1))
    for label, message in (
        ("a;b", "expected one name"),
        (" ", "expected one name"),
        ("Unknown", "it is the answer when no class fits; choose another name"),
        ("Waving", "is written 'waving' in the index"),
    ):
        assert message in sentence(framebank("enroll", index, label, bars[0], exit_code=1))
    framebank("enroll", index, "bars", exit_code=2)
    assert contents(index) == before
    framebank("enroll", index, "bars", bars[0])
    assert "holds enrolled classes" in sentence(framebank("index", store, index, "--overwrite", exit_code=1))


def test_an_index_of_an_encoder_that_is_not_here(framebank: Any, world: Any, bars: list[Path], tmp_path: Path) -> None:
    framebank("index", world.store.path, tmp_path / "i")
    told = sentence(framebank("enroll", tmp_path / "i", "bars", bars[0], exit_code=1))
    assert f"{tmp_path / 'i'}: new videos cannot be embedded as its own were (" in told
    assert "ids (--id) take examples of the index" in told
    asked = sentence(framebank("label", bars[0], "--index", tmp_path / "i", exit_code=1))
    assert f"{tmp_path / 'i'}: new videos cannot be embedded as its own were (" in asked
    framebank("enroll", tmp_path / "i", "mine", "--id", "wave-train-0")


def test_too_few_videos_for_a_threshold(framebank: Any, store: Path, bars: list[Path], tmp_path: Path) -> None:
    ids = [f"{name}_{part}" for name in ("waving", "bowing") for part in ("train_00", "train_01")]
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    framebank("store", "split", store, tmp_path / "few", "--videos", tmp_path / "ids.txt")
    framebank("index", tmp_path / "few", tmp_path / "i")
    shown = framebank("enroll", tmp_path / "i", "counting bars", bars[0]).stdout
    assert "no threshold: 19 videos of other classes are needed" in shown
    assert "compared with 4 videos of other classes, of the 5 videos of the index itself" in shown
    (bar,) = told(framebank, "label", bars[1], "--index", tmp_path / "i")["videos"]  # all four vote
    assert (bar["label"], bar["by"], bar["answers"][0]["threshold"]) == ("counting bars", "enrolled", None)
    printed = framebank("label", bars[1], "--index", tmp_path / "i").stdout.splitlines()
    assert printed[-1].startswith("    passes: cosine 0.") and printed[-1].endswith(", no threshold")  # nothing set one
    assert len(told(framebank, "search", tmp_path / "i", "--id", "waving_train_00")["hits"]) == 4
    assert len(told(framebank, "search", tmp_path / "i", "--video", bars[0])["hits"]) == 5
    assert len(told(framebank, "search", tmp_path / "i", "--video", bars[0], "-k", 600)["hits"]) == 5  # all there are
    assert len(told(framebank, "search", tmp_path / "i", "--id", "waving_train_00", "-k", 600)["hits"]) == 4
    assert told(framebank, "label", bars[1], "--index", tmp_path / "i", "-k", 600)["videos"] == [bar]
    votes, _, none = framebank("calibrate", tmp_path / "i").stdout.splitlines()[-3:]
    assert votes.split()[-2:] == ["4", "none"]
    assert none.startswith("a threshold needs at least 19 others; without one, a class passes")
