"""Files of spans: what is written comes back, PySceneDetect's scenes are read, and bad ones are named."""

from pathlib import Path

import numpy as np
import pytest

from framebank.store import DataError
from framebank.store.spans.files import read_spans, write_spans
from framebank.store.spans.span import Span

SCENES = """Timecode List:,00:00:02.000,00:00:05.500
Scene Number,Start Frame,Start Timecode,Start Time (seconds),End Frame,End Timecode,End Time (seconds),Length (frames),Length (timecode),Length (seconds)
1,1,00:00:00.000,0.000,50,00:00:02.000,2.000,50,00:00:02.000,2.000
2,51,00:00:02.000,2.000,138,00:00:05.500,5.500,87,00:00:03.500,3.500
"""  # noqa: E501 - as it is written


@pytest.mark.parametrize("name", ["spans.csv", "spans.json"])
def test_spans_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(1)
    spans = tuple(
        Span(f"v/{number}, ü", float(start), float(start + length), label=label, score=score, source=source)
        for number, (start, length, label, score, source) in enumerate(
            zip(
                rng.uniform(0, 4000, 40),
                rng.uniform(1e-6, 99, 40),
                ["", 'say "hi"'] * 20,
                [None, 0.1] * 20,
                ["", "s"] * 20,
                strict=True,
            )
        )
    )
    write_spans(tmp_path / name, spans)
    assert read_spans(tmp_path / name) == spans


@pytest.mark.parametrize("text", [SCENES, SCENES.partition("\n")[2]], ids=["with the line of cuts", "without it"])
def test_the_scenes_of_pyscenedetect_are_spans(tmp_path: Path, text: str) -> None:
    path = tmp_path / "film-Scenes.csv"
    path.write_text(text)
    assert read_spans(path, video_id="film") == (
        Span("film", 0.0, 2.0, source="film-Scenes.csv"),
        Span("film", 2.0, 5.5, source="film-Scenes.csv"),
    )
    with pytest.raises(DataError, match=r"line [23]: names no video"):
        read_spans(path)


def test_times_may_be_clock_times(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("video_id;start;end;score\na;00:01:02,5;1:10;0,5\n")
    assert read_spans(tmp_path / "s.csv") == (Span("a", 62.5, 70.0, score=0.5),)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("s.csv", "video_id,start\na,1\n", "no column 'end'"),
        ("s.csv", "video_id,start,end\na,1,\n", "line 2: has no start or no end"),
        ("s.csv", "video_id,start,end\na,5,2\n", "line 2: the end of a span of 'a' is 2.0"),
        ("s.csv", "video_id,start,end,score\na,1,2,good\n", "line 2: the score 'good' is not a number"),
        ("s.json", '{"spans": [{"video_id": "a", "start": 1}]}', "span 1: end is missing; expected a number"),
        ("s.json", '{"spans": [{"video_id": "a", "start": 2, "end": 1}]}', "span 1: the end of a span"),
        ("s.json", "[]", r"is \[\]; expected an object"),
        ("s.txt", "", "does not have the name of a file of spans"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=f"{name}.*{told}"):
        read_spans(tmp_path / name)
