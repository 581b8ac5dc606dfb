"""results: the ledger of the figures of protocols, whatever happened to it."""

import csv
import io
import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest

import framebank as fb
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.heads import World
from framebank.tests.worlds.protocol import write_protocol

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    """A protocol of two splits, its lists, and prompts of the classes."""
    folder = tmp_path_factory.mktemp("eval")
    write_protocol(folder, world)
    return folder


def test_results_that_cannot_be_written(framebank: Any, world: World, place: Path, tmp_path: Path) -> None:
    """A place that is none is refused before the training; where the line has no room in the end, nothing is lost."""
    start = ("eval", world.store.path, "--protocol", "supervised", "--recipe", "ridge", "--results", place)
    told = sentence(framebank(*start, "--keep-runs", tmp_path / "runs", exit_code=1))
    assert f"{place}: cannot be written: Is a directory" in told
    assert not (tmp_path / "runs").exists()
    ledger = tmp_path / "r.jsonl"
    start = ("eval", world.store.path, "--protocol", "zero-shot-full", "--prompts", place / "prompts.h5")
    assert framebank(*start, "--results", ledger).stdout.splitlines()[-1] == f"results    {ledger}"
    before = ledger.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
    try:
        told = framebank(*start, "--results", ledger, "--json", exit_code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ledger.read_bytes() == before
    assert json.loads(told.stdout)["top1"] == json.loads(before)["top1"]
    assert f"the figures are not in the results: {ledger}: cannot be written: File too large" in told.stderr


def test_results_in_every_form(framebank: Any, world: World, place: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "r.jsonl"
    for protocol in ("zero-shot-full", "zero-shot-half"):
        fb.evaluate_protocol(world.store, protocol, prompts=place / "prompts.h5", results=ledger)
    assert len(framebank("results", ledger).stdout.splitlines()) == 3
    found = framebank("results", ledger, "--where", "protocol=*half", "--format", "csv").stdout
    (row,) = csv.DictReader(io.StringIO(found))
    assert row["protocol"] == "zero-shot-half" and "+-" in row["top-1"]
    assert row["store"] == world.store.path.name
    latex = framebank("results", ledger, "--format", "latex").stdout
    assert latex.startswith("\\begin{tabular}") and "\\%" in latex and " % " not in latex and "$\\pm$" in latex
    assert framebank("results", ledger, "--format", "markdown").stdout.splitlines()[1].count("---") == 10
    assert len(json.loads(framebank("results", ledger, "--json").stdout)["results"]) == 2
    assert "<table>" in fb.results(ledger)._repr_html_()
    assert "no key 'protocl'" in sentence(framebank("results", ledger, "--where", "protocl=a", exit_code=1))
    nothing = f"{ledger}: none of its 2 results fits protocol=nope"
    assert framebank("results", ledger, "--where", "protocol=nope").stdout.strip() == nothing
    assert framebank("results", ledger, "--where", "protocol=nope", "--format", "csv").stderr.strip() == nothing
    by_texts = framebank("results", ledger, "--where", "by=texts", "--json").stdout
    assert [line["by"] for line in json.loads(by_texts)["results"]] == ["texts", "texts"]
    with ledger.open("a") as file:
        file.write('{"top1": 1}\n')
    assert f"{ledger}, line 3: is no result" in sentence(framebank("results", ledger, exit_code=1))


def test_what_a_kill_or_an_editor_did_to_the_results(world: World, place: Path, tmp_path: Path) -> None:
    """A piece of a line at the end is left out and then removed; a changed figure is refused; nothing else is lost."""
    ledger = tmp_path / "r.jsonl"

    def score() -> None:
        fb.evaluate_protocol(world.store, "zero-shot-full", prompts=place / "prompts.h5", results=ledger)

    score()
    whole = ledger.read_text()
    ledger.write_text(whole + whole[:200])
    with pytest.warns(fb.DataWarning, match="line 2: is a piece of a line"):
        assert len(fb.results(ledger).values) == 1
    with pytest.warns(fb.DataWarning, match="a piece of a line at its end, which a killed command left, is removed"):
        score()
    assert len(fb.results(ledger).values) == 2
    ledger.write_text(whole.rstrip("\n"))  # as an editor may leave it: the line is whole
    score()
    assert ledger.read_text().startswith(whole) and len(fb.results(ledger).values) == 2
    ledger.write_text(whole.replace('"top1": ', '"top1": 0'))
    with pytest.raises(fb.DataError, match="line 1: is not"):
        fb.results(ledger)
    line = json.loads(whole)
    line["top1"] = 0.999
    ledger.write_text(json.dumps(line) + "\n")
    with pytest.raises(fb.DataError, match="line 1: is not as it was written"):
        fb.results(ledger)
    del line["blake2b"]
    ledger.write_text(json.dumps(line) + "\n")  # of an earlier version
    assert len(fb.results(ledger).values) == 1
    ledger.write_text("a list of things to do\n")
    with pytest.raises(fb.DataError, match="holds no results"):
        score()
    assert ledger.read_text() == "a list of things to do\n"


def test_the_line_of_runs_that_are_there_is_added_by_the_next_command(
    framebank: Any, world: World, tmp_path: Path
) -> None:
    """As after a kill between the two."""
    ledger = tmp_path / "r.jsonl"
    start = ("eval", world.store.path, "--protocol", "supervised", "--recipe", "ridge", "--results", ledger)
    framebank(*start, "--keep-runs", tmp_path / "runs")
    before = ledger.read_text()
    report = json.loads((tmp_path / "runs" / "split" / "metrics.json").read_text())
    assert report["made_by"]["run"] == str(tmp_path / "runs" / "split")
    ledger.unlink()
    told = framebank(*start, "--keep-runs", tmp_path / "runs", exit_code=1).stderr
    assert "exists already" in told and f"which {ledger} lacked, is added" in " ".join(told.split())
    assert ledger.read_text() == before
    framebank(*start, "--keep-runs", tmp_path / "runs", exit_code=1)
    assert ledger.read_text() == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"top1": "x"}, "top1 is 'x'; expected a number"),
        ({"top1_interval": [0.1, 0.2, 0.3]}, "top1_interval is [0.1, 0.2, 0.3]; expected two numbers"),
        ({"map": 0.5, "map_interval": [0.1]}, "map_interval is [0.1]; expected two numbers"),
        ({"protocol": {"name": ["a"], "hash": "b"}}, "name is ['a']; expected a text"),
        ({"protocol": {}}, "name is missing"),
        ({"videos_listed": -1}, "videos_listed is -1"),
        ({"recipe": None}, "recipe is None; expected a text"),
        ({"blake2b": 5}, "is not as it was written"),
        ({"blake2c": "ab" * 16}, "is not as it was written"),  # the digest, under a name that a bad disk gave it
    ],
)
def test_a_line_with_other_values_is_named(
    world: World, place: Path, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    found = fb.evaluate_protocol(world.store, "zero-shot-full", prompts=place / "prompts.h5", results=None)
    line = json.dumps(dict(found.line))
    ledger = tmp_path / "r.jsonl"
    ledger.write_text(f"{line}\n{json.dumps({**found.line, **change})}\n")
    with pytest.raises(fb.DataError) as caught:
        fb.results(ledger)
    assert f"{ledger}, line 2" in str(caught.value) and told in str(caught.value)


def test_what_a_terminal_obeys_is_shown_as_text(world: World, place: Path, tmp_path: Path) -> None:
    found = fb.evaluate_protocol(world.store, "zero-shot-full", prompts=place / "prompts.h5", results=None)
    (tmp_path / "r.jsonl").write_text(json.dumps({**found.line, "recipe": "\x1b[31mred\nnew\u2028"}) + "\n")
    for form in ("text", "markdown", "latex"):
        shown = fb.results(tmp_path / "r.jsonl").text(form)
        assert "\x1b" not in shown and "\u2028" not in shown and "red" in shown
        assert len(shown.splitlines()) == {"text": 2, "markdown": 3, "latex": 5}[form]


def test_places_of_results(framebank: Any, world: World, place: Path, tmp_path: Path) -> None:
    """What cannot become a file of results is refused before anything is computed; a link is followed."""
    start = ("eval", world.store.path, "--protocol", "supervised", "--recipe", "ridge")

    def told(ledger: Path, *more: object) -> str:
        return sentence(framebank(*start, "--results", ledger, *more, exit_code=1))

    os.mkfifo(tmp_path / "fifo")
    assert "is a pipe or a device" in told(tmp_path / "fifo") and "is a pipe or a device" in told(Path("/dev/null"))
    runs = tmp_path / "runs"
    assert "is in the folder of the runs" in told(runs / "r.jsonl", "--keep-runs", runs)
    assert "is in the folder of the runs" in told(runs, "--keep-runs", runs)
    (tmp_path / "wide").write_text("{}\n", encoding="utf-16")
    assert "is in UTF-16" in told(tmp_path / "wide")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "wide"]
    (tmp_path / "link").symlink_to(tmp_path / "new" / "r.jsonl")
    fb.evaluate_protocol(world.store, "zero-shot-full", prompts=place / "prompts.h5", results=tmp_path / "link")
    assert len(fb.results(tmp_path / "new" / "r.jsonl").values) == 1
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "link").read_bytes())
    fb.evaluate_protocol(world.store, "zero-shot-full", prompts=place / "prompts.h5", results=tmp_path / "marked")
    assert len(fb.results(tmp_path / "marked").values) == 2
