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
def test_the_page_runs_as_a_notebook_and_then_the_readme_as_a_script(place: Path) -> None:
    import nbclient
    import nbformat

    page = blocks("docs/python.md")
    assert len(page) == 7
    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_code_cell(block) for block in [*page, "hits", "report"]]
    done = nbclient.NotebookClient(
        book, timeout=400, kernel_name="python3", resources={"metadata": {"path": str(place)}}
    ).execute()
    *told, hits, report = [json.dumps(cell.outputs) for cell in done.cells]
    assert "top-1" in "".join(told) and "cosine" in "".join(told)
    assert "data:image/jpeg;base64," in hits and "<table>" in report
    assert "import framebank as fb" in blocks("README.md")[0]
    run("\n".join(blocks("README.md")), place)
