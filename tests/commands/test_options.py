"""Paths that no file system takes are refused before anything is read."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from framebank.tests.places import TESTS
from framebank.tests.worlds.cli import sentence

MADE_BY = TESTS / "made_by" / "0.1.0"


@pytest.mark.parametrize(
    "command",
    [
        ("train", MADE_BY / "store", "{}"),
        ("index", MADE_BY / "store", "{}"),
        ("store", "export", MADE_BY / "store", "{}"),
        ("store", "info", "{}"),
        ("verify", "{}"),
        ("predict", MADE_BY / "store", "--run", MADE_BY / "run", "--csv", "{}"),
        ("export-head", MADE_BY / "run", "{}.safetensors"),
    ],
    ids=lambda command: " ".join(map(str, command[:2])),
)
@pytest.mark.parametrize("name", ["x" * 256, "é" * 150, "/".join(["y" * 200] * 25)], ids=["long", "bytes", "deep"])
def test_a_name_that_no_file_system_takes_is_refused(
    tmp_path: Path, framebank: Callable[..., Result], command: tuple[object, ...], name: str
) -> None:
    words = [str(word).format(tmp_path / name) for word in command]
    said = sentence(framebank(*words, exit_code=1))
    assert "bytes" in said
    assert "expected 255 and 4095 at most" in said
    assert list(tmp_path.iterdir()) == []


def test_a_long_name_that_fits_is_taken(tmp_path: Path, framebank: Callable[..., Result]) -> None:
    name = "z" * 200
    framebank("store", "export", MADE_BY / "store", tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
