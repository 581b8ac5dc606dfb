"""The Python of docs/python.md and of the README: every block runs, in its order, on clips of the demo."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from framebank.demo.clips import render_clips
from framebank.tests.places import ROOT


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    for _ in render_clips(folder / "videos", num_train=2, num_test=1, seed=0):
        pass
    return folder


def run(code: str, place: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-"], input=code, cwd=place, capture_output=True, text=True, check=False, timeout=400
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_page_and_then_the_readme_run_as_they_stand(place: Path) -> None:
    assert len(blocks("docs/python.md")) == 7
    told = run("\n".join(blocks("docs/python.md")), place)
    assert "top-1" in told and "cosine" in told
    assert "import framebank as fb" in blocks("README.md")[0]
    run("\n".join(blocks("README.md")), place)


@pytest.mark.slow
def test_the_page_runs_as_a_notebook(tmp_path: Path, place: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    (tmp_path / "videos").symlink_to(place / "videos")
    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_code_cell(block) for block in blocks("docs/python.md")]
    book.cells += [nbformat.v4.new_code_cell("hits"), nbformat.v4.new_code_cell("report")]
    done = nbclient.NotebookClient(
        book, timeout=400, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [json.dumps(cell.outputs) for cell in done.cells[-2:]]
    assert "data:image/jpeg;base64," in shown[0] and "<table>" in shown[1]
