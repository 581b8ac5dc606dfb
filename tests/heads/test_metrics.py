import numpy as np
import pytest
import torch

from framebank.heads.metrics import measure, score_targets, wilson_interval
from framebank.heads.predictions import Predictions
from framebank.store import DataError
from framebank.tests.places import ROOT


def predictions(scores, targets, *, num_classes=None):
    scores = np.array(scores, dtype=np.float32)
    labels = tuple(f"class {c}" for c in range(num_classes or scores.shape[1]))
    return Predictions(tuple(f"v{i}" for i in range(len(scores))), scores, np.array(targets), labels)


def hot(found, num_classes):
    """Scores whose best class is `found` and whose others fall from class 0 on."""
    return [[(2.0 if c == one else 1 - c / num_classes) for c in range(num_classes)] for one in found]


def test_by_hand():
    # truth 0 0 0 0 1 1, found 0 0 0 1 1 0; class 2 does not occur
    found = measure(predictions(hot([0, 0, 0, 1, 1, 0], 3), [0, 0, 0, 0, 1, 1]))
    assert found["top1"] == pytest.approx(4 / 6)
    assert found["mean_class_accuracy"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found["top5"] == 1.0  # of three classes
    assert found["confusion"] == [[3, 1, 0], [1, 1, 0], [0, 0, 0]]  # rows are the true classes
    assert found["videos_evaluated"] == 6
    assert found["labels"] == ["class 0", "class 1", "class 2"]
    assert found["top1_interval"] == wilson_interval(4, 6)


def test_class_that_does_not_occur_but_is_found():
    found = measure(predictions(hot([2, 0], 3), [0, 0]))
    assert found["mean_class_accuracy"] == 0.5
    assert found["confusion"] == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_top5_of_seven_classes():
    # best first: 6 0 1 2 3 | 4 5
    found = measure(predictions(hot([6] * 7, 7), [0, 1, 2, 3, 4, 5, 6]))
    assert found["top1"] == pytest.approx(1 / 7)
    assert found["top5"] == pytest.approx(5 / 7)


def test_top5_is_that_of_a_sort():
    rng = np.random.default_rng(0)
    scores, targets = rng.random((200, 12)), rng.integers(0, 12, 200)
    found = measure(predictions(scores, targets))
    ranks = (-scores.astype(np.float32)).argsort(1)
    assert found["top1"] == pytest.approx((ranks[:, 0] == targets).mean())
    assert found["top5"] == pytest.approx((ranks[:, :5] == targets[:, None]).any(1).mean())


def test_unlabelled_videos_are_left_out():
    found = measure(predictions(hot([0, 1, 1], 2), [0, -1, 1]))
    assert found["videos_evaluated"] == 2
    assert found["top1"] == 1.0


def test_one_class():
    found = measure(predictions([[1.0], [1.0]], [0, 0]))
    assert (found["top1"], found["top5"], found["mean_class_accuracy"]) == (1, 1, 1)
    assert found["confusion"] == [[2]]


def test_no_label_at_all():
    with pytest.raises(DataError, match="none of the videos has a label"):
        measure(predictions(hot([0], 2), [-1]))


@pytest.mark.parametrize(
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3
    ("hits", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_of_the_literature(hits, total, low, high):
    assert wilson_interval(hits, total) == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson_interval(total - hits, total)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_wilson_interval_of_nothing():
    assert wilson_interval(0, 0) == (0, 1)


def slow_average_precision(scores, hits):
    """The sum over the thresholds, highest first, of the precision there times the gain in recall."""
    total, before = 0.0, 0
    for threshold in sorted(set(scores), reverse=True):
        found = [hit for score, hit in zip(scores, hits, strict=True) if score >= threshold]
        total += sum(found) / len(found) * (sum(found) - before) / sum(hits)
        before = sum(found)
    return total


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_average_precision_with_ties(levels):
    rng = np.random.default_rng(levels)
    scores = rng.integers(levels, size=(40, 3)) / levels
    targets = rng.integers(2, size=(40, 3))
    targets[np.arange(40), rng.integers(3, size=40)] = 1  # a video without a label is not measured
    expected = [slow_average_precision(scores[:, c], targets[:, c]) for c in range(3)]
    found = measure(Predictions(tuple(map(str, range(40))), scores, targets, ("a", "b", "c")))
    assert found["average_precision"] == pytest.approx(expected, abs=1e-6)
    order = rng.permutation(40)
    turned = measure(Predictions(tuple(map(str, range(40))), scores[order], targets[order], ("a", "b", "c")))
    assert turned["average_precision"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("start", [-90, 0, 90])
def test_logits_far_from_zero_are_ranked(start):
    logits = torch.tensor([30.0, 20, 25, 40])[:, None] + start  # the sigmoid of each is 0 or 1 in float32
    target = torch.tensor([0.0, 0, 1, 1])[:, None]
    assert score_targets(logits, target) == pytest.approx((1 + 2 / 3) / 2)


def test_predictions_must_agree():
    with pytest.raises(ValueError, match="expected"):
        predictions([[0.5, 0.5]], [0, 1])


def test_the_reach_of_an_interval_stands_in_one_place():
    rooms = [path for room in ("demo", "heads", "library", "store") for path in (ROOT / room).rglob("*.py")]
    assert [path.name for path in rooms if "1.9599" in path.read_text()] == ["normal.py"]
