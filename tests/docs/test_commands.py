"""The documents: every command line in them is one that the door understands, and what they point to is there."""

import ast
import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from framebank.tests.places import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def command_lines() -> list[tuple[str, str]]:
    """The lines of code blocks that begin with `framebank`, with their continuations."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = re.findall(r"^(?: {4,}|\$ )(framebank .*)$", text, flags=re.MULTILINE)
        found += [(document.name, line) for line in lines]
    return found


@pytest.mark.parametrize(("document", "line"), command_lines())
def test_every_command_line_is_understood(document: str, line: str) -> None:
    from framebank.cli import main

    for part in line.split("&&"):
        name, *arguments = shlex.split(part, comments=True)[1:]
        command: click.Command = main.commands[name]
        if isinstance(command, click.Group):
            command, arguments = command.commands[arguments[0]], arguments[1:]
        command.make_context(name, list(arguments))


def test_the_readme_is_short_and_names_targets_that_are_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") < 150
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test", "docs"} <= set(re.findall(r"\bmake ([a-z]+)\b", text)) <= targets


def of_the_demo(line: str) -> str:
    """A command of the README for the encoder of the demo, which never read of juggling."""
    line = line.replace("PE-Core-B-16 --pretrained meta", "demo")
    return line.replace("a person juggling", "a person falling down")


@pytest.mark.slow
def test_the_commands_of_the_readme_run_in_their_order(
    framebank: Any, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    """The lines for videos of one's own, on clips of the demo and with its encoder, which needs no download."""
    folders = sorted(folder for folder in clips.iterdir() if folder.is_dir())[:4]
    for number, folder in enumerate(folders):
        own = tmp_path / "videos" / folders[number // 2 * 2].name  # clips of two classes, enough to hold some out
        own.mkdir(parents=True, exist_ok=True)
        for clip in sorted(folder.glob("*.mp4")):
            (own / clip.name).symlink_to(clip)
    (tmp_path / "new.mp4").symlink_to(clip)
    monkeypatch.chdir(tmp_path)
    told = {}
    lines = [line for document, line in command_lines() if document == "README.md"]
    for line in lines:
        name, *arguments = shlex.split(of_the_demo(line), comments=True)[1:]
        told[name] = framebank(name, *arguments).stdout
    names = ["extract", "zeroshot", "store", "train", "evaluate", "label", "index", "search"]
    assert list(told) == names and len(lines) == len(names) + 1
    assert "16 videos: 16 embedded" in told["extract"] and "top-1" in told["zeroshot"]
    assert "4 videos held out" in told["store"] and "4 of 4 listed in split test" in told["evaluate"]
    assert told["label"].startswith("new.mp4: ") and "seconds" in told["search"]  # the last search is for moments


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_of_python_is_python_and_imports_what_is_there(document: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("framebank"):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def test_every_fault_names_a_test_that_is_there() -> None:
    rows = re.findall(r"^\|.*`(test_\w+)` \|$", (ROOT / "docs" / "faults.md").read_text(encoding="utf-8"), re.MULTILINE)
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(rows) >= 15
    assert set(rows) <= there
