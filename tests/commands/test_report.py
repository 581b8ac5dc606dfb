"""report: one page of runs or of a store; what is on it, what is left out, and what is refused."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.heads.predictions import Predictions
from framebank.store import DataError
from framebank.store.ledger import Failure, Ledger
from framebank.tests.commands.test_compare_runs import write
from framebank.tests.worlds.cli import sentence

RUN_SECTIONS = {"suspects", "protocol", "classes", "confusions", "videos", "confidence", "frames", "map", "duplicates"}
STORE_SECTIONS = {"suspects", "contents", "pictures", "balance", "failures", "lengths", "duplicates", "rows", "map"}


def titles(page: str) -> set[str]:
    return set(re.findall(r'<h2 id="([\w-]+)"', page))


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.mark.slow
def test_a_run_and_its_page(framebank: Any, run: Path, tmp_path: Path) -> None:
    measured = json.loads(framebank("evaluate", run, "--split", "test", "--json").stdout)
    out = tmp_path / "run.html"
    told = framebank("report", run, out, "--pictures", 20).stdout
    assert told.splitlines()[-1] == str(out) and "of 16 test videos" in told
    page = out.read_text()
    assert titles(page) >= RUN_SECTIONS - {"duplicates", "suspects"}
    assert f"{100 * measured['top1']:.1f} %" in page and measured["made_by"]["protocol_hash"] in page
    for asked in (r"<link\b", r"@import", r"\bsrc=\"(?!data:)", r"url\("):
        assert not re.search(asked, page), asked
    data = data_of(page)
    counts = {
        f"{row}-{column}": count
        for row, counts in enumerate(measured["confusion"])
        for column, count in enumerate(counts)
        if count
    }
    assert {pair: cell[0] for pair, cell in data["cells"].items()} == counts
    assert any(shown.startswith("data:image/jpeg;base64,") for shown in data["pictures"].values())
    videos = [tmp_path / data["videos"][number][2] for number in range(3)]
    assert all(path.resolve().is_file() for path in videos)


@pytest.mark.slow
def test_a_store_and_its_page(framebank: Any, store: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(store, own)
    for name in ("a", "b"):
        Ledger(own / "failed.csv").add(
            Failure(name, f"/v/{name}.mp4", f"/v/{name}.mp4: ends after 1{name == 'a'} frames")
        )
    told = json.loads(framebank("report", own, tmp_path / "own.html", "--pictures", 40, "--json").stdout)
    assert told["headline"] == "64 videos of 16 classes: 48 train, 16 test; 2 failed."
    page = (tmp_path / "own.html").read_text()
    assert titles(page) >= STORE_SECTIONS and "left_out" not in page
    assert told["figures"]["contents"]["failed"] == 2 and page.count("data:image/jpeg") >= 40
    plain = fb.report(own, out=tmp_path / "plain.html", pictures=0)
    assert plain.pictures == 0 and "sheets" in plain.left_out
    assert "data:image/jpeg" not in (tmp_path / "plain.html").read_text()


def test_videos_without_a_label_have_pictures_too(framebank: Any, store: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(store, own)
    framebank("store", "relabel", own, "--set", "*=", "--column", "label")
    found = fb.report(own, out=tmp_path / "own.html", pictures=40)
    assert found.headline == "64 videos without a label: 48 train, 16 test."
    assert [(one["label"], len(one["videos"])) for one in found.figures["sheets"]] == [("no label", 24)]
    assert (tmp_path / "own.html").read_text().count("data:image/jpeg") >= 24 and "sheets" not in found.left_out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders that look like evaluated runs of 100 videos; their store is gone."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    right = rng.random(100) < 0.6
    write(folder / "first", right)
    write(folder / "second", right | (rng.random(100) < 0.5), order=rng.permutation(100), labels=("b", "a"))
    write(folder / "third", right)
    return folder


def test_two_runs_are_compared_and_what_is_gone_is_left_out(made: Path, tmp_path: Path) -> None:
    found = fb.report(made / "first", made / "second", out=tmp_path / "two.html")
    compared = fb.compare_runs(made / "first", made / "second").pairs[0].paired
    assert found.headline.startswith(f"second is better than first: {100 * compared.difference:+.1f} points")
    assert found.figures["flips"][0]["flips"] == {"gained": compared.flips.gained, "lost": 0}
    assert {"perturbed", "map", "near"} <= set(found.left_out) and "gone: no such store" in found.left_out["map"]
    assert "left out   Near-duplicates: " in repr(found)
    page = (tmp_path / "two.html").read_text()
    assert "flips-1" in titles(page) and "left-out" in titles(page) and "<dt>Near-duplicates</dt>" in page
    assert fb.report(made / "first", made / "third", out=tmp_path / "two.html").headline.startswith(
        "These 100 videos cannot tell whether third is better than first: +0.0 points"
    )


@pytest.mark.parametrize("name", ["one.html", "one.md"])
def test_the_scores_of_a_run_are_read_once(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Those of many videos take gigabytes."""
    read, paths = Predictions.read, []

    def counted(path: Path) -> Predictions:
        paths.append(path)
        return read(path)

    monkeypatch.setattr(Predictions, "read", counted)
    fb.report(made / "first", out=tmp_path / name, pictures=0)
    assert paths == [made / "first" / "predictions.npz"]


def test_a_name_is_never_taken_for_html(tmp_path: Path) -> None:
    mark = "</script><script>alert(1)</script>"
    write(tmp_path / "odd", np.arange(20) > 3, labels=("a", "b"), split=mark)
    named = tmp_path / "odd" / "predictions.npz"
    arrays = dict(np.load(named))
    ids = tuple(f"{mark}{number}" for number in range(20))
    Predictions(ids, arrays["scores"], arrays["targets"], ("a", mark)).write(named)
    fb.report(tmp_path / "odd", out=tmp_path / "odd.html")
    page = (tmp_path / "odd.html").read_text()
    assert mark not in page and data_of(page)["labels"] == ["a", mark]


def test_many_classes_have_a_matrix_of_some_and_a_list_of_all(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = tuple(f"class {number:03d}" for number in range(60))
    targets = np.arange(1200) % 60
    best = np.where(rng.random(1200) < 0.7, targets, rng.integers(0, 60, 1200))
    ids = tuple(f"v{number}" for number in range(1200))
    scores = 0.9 * np.eye(60)[best] + 0.1 / 60
    write(tmp_path / "run", np.ones(1200, bool))
    Predictions(ids, scores, targets, labels).write(tmp_path / "run" / "predictions.npz")
    found = fb.report(tmp_path / "run", out=tmp_path / "run.html")
    page = (tmp_path / "run.html").read_text()
    assert found.figures["confusions"]["pairs"] == len({(a, b) for a, b in zip(targets, best, strict=True) if a != b})
    assert "The matrix has the 30 classes with the most mistakes" in page
    assert page.count('<td class="hit"') == 30 and found.num_bytes < 1_000_000


REFUSED = {
    "does not have the name of a page": ("first", "out.txt"),
    "a run is given twice": ("first", "first", "out.html"),
    "was evaluated on the split 'val'": ("first", "other-split", "out.html"),
    "have different classes": ("first", "other-classes", "out.html"),
    "was not measured on": ("first", "other-videos", "out.html"),
    "twice; expected each video once": ("double", "out.html"),
    "was never evaluated; run `framebank evaluate": ("never", "out.html"),
    "are not all runs; expected evaluated runs, or one store": ("first", "store", "out.html"),
    "no such run or store": ("nothing", "out.html"),
    "was not written by framebank": ("empty", "out.html"),
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_cannot_be_shown_is_refused(
    framebank: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    right = np.arange(100) > 40
    write(tmp_path / "first", right)
    write(tmp_path / "other-split", right, split="val")
    write(tmp_path / "other-classes", right)
    named = tmp_path / "other-classes" / "predictions.npz"
    replace(Predictions.read(named), labels=("a", "c")).write(named)
    write(tmp_path / "other-videos", right[:90])
    write(tmp_path / "double", right, video_ids=("same",) * 100)
    for name in ("never", "empty", "store"):
        (tmp_path / name).mkdir()
    (tmp_path / "never" / "checkpoint.safetensors").touch()
    (tmp_path / "store" / "writer.lock").touch()
    monkeypatch.chdir(tmp_path)
    assert told in sentence(framebank("report", *REFUSED[told], exit_code=1))
    assert not Path("out.html").exists()


@pytest.mark.parametrize("damaged", ["store", "checkpoint", "rows"])
def test_what_is_damaged_gives_no_page(framebank: Any, run: Path, store: Path, tmp_path: Path, damaged: str) -> None:
    for folder in (store, run):
        shutil.copytree(folder, tmp_path / folder.name)
    own_store, own_run = tmp_path / store.name, tmp_path / run.name
    framebank("evaluate", own_run, "--store", own_store)
    found = {
        "store": own_store / "manifest.csv",
        "checkpoint": own_run / "checkpoint.safetensors",
        "rows": next(own_store.glob("*.h5")),
    }[damaged]
    content = bytearray(found.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    found.write_bytes(content)
    for what in (own_run, own_store):
        if (damaged, what) != ("checkpoint", own_store):
            told = sentence(framebank("report", what, tmp_path / "page.html", exit_code=1))
            assert str(found) in told and not (tmp_path / "page.html").exists()


def test_seeds_are_a_mean_and_a_deviation(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shares = {}
    for name, share in (("first", 0.6), ("second", 0.8)):
        for seed in range(3):
            right = rng.random(100) < share
            write(tmp_path / name / f"seed-{seed}", right)
            shares[name, seed] = right.mean()
    found = fb.report(tmp_path / "first", out=tmp_path / "one.html")
    own = [shares["first", seed] for seed in range(3)]
    mean, deviation = np.mean(own), np.std(own, ddof=1)
    assert found.headline == (
        f"first is right in {100 * mean:.1f} % of 100 test videos, the mean of 3 seeds, whose deviation is "
        f"{100 * deviation:.1f} points."
    )
    assert found.figures["runs"][0]["over_seeds"]["top1"] == pytest.approx([mean, deviation])
    page = (tmp_path / "one.html").read_text()
    assert f'{100 * mean:.1f} <span class="soft">&plusmn; {100 * deviation:.1f}</span>' in page
    assert "3 seeds, %" in page
    both = fb.report(tmp_path / "first", tmp_path / "second", out=tmp_path / "two.html")
    paired = fb.compare_runs(tmp_path / "first", tmp_path / "second").pairs[0].paired
    assert both.headline.startswith(f"second is {paired.verdict} than first: {100 * paired.difference:+.1f} points")
    with pytest.raises(DataError, match="holds runs of several seeds; expected one run"):
        fb.report(tmp_path / "first", out=tmp_path / "README.md")


def test_a_page_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to report on"):
        fb.report(out=tmp_path / "a.html")
