"""The site that `make docs` builds: no warning, every page and public name in it, no request to another host."""

import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from framebank.tests.places import ROOT

WITHOUT = [name for name in ("zensical", "mkdocstrings") if not importlib.util.find_spec(name)]
ROOMS = ("library", "store", "extract", "heads")
LEFT_OUT = {"package.md"}  # what an index of packages shows
ELSEWHERE = re.compile(r"""<(?:link|script|img|iframe|source)\b[^>]*\b(?:src|srcset|href)=["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the pages of docs/ as `make docs` does."""
    if WITHOUT:
        pytest.skip(f"{' and '.join(WITHOUT)} not installed: pip install framebank[docs]")
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / "build" / "reference" / "framebank" / room)
    shutil.copy(ROOT / "__init__.py", folder / "build" / "reference" / "framebank")
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return folder / "build" / "docs"


def test_every_page_is_in_the_navigation() -> None:
    nav = re.findall(r'"([\w/]+\.md)"', (ROOT / "zensical.toml").read_text(encoding="utf-8"))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(nav) == sorted(pages - LEFT_OUT)
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [page for page in nav if page != "index.md" and f"]({page})" not in index] == []


def test_every_page_is_built_and_asks_nothing_of_other_hosts(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) >= len(list((ROOT / "docs").rglob("*.md")))
    for page in pages:
        assert ELSEWHERE.findall(page.read_text(encoding="utf-8")) == [], page
    assert (site / "images" / "demo-hits.jpg").is_file() and (site / "search.json").is_file()
    for style in site.rglob("*.css"):
        assert not re.search(r"""(?:@import|url\()\s*["']?(?:https?:)?//""", style.read_text(encoding="utf-8")), style


def test_a_request_to_another_host_is_found() -> None:
    for tag in (
        '<script defer src="https://a.b/c.js">',
        "<link rel=x href=//a.b/c.css>",
        "<img alt='' src='http://a/b'>",
    ):
        assert ELSEWHERE.search(tag)
    assert not ELSEWHERE.search('<a href="https://a.b">')


@pytest.mark.parametrize("room", ROOMS)
def test_the_reference_has_every_public_name(site: Path, room: str) -> None:
    text = (site / "reference" / f"{room}.html").read_text(encoding="utf-8")
    named = set(re.findall(r'id="framebank\.([\w.]+)"', text))
    assert {f"{room}.{name}" for name in importlib.import_module(f"framebank.{room}").__all__} <= named
    assert "&gt;&gt;&gt;" not in re.sub(r"<code>.*?</code>", "", text, flags=re.DOTALL)
