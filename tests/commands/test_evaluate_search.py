"""The command evaluate-search on an index of the demo, and what is wrong with its input."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.demo.actions import ACTIONS
from framebank.library.search_index import SearchIndex
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.copies import write_videos


@pytest.fixture(scope="module")
def queries(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """The first description of each action, with all of its videos."""
    text_of = {action.name: action.descriptions[0] for action in ACTIONS}
    path = tmp_path_factory.mktemp("queries") / "queries.csv"
    rows = [f'"{text_of[video.label]}",{video.video_id}' for video in fb.open(store).manifest.videos]
    path.write_text("\n".join(["text,video_id", *rows]) + "\n")
    return path


def test_both_directions_are_what_search_gives(framebank: Any, index: Path, queries: Path) -> None:
    told = json.loads(framebank("evaluate-search", index, queries, "--json").stdout)
    assert told["videos"] == told["video_to_text"]["queries"] == 64 and told["text_to_video"]["queries"] == 16
    opened = SearchIndex.open(index)
    first = 0
    for action in ACTIONS:
        hit = opened.search_text(action.descriptions[0], k=1)[0]
        first += hit.label == action.name
    assert told["text_to_video"]["R@1"] == first / 16 and first >= 8
    assert told["text_to_video"]["R@1"] <= told["text_to_video"]["R@5"] <= told["text_to_video"]["R@10"]
    assert told["moments"] is None and not told["dual_softmax"]
    printed = framebank("evaluate-search", index, queries, "--dual-softmax").stdout
    assert printed.startswith("               queries  R@1") and "a softmax over all queries" in printed


def test_moments_are_measured_in_their_videos(index: Path, store: Path, tmp_path: Path) -> None:
    path = tmp_path / "moments.csv"
    path.write_text(
        "text;video_id;start;end\na person waving;waving_test_00;0;3\na person waving;waving_test_00;0:01;0:02\n"
        "a person waving;clapping_test_00;;\n"
    )
    found = fb.evaluate_search(index, path, store=store)
    assert found.moments and found.moments.queries == 1 and found.moments.recalls[0] == 1.0
    assert repr(found).splitlines() == found.lines() and found._repr_html_().count("<table>") == 3


def test_a_store_that_is_named_is_looked_at_even_if_no_moment_is_asked_for(
    framebank: Any, index: Path, queries: Path, tmp_path: Path
) -> None:
    told = sentence(framebank("evaluate-search", index, queries, "--store", tmp_path / "gone", exit_code=1))
    assert f"{tmp_path / 'gone'}: no such store" in told


def test_an_answer_behind_the_end_of_its_video_is_told(index: Path, store: Path, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("text,video_id,start,end\na person waving,waving_test_00,90,94\n")
    with pytest.warns(
        fb.DataWarning, match="1 answer behind the end .* 90 to 94 s of 'waving_test_00', whose rows end"
    ):
        found = fb.evaluate_search(index, tmp_path / "q.csv", store=store)
    assert found.moments and found.moments.recalls[0] == 0.0


def test_moments_need_a_store_with_the_videos(framebank: Any, index: Path, store: Path, tmp_path: Path) -> None:
    spec = fb.open(store).spec
    write_videos(tmp_path / "other", {"x": (np.ones((3, spec.dim)), np.arange(3.0))}, spec=spec)
    (tmp_path / "q.csv").write_text("text,video_id,start,end\na person waving,waving_test_00,0,3\n")
    asked = ("evaluate-search", index, tmp_path / "q.csv", "--store", tmp_path / "other")
    assert "other: has no rows of the index's videos" in sentence(framebank(*asked, exit_code=1))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("words,video_id\na,b\n", "no column 'text'; expected text and video_id"),
        ("text,video_id\n", "holds no query"),
        ("text,video_id\n,waving_test_00\n", "line 2: has no text"),
        ("text,video_id\na person waving,nobody\n", "has none of its videos, such as 'nobody'"),
        ("text,video_id,start,end\na,waving_test_00,3,2\n", "is from 3.0 to 2.0; expected a start"),
        ("text,video_id,start,end\na,waving_test_00,3,\n", "is from 3.0 to None"),
        ("text,video_id,start,end\na,waving_test_00,x,4\n", "is not a number of seconds"),
    ],
)
def test_wrong_queries_are_one_sentence(framebank: Any, index: Path, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "q.csv").write_text(text)
    assert told in sentence(framebank("evaluate-search", index, tmp_path / "q.csv", exit_code=1))


def test_videos_that_the_index_lacks_are_named(framebank: Any, index: Path, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("text,video_id\na person waving,waving_test_00\na person waving,nobody\n")
    result = framebank("evaluate-search", index, tmp_path / "q.csv", "--json")
    assert json.loads(result.stdout)["left_out"] == ["nobody"] and "lacks 'nobody'" in result.stderr
