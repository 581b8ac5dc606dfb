"""The sections of a page, against numbers that a reader can check by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import framebank as fb
from framebank.extract.decoders.frames import Frames
from framebank.library.reporting.certainty import certainty_of
from framebank.library.reporting.charts import Axis, histogram, range_bar
from framebank.library.reporting.classes import class_accuracies
from framebank.library.reporting.confusions import confusions_of, page_data
from framebank.library.reporting.contents import contents_of
from framebank.library.reporting.lengths import accuracy_by_length
from framebank.library.reporting.material import material_of
from framebank.library.reporting.nearest import near_pairs_across
from framebank.library.reporting.perturbed import perturbed_of
from framebank.library.reporting.pictures import Pictures
from framebank.library.reporting.rows import pooled_videos
from framebank.library.reporting.runs import EvaluatedRun, read_runs
from framebank.library.reporting.share import RightShare
from framebank.library.reporting.sheets import class_sheets
from framebank.library.reporting.spread import outliers_of, spread_of
from framebank.store import DataError, Manifest, Video
from framebank.store.ledger import Failure, Ledger
from framebank.store.vectors import unit
from framebank.tests.worlds.copies import sampled, write_videos
from framebank.tests.worlds.heads import SPEC, World


def made(targets: list[int], best: list[int], confidence: list[float] | None = None) -> EvaluatedRun:
    count = len(targets)
    return EvaluatedRun(
        path=Path("run"),
        name="run",
        split="test",
        store=Path("gone"),
        labels=("a", "b", "c"),
        video_ids=tuple(f"v{number}" for number in range(count)),
        targets=np.array(targets),
        best=np.array(best),
        confidence=np.array(confidence or [0.5] * count),
        own=np.full(count, 0.5),
        top5=1.0,
        brier=0.5,
        nll=0.7,
        facts={},
    )


def test_classes_say_how_many_are_right_and_what_they_are_taken_for() -> None:
    run = made([0, 0, 0, 0, 1, 1], [0, 1, 1, 2, 1, 1])
    found = class_accuracies([run, made([0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 1])], {"a": 150, "b": 3})
    first, second = found.classes
    assert (first.seen, first.taken_for, first.others) == (RightShare("a", 4, 1), ("b", 2), (1.0,))
    assert (second.seen.name, second.seen.accuracy, second.taken_for, second.others) == ("b", 1.0, None, (0.5,))
    assert first.seen.interval[0] < 0.25 < first.seen.interval[1] and found.absent == 1
    many, few = found.groups
    assert (many.title, many.accuracy, few.title, few.accuracy) == (
        "many (more than 100): 1 class",
        0.25,
        "few (fewer than 20): 1 class",
        1.0,
    )


def test_a_cell_has_the_surest_mistakes_first_and_the_least_sure_hits() -> None:
    run = made([0, 0, 0, 0, 1], [1, 1, 0, 0, 1], [0.6, 0.9, 0.8, 0.4, 1.0])
    found = confusions_of(run)
    assert found.cells == {(0, 1): (1, 0), (0, 0): (3, 2), (1, 1): (4,)}
    assert [(pair.true, pair.said, pair.videos, pair.share) for pair in found.pairs] == [(0, 1, 2, 0.5)]
    data = page_data(run, found, lambda video_id: f"{video_id}.mp4")
    assert data["cells"]["0-1"] == [2, 0, 1] and data["videos"][0] == ["v1", 0.9, "v1.mp4"]


def test_coverage_is_the_accuracy_of_the_surest() -> None:
    (found,) = certainty_of([made([0] * 10, [0] * 5 + [1] * 5, [0.9 - 0.05 * number for number in range(10)])])
    assert found.at(0.5)[:2] == (0.5, 1.0) and found.at(1.0)[:2] == (1.0, 0.5)
    assert sum(videos for _, _, videos in found.bins) == 10


def test_lengths_are_four_equal_parts_unless_all_are_alike() -> None:
    run = made([0] * 8, [0, 0, 0, 0, 1, 1, 1, 1])
    parts = accuracy_by_length(run, np.arange(8.0))
    assert [part.videos for part in parts] == [2, 2, 2, 2] and [part.right for part in parts] == [2, 2, 0, 0]
    assert accuracy_by_length(run, np.full(8, 3.0)) == ()


def test_near_pairs_lie_in_different_splits(tmp_path: Path) -> None:
    """Of thirty recordings, two test videos and a validation video are copies; two training videos are too."""
    videos = {f"train{number}": sampled([(number, 0.0, 8.0)]) for number in range(30)}
    videos |= {f"other{number}": sampled([(100 + number, 0.0, 8.0)]) for number in range(6)}
    videos |= {f"copy{number}": sampled([(number, 0.0, 8.0)], noise=0.05, seed=7) for number in (3, 5, 9, 11)}
    split_of = {name: "train" if name.startswith("train") else "test" for name in videos}
    split_of |= {"copy9": "val", "copy11": "train"}
    store = write_videos(tmp_path / "bank", videos, splits=split_of)
    found = near_pairs_across(store, split_of, listed=40)
    told = {(pair.first, pair.second, pair.first_split, pair.second_split) for pair in found.pairs}
    assert told == {
        ("copy3", "train3", "test", "train"),
        ("copy5", "train5", "test", "train"),
        ("copy9", "train9", "val", "train"),
    }
    assert (found.alike, found.compared, found.listed) == (3, 9, 40)
    with pytest.raises(DataError, match="all videos are in one split"):
        near_pairs_across(store, dict.fromkeys(videos, "train"), listed=40)


def test_the_odd_one_of_a_class_is_found() -> None:
    vectors = unit(np.array([[1, 0.1 * number] for number in range(6)] + [[-1, 1], [0, 1], [0, 1]], dtype=np.float32))
    found = outliers_of(vectors, ["a"] * 7 + ["b"] * 2, [f"v{number}" for number in range(9)])
    assert found[0].video_id == "v6"
    assert found[0].cosine < 0 < found[0].usual
    assert 1 < len(found) < 7  # two videos of b have no centre, and some of a are nearer to theirs than usual
    assert all(one.cosine < one.usual for one in found)


def test_a_spread_leaves_the_far_end_to_a_number() -> None:
    found = spread_of(np.array([1.0] * 50 + [2.0] * 149 + [1000.0]))
    assert (found.least, found.middle, found.most, found.above, sum(found.counts)) == (1.0, 2.0, 1000.0, 1, 199)
    near = spread_of(np.array([5.0] * 31 + [17.0]))
    assert (near.above, sum(near.counts), near.edges[-1]) == (0, 32, 17.0)


@pytest.mark.parametrize(
    ("most", "told"),
    [
        (2, {"a": ["a2"], "b": ["b0"]}),
        (4, {"a": ["a2", "a0"], "b": ["b0"], "c": ["c0"]}),
        (9, {"a": ["a2", "a0", "a1"], "b": ["b0", "b1"], "c": ["c0"]}),
    ],
)
def test_each_class_has_one_picture_before_another_has_two(
    most: int, told: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Frames(np.zeros((1, 4, 4, 3), np.uint8), np.zeros(1), np.zeros(1, np.int64), "none")
    monkeypatch.setattr("framebank.library.reporting.pictures.read_clip", lambda path, rows: clip)
    counts = {"c": 1, "a": 3, "b": 2}
    videos = {
        label: [Video(f"{label}{place}", Path("v"), label) for place in range(count)] for label, count in counts.items()
    }
    found = class_sheets(videos, Pictures(most))
    assert {sheet.label: [video_id for video_id, _ in sheet.frames] for sheet in found} == told
    assert [sheet.videos for sheet in found] == [3, 2, 1][: len(told)]


def test_axes_have_round_marks() -> None:
    assert Axis("", 0, 1, percent=True).ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert Axis("", 1.93, 2.88).ticks() == pytest.approx([2.0, 2.2, 2.4, 2.6, 2.8])
    assert Axis("", 0, 1234).ticks() == [0, 500, 1000]
    with pytest.raises(ValueError, match="expected two ends"):
        Axis("", 1, 1)
    assert histogram((0, 1, 2), (3, 4), Axis("s", 0, 2), of="videos", told="a < b").count('class="bar"') == 2
    assert 'cx="60.0"' in range_bar(0.5, (0.4, 0.6))


def test_rows_are_pooled_as_unit_vectors(world: World) -> None:
    ids = world.store.ids[:5]
    found = pooled_videos(world.store, ids)
    by_hand = unit(unit(world.store[ids[2]].data).mean(0))
    assert found.vectors[2] == pytest.approx(by_hand, abs=1e-5) and found.broken == 0
    assert world.store.latest(ids, "timestamp")[0].tolist() == [world.store[name].timestamps.max() for name in ids]


def test_the_lengths_of_a_page_are_those_of_a_filter(tmp_path: Path) -> None:
    times = np.arange(8) * 1.0
    rows = {str(number): (np.random.default_rng(number).normal(size=(8, SPEC.dim)), times) for number in range(5)}
    store = write_videos(tmp_path / "bank", rows, spec=replace(SPEC, sampling="every"))
    parts = [replace(video, start=2.0, end=7.0) if video.video_id > "1" else video for video in store.manifest.videos]
    Manifest(tuple(parts)).write(tmp_path / "bank" / "manifest.csv")
    fb.report(tmp_path / "bank", out=tmp_path / "bank.html", pictures=0)
    said = "<dt>length</dt><dd>5.0 s</dd>", "5.0 s to 8.0 s, the median is 5.0 s"
    assert all(words in (tmp_path / "bank.html").read_text() for words in said)


def test_failures_are_gathered_by_what_they_have_in_common(world: World) -> None:
    for name, frame in (("a", 3), ("b", 44)):
        Ledger(world.store.path / "failed.csv").add(Failure(name, f"/x/{name}.mp4", f"/x/{name}.mp4: ends at {frame}"))
    found = contents_of(world.store)
    assert [(one.reason, one.videos, one.example) for one in found.reasons] == [("the file: ends at N", 2, "a")]
    assert found.failed == 2 and dict(found.splits)["train"] == 48 and found.unlabelled == 1


@pytest.mark.usefixtures("one_thread")
def test_only_a_run_that_sees_the_order_loses_by_another(world: World, tmp_path: Path) -> None:
    """The classes rise and fall differ in nothing but the order of their frames."""
    found = {}
    for head in ("mean", "gru"):
        run = fb.train(world.store, tmp_path / head, head=head, classifier="linear", loss="ce", epochs=30, lr=1e-2)
        run.evaluate("test")
        found[head] = perturbed_of(read_runs([tmp_path / head])[0], run.run, world.store, device="cpu")
    seen = {head: {one.name: one.right for one in each.orders} for head, each in found.items()}
    assert seen["mean"]["in order"] == seen["mean"]["reversed"] == seen["mean"]["shuffled"]
    assert "changes no answer" in found["mean"].sentence
    assert seen["gru"]["reversed"] <= seen["gru"]["in order"] - 8  # of ten videos that rise or fall
    assert [count for count, _ in found["gru"].frames] == [1, 2, 4, 8]


def test_a_report_counts_the_videos_that_were_drawn_to_train_on(world: World, tmp_path: Path) -> None:
    run = fb.train(world.store, tmp_path / "run", recipe="ridge", shots=3)
    run.evaluate("test")
    material = material_of(read_runs([run.path]), tmp_path / "out.html", pictures=0, device="cpu")
    assert material.training == dict.fromkeys(world.store.manifest.labels, 3)
    near = material.near_pairs()
    assert {pair.second for pair in near.pairs} <= set(run.run.videos_in(world.store))
    run.evaluate("train")
    material = material_of(read_runs([run.path]), tmp_path / "out.html", pictures=0, device="cpu")
    with pytest.raises(DataError, match="trained on 12 of the measured videos"):
        material.near_pairs()
