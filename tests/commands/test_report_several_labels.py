"""report of runs of several labels: their page, and that of several seeds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.heads.evaluation.jackknife import standard_error
from framebank.library.reporting.judged import read_judged
from framebank.store import DataError
from framebank.tests.commands.test_report import titles
from framebank.tests.worlds.several import write_several


def test_runs_of_several_labels_have_a_page_of_their_own(framebank: Any, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    store = write_several(tmp_path / "store").store.path
    for name, epochs in (("first", 1), ("second", 12)):
        options = ("--head", "mean", "--classifier", "linear", "--loss", "bce", "--lr", 0.03, "--epochs", epochs)
        framebank("train", store, tmp_path / name, *options)
        framebank("thresholds", tmp_path / name)
        framebank("evaluate", tmp_path / name)
    metrics = [json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("first", "second")]
    found = fb.report(tmp_path / "second", out=tmp_path / "one.html")
    low, high = found.figures["runs"][0]["interval"]
    assert found.figures["runs"][0]["map"] == pytest.approx(metrics[1]["map"]) and low < metrics[1]["map"] < high
    assert [low, high] == metrics[1]["map_interval"]
    assert found.headline.startswith(f"second has a mAP of {100 * metrics[1]['map']:.1f} % over 4 labels of 40 test")
    assert found.figures["labels"]["average_precision"] == pytest.approx(
        dict(zip(metrics[1]["labels"], metrics[1]["average_precision"], strict=True))
    )
    page = (tmp_path / "one.html").read_text()
    assert titles(page) >= {"protocol", "labels", "videos", "map", "duplicates"} and not found.left_out
    assert f"{100 * metrics[1]['thresholds']['f1']:.1f} %" in page
    both = fb.report(tmp_path / "first", tmp_path / "second", out=tmp_path / "two.html")
    gain = f"{100 * (metrics[1]['map'] - metrics[0]['map']):+.1f} points of mAP"
    assert both.headline.startswith(
        f"These 40 test videos cannot tell whether second is better than first: {gain} (95 % -"
    )
    paired = fb.compare_runs(tmp_path / "first", tmp_path / "second").pairs[0].paired
    assert f"(95 % {100 * paired.interval[0]:+.1f} to {100 * paired.interval[1]:+.1f})" in both.headline
    assert "<td>cannot tell</td>" in (tmp_path / "two.html").read_text()
    framebank("evaluate", tmp_path / "first", "--split", "val")
    with pytest.raises(DataError, match="was evaluated on the split 'test'"):
        fb.report(tmp_path / "first", tmp_path / "second", out=tmp_path / "two.html")


def test_several_seeds_of_runs_of_several_labels(framebank: Any, one_thread: None, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    store = write_several(tmp_path / "store").store.path
    for name, epochs, seeds in (("first", 1, (0, 1, 2)), ("second", 12, (0, 1, 2)), ("third", 1, (0, 1))):
        for seed in seeds:
            options = ("--head", "mean", "--classifier", "linear", "--loss", "bce", "--lr", 0.03, "--epochs", epochs)
            framebank("train", store, tmp_path / name / f"seed-{seed}", *options, "--set", f"seed={seed}")
            framebank("evaluate", tmp_path / name / f"seed-{seed}")
    maps = {
        name: [json.loads((tmp_path / name / f"seed-{n}" / "metrics.json").read_text())["map"] for n in range(3)]
        for name in ("first", "second")
    }
    mean, deviation = np.mean(maps["first"]), np.std(maps["first"], ddof=1)
    found = fb.report(tmp_path / "first", out=tmp_path / "one.html")
    assert found.headline == (
        f"first has a mAP of {100 * mean:.1f} % over 4 labels of 40 test videos, the mean of 3 seeds, whose deviation "
        f"is {100 * deviation:.1f} points."
    )
    assert not found.left_out
    run = found.figures["runs"][0]
    assert run["seeds"] == 3 and run["over_seeds"]["map"] == pytest.approx([mean, deviation])
    assert np.mean(list(found.figures["labels"]["average_precision"].values())) == pytest.approx(mean)
    assert set(found.figures["labels"]["deviation"]) == set(found.figures["labels"]["average_precision"])
    page = (tmp_path / "one.html").read_text()
    assert f'{100 * mean:.1f} <span class="soft">&plusmn; {100 * deviation:.1f}</span>' in page
    both = fb.report(tmp_path / "first", tmp_path / "second", out=tmp_path / "two.html")
    gain = np.mean(maps["second"]) - mean
    assert f"{100 * gain:+.1f} points of mAP (95 % " in both.headline and "over 3 pairs of seeds" in both.headline
    # the spread of the three differences makes the interval wider than the videos alone do
    first, second = read_judged([tmp_path / "first", tmp_path / "second"])
    paired = second.beside(first)
    assert paired.seeds == 3 and paired == fb.compare_runs(tmp_path / "first", tmp_path / "second").pairs[0].paired
    spread = np.subtract(maps["second"], maps["first"]).std(ddof=1) / 3**0.5
    pairs = zip(first.seeds, second.seeds, strict=True)
    without = np.mean([two.jackknifed.without - one.jackknifed.without for one, two in pairs], axis=0)
    videos = standard_error(without, first.jackknifed.hits, first.groups, level=0.5)
    low, high = paired.interval
    assert low < gain < high
    assert high - low == pytest.approx(2 * np.hypot(1.96 * videos, 4.303 * spread), rel=0.01)  # Student's t of 2
    with pytest.raises(DataError, match=r"has the seeds 0, 1, 2 and .* has the seeds 0, 1; expected"):
        fb.report(tmp_path / "first", tmp_path / "third", out=tmp_path / "three.html")
