"""The front door: help, usage, and what every command says to places and numbers that are wrong."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from framebank.tests.worlds.cli import LABELS, ROOT, sentence


def commands() -> Iterator[tuple[str, click.Command]]:
    from framebank.cli import main

    for name, command in main.commands.items():
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", part) for inner, part in command.commands.items())


@pytest.mark.parametrize(("name", "command"), [pytest.param(*pair, id=pair[0]) for pair in commands()])
def test_every_command_has_help_with_an_example_and_stands_in_the_table(name: str, command: click.Command) -> None:
    assert command.help
    if not isinstance(command, click.Group):
        assert f"framebank {name} " in command.help
        assert f"| `framebank {name}" in (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, f"{name} {parameter.name}"


def test_version(framebank: Any) -> None:
    assert framebank("--version").stdout.startswith("framebank, version ")


def test_wrong_usage_exits_with_2(framebank: Any, store: Path, clips: Path, index: Path, tmp_path: Path) -> None:
    framebank("extract", clips, exit_code=2)
    framebank("extract", clips, tmp_path / "s", exit_code=2)  # no --model
    framebank("search", index, exit_code=2)
    framebank("search", index, "--text", "a", "--weight", "id=2", exit_code=2)
    framebank(
        "train", store, tmp_path / "r", "--head", "mean", "--classifier", "linear", "--texts", "names", exit_code=2
    )


def test_an_option_that_is_given_twice(framebank: Any, store: Path, tmp_path: Path) -> None:
    for options, told in (
        (("--head-mix", 0.5, "--set", "head_mix=0.2"), "--head-mix is '0.5' and --set head_mix is '0.2'; give one"),
        (("--head-mix", "auto", "--set", "head_mix=0.2"), "--head-mix is 'auto' and --set head_mix is '0.2'"),
        (("--set", "batch_size=3", "--batch-size", 2), "--batch-size is 2 and --set batch_size is '3'"),
        (("--no-frame-norm", "--set", "frame_norm=true"), "--frame-norm is False and --set frame_norm is 'true'"),
        (("--texts", "names", "--set", "texts=descriptions"), "--texts is 'names' and --set texts is 'descriptions'"),
        (("--set", "lr=1", "--set", "lr = 2"), "--set gives lr twice, '1' and '2'"),
    ):
        result = framebank("train", store, tmp_path / "run", *options, exit_code=2)
        assert told in result.stderr
    assert not (tmp_path / "run").exists()


def test_outputs_that_cannot_be_written(framebank: Any, clips: Path, store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    video = next(clips.glob("*/*.mp4"))
    for inside in (tmp_path / "file", tmp_path / "file" / "deeper"):
        assert "file" in sentence(framebank("extract", video, inside, "--model", "demo", exit_code=1))
        assert "file" in sentence(framebank("train", store, inside, "--epochs", 1, exit_code=1))
        assert "file" in sentence(framebank("index", store, inside, exit_code=1))
    told = sentence(framebank("prompts", LABELS, tmp_path / "file" / "p.h5", "--like", store, exit_code=1))
    assert "cannot be written" in told


def test_stores_runs_and_indexes_that_are_none(framebank: Any, store: Path, run: Path, tmp_path: Path) -> None:
    for command in (("zeroshot",), ("store", "info")):
        assert "no such store" in sentence(framebank(*command, tmp_path / "gone", exit_code=1))
    assert "no shard" in sentence(framebank("zeroshot", tmp_path, exit_code=1))
    assert "checkpoint" in sentence(framebank("evaluate", tmp_path, exit_code=1))
    assert "is not an index" in sentence(framebank("search", tmp_path, "--text", "a", exit_code=1))
    assert "'nowhere'" in sentence(framebank("zeroshot", store, "--split", "nowhere", exit_code=1))
    assert "already holds a run" in sentence(framebank("train", store, run, exit_code=1))


def test_more_neighbours_than_there_are_gives_all(framebank: Any, index: Path) -> None:
    found = framebank("search", index, "--text", "a person", "-k", 65, "--all", "--json")
    assert len(json.loads(found.stdout)["hits"]) == 64
    found = framebank("search", index, "--id", "falling_down_train_00", "-k", 64, "--json")
    assert len(json.loads(found.stdout)["hits"]) == 63


def test_numbers_that_are_too_large(framebank: Any, store: Path, index: Path, tmp_path: Path) -> None:
    assert "4 shots" in sentence(framebank("train", store, tmp_path / "r", "--shots", 4, exit_code=1))
    assert "no video 'x'" in sentence(framebank("search", index, "--id", "x", exit_code=1))


def test_values_that_make_no_sense(framebank: Any, clips: Path, store: Path, tmp_path: Path) -> None:
    video, run = next(clips.glob("*/*.mp4")), tmp_path / "r"
    wrong = framebank("extract", video, tmp_path / "s", "--model", "demo", "--decoder", "foo", exit_code=2)
    assert "'foo' is not one of 'auto', 'pyav', 'torchcodec', 'decord'" in wrong.stderr
    for option, value in (("--lr", "nan"), ("--weight-decay", -1), ("--label-smoothing", 2), ("--seed", -1)):
        assert option[2:].replace("-", "_") in sentence(framebank("train", store, run, option, value, exit_code=1))
    assert "loss 'foo' is not known" in sentence(framebank("train", store, run, "--loss", "foo", exit_code=1))
    for option in ("--head", "--classifier"):
        assert "'foo' is not one of" in framebank("train", store, run, option, "foo", exit_code=2).stderr
    assert not run.exists()
    assert not (tmp_path / "s").exists()


def test_the_installed_command_runs_from_anywhere(tmp_path: Path) -> None:
    start = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); import conftest"
    code = f"{start}; from framebank.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "store", "info", "nowhere"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: nowhere: no such store; expected a folder made by `framebank extract`\n"
