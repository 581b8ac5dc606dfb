"""What the package says of itself, and what `make` installs for what."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from framebank.tests.places import ROOT


def metadata() -> configparser.SectionProxy:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config["metadata"]


def test_the_long_description_stands_alone() -> None:
    """An index of packages shows it without the files beside it."""
    text = (ROOT / metadata()["long_description"].removeprefix("file: ")).read_text(encoding="utf-8")
    assert text.startswith("# framebank\n")
    assert all(target.startswith("https://") for target in re.findall(r"\]\(([^)]*)\)", text))


def test_the_metadata_says_what_it_runs_on() -> None:
    said = metadata()["classifiers"].split("\n")
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)} <= set(said)
    assert [line for line in said if line.startswith("Operating System")] == ["Operating System :: POSIX"]
    assert metadata()["author"]
    assert metadata()["keywords"]


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
def test_the_demo_installs_no_extra_and_the_tests_do(tmp_path: Path) -> None:
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)

    def planned(target: str) -> str:
        return subprocess.run(["make", "-n", target], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert "[dev]" not in planned("demo")
    assert "install --quiet --no-compile --editable .\n" in planned("demo")
    for target in ("test", "lint", "types", "docs", "bench"):
        assert planned(target).count("--editable '.[dev]'") == 1, target
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".ready").touch()  # as after `make demo`
    assert "pip install" not in planned("demo")
    assert "--editable '.[dev]'" in planned("test")
    (tmp_path / ".venv" / ".dev").touch()
    assert "pip install" not in planned("test")


@pytest.mark.parametrize("name", ["", "store"])
def test_help_tells_each_command_in_one_whole_line(name: str) -> None:
    from framebank.cli import main

    group = main.commands[name] if name else main
    assert isinstance(group, click.Group)
    with click.Context(group, info_name=name or "framebank", terminal_width=80) as context:
        told = group.get_help(context).split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in told] == sorted(group.commands)
    for line in told:
        assert len(line) <= 80
        assert line.endswith(".")
        assert not line.endswith("...")


def test_a_long_first_sentence_is_wrapped_and_not_cut() -> None:
    from framebank.commands.group import Group

    group = Group("g", commands=[click.Command("long", help=f"Say {'many words ' * 12}here. And more.")])
    with click.Context(group, info_name="g", terminal_width=80) as context:
        told = group.get_help(context).split("Commands:\n")[1]
    assert " ".join(told.split()) == f"long Say {'many words ' * 12}here."
    assert max(map(len, told.splitlines())) <= 80


def test_python_m_framebank_is_the_command(tmp_path: Path) -> None:
    import sys

    start = (
        f"import runpy, sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); import conftest; sys.argv[1:] = ['--version']"
    )
    code = f"{start}; runpy.run_module('framebank', run_name='__main__', alter_sys=True)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("framebank, version ")
