"""The pages of report in a real browser: they sort, filter and open cells, and axe finds nothing serious."""

import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.heads.predictions import Predictions
from framebank.tests.commands.test_compare_runs import write
from framebank.tests.worlds.several import add_labels

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WITHOUT = [name for name in ("playwright", "axe_playwright_python") if not importlib.util.find_spec(name)]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed (apt-get install chromium)"),
    pytest.mark.skipif(bool(WITHOUT), reason=f"{' and '.join(WITHOUT)} not installed (pip install framebank[dev])"),
]
CLASSES = tuple(f"class {number:02d}" for number in range(16))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        found = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def page_of_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of 160 made-up videos of 16 classes; class 03 is recognised least often."""
    folder = tmp_path_factory.mktemp("pages")
    rng = np.random.default_rng(0)
    targets = np.arange(160) % 16
    for name, share in (("first", 0.7), ("second", 0.8)):
        right = rng.random(160) < np.where(targets == 3, 0.2, share)
        best = np.where(right, targets, (targets + 1) % 16)
        scores = 0.6 * np.eye(16)[best] + 0.4 / 16
        write(folder / name, right)
        ids = tuple(f"video-{number}" for number in range(160))
        Predictions(ids, scores, targets, CLASSES).write(folder / name / "predictions.npz")
    fb.report(folder / "first", folder / "second", out=folder / "page.html")
    return folder / "page.html"


@pytest.fixture(scope="module")
def page_of_store(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    out = tmp_path_factory.mktemp("pages") / "store.html"
    fb.report(store, out=out, pictures=24)
    return out


@pytest.fixture(scope="module")
def page_of_several(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """A run of the rendered clips, each of which has the label `early` or `late` too."""
    folder = tmp_path_factory.mktemp("several")
    (folder / "bank").mkdir()
    bank = add_labels(store, folder / "bank")
    fb.train(bank, folder / "run", head="mean", classifier="linear", loss="bce", epochs=30, lr=0.05).evaluate("test")
    fb.report(folder / "run", out=folder / "run.html", pictures=24)
    return folder / "run.html"


def opened(browser: Any, path: Path, *, scheme: str = "light", width: int = 1200) -> Any:
    """Open a page; whatever its script says is wrong, and whatever it asks of a network, ends the test."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(180_000)
    page = context.new_page()
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda message: page.wrong.append(message.text))
    page.on("request", lambda request: page.wrong.append(request.url) if request.url.startswith("http") else None)
    page.goto(path.as_uri())
    return page


def first_column(page: Any, table: str) -> list[str]:
    rows = page.locator(f"{table} tbody tr").all()
    return [row.locator("th").inner_text() for row in rows if row.is_visible()]


def test_it_sorts_filters_and_opens_a_cell(browser: Any, page_of_runs: Path, tmp_path: Path) -> None:
    page = opened(browser, page_of_runs)
    table = "table[data-filter=classes]"
    assert first_column(page, table)[0] == "class 03"  # the least recognised first
    head = page.locator(f"{table} thead th").first
    for order in ("ascending", "descending"):
        head.locator("button").press("Enter")
        assert head.get_attribute("aria-sort") == order
        assert first_column(page, table) == sorted(CLASSES, reverse=order == "descending")
    page.get_by_label("Filter classes").fill("class 07")
    assert first_column(page, table) == ["class 07", "class 06"]  # which is taken for class 07

    cell = page.locator("[data-cell='3-4']").first
    count = int(cell.inner_text())
    cell.click()
    dialog = page.locator("dialog")
    assert dialog.locator("h2").inner_text() == "class 03, said class 04"
    assert dialog.locator("li").count() == min(count, 24)
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    page.locator("[data-cell='0-0']").focus()
    for key, cell in (("ArrowRight", "0-1"), ("ArrowDown", "1-1"), ("ArrowUp", "0-1"), ("ArrowLeft", "0-0")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.cell") == cell
    page.screenshot(path=tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000 and page.wrong == []


@pytest.mark.parametrize(
    ("made", "scheme", "width"),
    [("page_of_runs", "light", 1200), ("page_of_store", "dark", 390), ("page_of_several", "light", 390)],
)
def test_nothing_serious_stands_in_the_way_of_anyone(
    browser: Any, request: pytest.FixtureRequest, made: str, scheme: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = opened(browser, request.getfixturevalue(made), scheme=scheme, width=width)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found = Axe().run(page).response
    assert len(found["passes"]) > 15
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"] if one["impact"] != "minor"] == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    if width < 512 and page.locator(".map .p").count():
        boxes = page.locator(".map > svg, .map .p").evaluate_all(
            "all => all.map((one) => one.getBoundingClientRect()).map(({left, right, bottom}) => [left, right, bottom])"
        )
        assert all(right - left > 8 for left, right, _ in boxes)  # to be touched
        assert all(boxes[0][0] <= left and right <= boxes[0][1] and low <= boxes[0][2] for left, right, low in boxes)
    assert page.wrong == []


def test_the_map_shows_one_class(browser: Any, page_of_store: Path) -> None:
    page = opened(browser, page_of_store)
    page.locator("[data-map]").select_option(label="walking")
    assert page.locator(".map .p.on").count() == 4
    page.locator("[data-map]").select_option("")
    point = page.locator(".map .p").first
    point.hover(force=True)
    assert page.locator(".map .told").inner_text() == point.get_attribute("data-told")
    assert page.wrong == []


def test_the_map_of_several_labels_shows_each_video_under_each_of_them(browser: Any, page_of_several: Path) -> None:
    page = opened(browser, page_of_several)
    assert page.locator(".map .p").count() == 16
    shown = {}
    for label in ("early", "walking"):
        page.locator("[data-map]").select_option(label=label)
        shown[label] = page.locator(".map .p.on").evaluate_all("points => points.map((one) => one.dataset.told)")
        assert all(f" {label}" in told.replace(",", "").replace(";", "") for told in shown[label])
    assert len(shown["walking"]) == 1 and len(shown["early"]) == 8
    page.locator("[data-map]").select_option("")
    point = page.locator(".map .p").first
    point.hover(force=True)
    told = page.locator(".map .told").inner_text()
    assert told == point.get_attribute("data-told") and ("early" in told or "late" in told) and "," in told
    assert page.wrong == []


def test_strips_of_several_labels_have_frames_and_the_probability_of_each(browser: Any, page_of_several: Path) -> None:
    page = opened(browser, page_of_several, scheme="dark")
    strips = page.locator(".strip").all()
    assert len(strips) == 12
    for number, strip in enumerate(strips):
        assert strip.locator(".frames img").count() == 6
        assert strip.locator("svg.scores polyline").count() == (2 if number < 6 else 1)
        said = strip.locator(".said").inner_text()
        assert re.match(
            r"said [\w ]+, \d+\.\d.% sure; it is [\w ]+, \d+\.\d.%, [\w ]+, " if number < 6 else r"[\w ]+, \d", said
        )
    assert page.wrong == []
