"""The command duplicates, on one store and on two, and what is wrong with its input."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.copies import sampled, write_videos
from framebank.tests.worlds.heads import SPEC

ORIGINALS = {f"v{number}": sampled([(number, 0.0, 10.0)]) for number in range(12)}
FILM = sampled([(30, 0.0, 6.0), (5, 4.0, 7.0), (31, 0.0, 5.0)], noise=0.2, seed=9)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store of recordings, and one of a film with three seconds of one of them and a video without a usable row."""
    folder = tmp_path_factory.mktemp("copies")
    zeros = (np.zeros((2, FILM[0].shape[1])), np.arange(2.0))
    write_videos(folder / "a", ORIGINALS)
    write_videos(folder / "b", {"film": FILM, "none": zeros, "v40": sampled([(40, 0.0, 9.0)])})
    return folder / "a", folder / "b"


def test_pairs_of_two_stores_are_spans(framebank: Any, two: tuple[Path, Path]) -> None:
    told = json.loads(framebank("duplicates", *two, "--json").stdout)
    (pair,) = told["pairs"]
    assert pair["a"]["video_id"] == "v5" and pair["b"]["video_id"] == "film" and 0.5 < pair["score"] < 1
    assert (pair["a"]["start"], pair["a"]["end"]) == pytest.approx((4.0, 7.0), abs=0.3)
    assert (pair["b"]["start"], pair["b"]["end"]) == pytest.approx((6.0, 9.0), abs=0.3)
    assert told["videos"] == 14 and told["left_out"] == ["none"]
    printed = framebank("duplicates", *two).stdout.splitlines()
    assert printed[0].split() == ["video", "start", "end", "copy", "start", "end", "score"]
    assert printed[-2:] == ["1 pair in 14 videos", "left out, without a row that can be compared: none"]
    assert framebank("duplicates", two[0]).stdout == "0 pairs in 12 videos\n"


def test_the_library_gives_the_same(two: tuple[Path, Path]) -> None:
    found = fb.duplicates(*two)
    assert found[0].a.video_id == "v5" and len(found[:1]) == len(found) == 1
    assert repr(found).splitlines() == found.lines() and "<table>" in found._repr_html_()
    assert not fb.duplicates(*two, least=0.99)


def test_wrong_input_is_one_sentence(framebank: Any, two: tuple[Path, Path], tmp_path: Path) -> None:
    write_videos(tmp_path / "c", ORIGINALS, spec=replace(SPEC, weights_hash="f" * 16))
    assert "they cannot be mixed" in sentence(framebank("duplicates", two[0], tmp_path / "c", exit_code=1))
    assert "no video is in the split 'odd'" in sentence(framebank("duplicates", two[0], "--split", "odd", exit_code=1))
    write_videos(tmp_path / "zeros", {"none": (np.zeros((2, FILM[0].shape[1])), np.arange(2.0))})
    told = sentence(framebank("duplicates", tmp_path / "zeros", two[1], exit_code=1))
    assert "zeros: no video of the split all has a row that can be compared" in told
    with pytest.raises(fb.DataError, match="least is"):
        fb.duplicates(two[0], least=1.0)
    with pytest.raises(fb.DataError, match="is given twice"):
        fb.duplicates(two[0], two[0])
