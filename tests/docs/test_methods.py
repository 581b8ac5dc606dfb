"""docs/methods.md: its tables are the dicts of framebank.heads, told by their docstrings. As a script, prints them."""

import re
import sys
from pathlib import Path

import pytest

from framebank import heads
from framebank.heads.training.recipe import RECIPES, recipe_names
from framebank.tests.method_verdicts import table as verdicts
from framebank.tests.places import ROOT

PAGE = ROOT / "docs" / "methods.md"
TABLES = {
    "HEADS": "head",
    "CLASSIFIERS": "classifier",
    "SCORERS": "scorer",
    "TEXTS": "text",
    "LOSSES": "loss",
    "MATCHERS": "matcher",
}


def first_paragraph(text: str) -> str:
    return " ".join(text.strip().split("\n\n")[0].split()).replace("|", "\\|")


def table(name: str) -> str:
    rows = [f"| {TABLES[name]} | what it is |", "|---|---|"]
    rows += [f"| `{row}` | {first_paragraph(made.__doc__ or '')} |" for row, made in getattr(heads, name).items()]
    return "\n".join(rows)


def recipes() -> str:
    rows = ["| recipe | what it is |", "|---|---|"]
    for name in recipe_names():
        comment = (RECIPES / f"{name}.toml").read_text(encoding="utf-8").split("\nhead = ")[0]
        told = " ".join(line.removeprefix("# ") for line in comment.splitlines())
        told = re.split(r"(?<=\.) (?=Here |The paper |There |The published |V-JEPA attends |Its prompts)", told)[0]
        rows.append(f"| `{name}` | {told} |")
    return "\n".join(rows)


@pytest.mark.parametrize("name", TABLES)
def test_each_table_is_its_dict(name: str) -> None:
    assert table(name) in PAGE.read_text(encoding="utf-8"), f"python {Path(__file__).name} prints the table of {name}"


def test_the_recipes_are_all_there() -> None:
    assert recipes() in PAGE.read_text(encoding="utf-8")


def test_what_is_said_of_each_method_is_there() -> None:
    assert verdicts() in PAGE.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.stdout.write("\n\n".join([*map(table, TABLES), recipes(), verdicts()]) + "\n")
