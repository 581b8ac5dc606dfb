"""The glossary: each public class stands in it, or ends in a word that does, and no name stands for two things."""

import ast
import re
from collections import Counter

import pytest

from framebank.tests.places import ROOT

ROOMS = ("extract", "heads", "library", "store")
METHODS = {"temporal", "classifiers", "scorers", "texts", "losses", "matchers"}  # docs/methods.md has them
PAGE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
WORDS = {word.lower() for line in re.findall(r"^- \*\*(.+?)\*\*: ", PAGE, re.M) for word in line.split(", ")}
CLASSES = re.findall(r"^\| `(\w+)` \| ", PAGE, re.M)


def classes(*, methods: bool = False) -> list[str]:
    """The public classes of the rooms, one for each place."""
    found = []
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if methods or not METHODS & set(path.relative_to(ROOT).parts[1:-1]):
                tree = ast.parse(path.read_text(encoding="utf-8"))
                found += [node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
    return found


@pytest.mark.parametrize("name", classes())
def test_each_class_is_a_word_of_the_glossary(name: str) -> None:
    last = re.findall(r"[A-Z][a-z0-9]*", name)[-1].lower()
    known = name in CLASSES or {last, last.removesuffix("s"), last.removesuffix("es")} & WORDS
    assert known, f"docs/glossary.md: has neither {name} nor the word {last!r}; expected a row, or another name"


def test_no_name_stands_for_two_classes() -> None:
    assert [name for name, count in Counter(classes()).items() if count > 1] == []


def test_the_glossary_has_no_class_that_is_gone_and_none_twice() -> None:
    assert len(CLASSES) == len(set(CLASSES)) and set(CLASSES) <= set(classes(methods=True))
    assert all(line.rstrip().endswith("|") for line in PAGE.splitlines() if line.startswith("| `"))
