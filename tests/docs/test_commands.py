"""The documents: every command line in them is one that the door understands, and what they point to is there."""

import re
import shlex
from pathlib import Path

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


def test_the_readme_shows_commands() -> None:
    assert len([line for document, line in command_lines() if document == "README.md"]) >= 8


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
