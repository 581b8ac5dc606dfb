"""The messages: a number stands with its noun in the right number, which `counted` gives."""

import ast
from pathlib import Path

import pytest

from framebank.tests.places import ROOT

SAID = ("DataError", "ValueError", "UsageError", "BadParameter", "echo")
NOUNS = ("videos", "classes", "rows", "labels", "shots", "queries", "episodes", "frames", "texts", "blocks", "seeds")
SOURCES = [
    *sorted((ROOT / "heads").rglob("*.py")),
    *sorted((ROOT / "demo").rglob("*.py")),
    *sorted((ROOT / "commands").glob("fewshot*.py")),
    ROOT / "commands" / "compare.py",
    ROOT / "commands" / "train.py",
]


def uncounted(source: str) -> list[str]:
    """The nouns that stand in the plural behind a number that may be 1, in what a call says."""
    found = []
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        if ast.unparse(call.func).split(".")[-1] in SAID:
            for text in (node for argument in call.args for node in ast.walk(argument)):
                if isinstance(text, ast.JoinedStr):
                    found += _plurals(text)
    return found


def _plurals(text: ast.JoinedStr) -> list[str]:
    found = []
    for value, after in zip(text.values, text.values[1:], strict=False):
        if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant) and "!r" not in ast.unparse(value):
            words = str(after.value).split()[:3] if str(after.value).startswith(" ") else []
            number = "len(" in ast.unparse(value) or "count" in ast.unparse(value)
            found += [f"{ast.unparse(value)} {word}" for word in words if number and word.strip(",;:") in NOUNS]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_numbers_and_nouns_agree(path: Path) -> None:
    assert uncounted(path.read_text(encoding="utf-8")) == []


def test_what_disagrees_is_found() -> None:
    assert uncounted('raise DataError(f"none of the {len(videos)} videos has a label")') != []
    assert uncounted('raise DataError(f"{name!r}, which has {counts[odd]} rows")') != []
    assert uncounted("raise DataError(f\"of {counted(len(videos), 'video')}, none\")") == []
