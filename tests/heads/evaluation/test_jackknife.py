"""The interval of a mean average precision: by hand, against leaving each video out, and how often it is right."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from framebank.heads.evaluation.jackknife import (
    JackknifedMap,
    interval_of_gain,
    interval_of_share,
    standard_error,
)
from framebank.heads.evaluation.normal import t_by_normal
from framebank.heads.metrics import measure
from framebank.heads.predictions import Predictions


def map_of(scores: np.ndarray, hits: np.ndarray) -> float:
    """As `evaluate` measures it; the scores are brought between 0 and 1, in their order."""
    labels = tuple(map(str, range(scores.shape[1])))
    ids = tuple(map(str, range(len(scores))))
    return float(measure(Predictions(ids, 1 / (1 + np.exp(-scores)), hits.astype(np.int64), labels))["map"])


def draw(
    rng: np.random.Generator, *, videos: int = 200, rates: Sequence[float] = (0.1, 0.2, 0.3), shift: float = 1.5
) -> tuple[np.ndarray, np.ndarray]:
    hits = rng.random((videos, len(rates))) < rates
    hits[: len(rates)] |= np.eye(len(rates), dtype=bool)
    return rng.normal(size=hits.shape) + shift * hits, hits


@pytest.mark.parametrize("ties", [False, True])
def test_it_is_the_map_without_the_video(ties: bool) -> None:
    """Every label keeps a video or more, and each video has a label, as those that are measured have."""
    scores, hits = draw(np.random.default_rng(0), videos=25)
    hits[:, 2] |= ~hits[:, :2].any(1)
    scores = scores.round() if ties else scores
    found = JackknifedMap.of(scores, hits)
    without = found.without.mean(1)
    assert found.value == pytest.approx(map_of(scores, hits))
    for video in range(25):
        rest = np.arange(25) != video
        if hits[rest].any(0).all():
            assert without[video] == pytest.approx(map_of(scores[rest], hits[rest]))


def test_by_hand() -> None:
    """Right, wrong, right: (1 + 2/3) / 2. Without them: 1/2, 1 and 1; a label of one video stays as it is."""
    scores, hits = np.array([[3.0], [2.0], [1.0]]), np.array([[True], [False], [True]])
    one = JackknifedMap.of(scores, hits).without
    assert one[:, 0] == pytest.approx([0.5, 1.0, 1.0])
    two = JackknifedMap.of(np.repeat(scores, 2, axis=1), np.stack([hits[:, 0], [False, True, False]], axis=1))
    assert two.without.mean(1) == pytest.approx([0.5, 0.75, 0.75])
    spread = 2 / 3 * np.square(one - 2.5 / 3).sum()  # half of it counts: two videos have the label
    assert standard_error(one, hits, level=0.5) == pytest.approx(math.sqrt(spread / 2) * t_by_normal(1))
    # the second label shows nothing; the first would have its whole spread with one video
    both_labels = math.sqrt(spread / 2 + spread) / 2
    assert standard_error(two.without, two.hits, level=0.5) == pytest.approx(both_labels * t_by_normal(1))
    # two sources: the changes of the first two videos are added
    both = standard_error(one, hits, np.array([7, 7, 2]), level=0.5)
    assert both == pytest.approx(math.sqrt((2 / 3) ** 2 * (2 * (1 / 6) ** 2)) * t_by_normal(1))
    assert standard_error(one, hits, np.array([1, 1, 1]), level=0.5) == math.inf
    assert standard_error(one, np.array([[True], [False], [False]]), level=0.5) == math.inf


def test_a_label_of_one_video_is_the_more_like_another_the_fewer_that_has() -> None:
    """The unit spread of the two others, 1 and 4, counts by 1/2 and 1/4."""
    hits = np.zeros((8, 3), dtype=bool)
    hits[:2, 0] = hits[:4, 1] = hits[7, 2] = True
    without = np.zeros((8, 3))
    for place, spread in ((0, 1), (1, 4 / 3)):  # 4 videos: a third of the unit spread
        without[4:, place] = np.array([1, -1, 1, -1]) * math.sqrt(spread * 7 / 8 / 4) * 8 / 7
    without[4:, 1] = without[[4, 6, 5, 7], 1][[0, 2, 1, 3]] * (1, 1, -1, -1)  # not correlated with the first
    found = standard_error(without, hits, level=0.5) / t_by_normal(4)
    assert found == pytest.approx(math.sqrt(1 / 2 + 4 / 3 * 3 / 4 + (1 / 2 * 1 + 1 / 4 * 4) / (3 / 4)) / 3)


@pytest.mark.parametrize("sources", [2, 5, 30])
def test_of_a_mean_it_is_the_standard_error_of_the_means_of_the_sources(sources: int) -> None:
    values = np.random.default_rng(0).random((sources, 4))
    without = (values.sum() - values.reshape(-1, 1)) / (values.size - 1)
    error = standard_error(without, np.ones(without.shape, dtype=bool), np.arange(sources).repeat(4), level=0.5)
    own = values.mean(1).std(ddof=1) / math.sqrt(sources)
    assert error == pytest.approx(own * t_by_normal(sources - 1) * math.sqrt(1 - 1 / values.size))


def test_intervals_stay_within_what_is_possible() -> None:
    low, high = interval_of_share(0.98, 0.03, having=50)
    assert 0.6 < low < 0.98 < high < 1
    assert interval_of_share(0.5, math.inf, having=50) == (0.0, 1.0)
    assert interval_of_share(1.0, 0.0, having=40) == (pytest.approx(0.9124, abs=1e-3), 1.0)  # Wilson's of 40 in 40
    assert interval_of_gain(0.1, 0.05) == pytest.approx((0.1 - 1.959964 * 0.05, 0.1 + 1.959964 * 0.05))
    assert interval_of_gain(0.9, 0.5)[1] == 1.0


def test_low_precisions_leave_few_degrees_of_freedom() -> None:
    """8 videos of 2 labels: 6 degrees of freedom by the labels, and 2 * 8 * 0.1 / 0.9 where the precisions are low."""
    hits = np.arange(40).reshape(20, 2) % 20 < 4
    without = np.random.default_rng(0).random((20, 2))
    at_half, at_a_tenth = (standard_error(without, hits, level=level) for level in (0.5, 0.1))
    assert hits.sum() == 8 and at_a_tenth / at_half == pytest.approx(t_by_normal(2) / t_by_normal(6))


def test_all_right_is_as_sure_as_its_labels_are_many() -> None:
    """Three videos of a label, or of three sources, that are right in 100 videos say little."""
    hits = np.zeros((100, 1), dtype=bool)
    hits[:6] = True
    found = JackknifedMap.of(hits.astype(float), hits)
    assert found.value == 1
    assert found.interval() == (pytest.approx(0.6097, abs=1e-4), 1.0)  # Wilson's of 6 in 6
    assert found.interval(np.arange(100) // 2) == (pytest.approx(0.4385, abs=1e-4), 1.0)  # of 3 in 3


@pytest.mark.parametrize(
    ("rates", "shift", "wrong"),
    [
        ((0.1, 0.2, 0.3), 1.5, 0.04),
        ((0.005, 0.007, 0.01, 0.014, 0.02), 1.5, 0.04),
        (np.geomspace(0.005, 0.02, 10), 1.0, 0.055),
    ],
)
def test_how_often_it_is_right(rates: Sequence[float], shift: float, wrong: float) -> None:
    """95 % of the intervals hold the mean of all test sets, within 2 points; and no end is wrong much more often.

    In the second case a label has one to four videos, and in the third the scores are weak too.
    """
    rng = np.random.default_rng(0)
    maps, intervals = [], []
    for _ in range(3000):
        scores, hits = draw(rng, rates=rates, shift=shift)
        order = np.argsort(-scores, axis=0)
        right = np.take_along_axis(hits, order, axis=0)
        precision = right.cumsum(0) / np.arange(1, len(right) + 1)[:, None]
        maps.append(float(((right * precision).sum(0) / right.sum(0)).mean()))
        found = JackknifedMap.of(scores, hits)
        assert found.value == pytest.approx(maps[-1])
        intervals.append(found.interval())
    low, high = np.array(intervals).T
    assert abs(float(((low <= np.mean(maps)) & (np.mean(maps) <= high)).mean()) - 0.95) < 0.02
    assert float((low > np.mean(maps)).mean()) < wrong and float((high < np.mean(maps)).mean()) < wrong
