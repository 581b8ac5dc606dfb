"""Two runs of several labels side by side: by hand, by leaving videos out, and how often the verdict is right."""

import math

import numpy as np
import pytest

import framebank as fb
from framebank.heads.evaluation.jackknife import JackknifedMap
from framebank.heads.evaluation.normal import t_by_normal
from framebank.heads.evaluation.paired_precision import PrecisionDifference, compare_precision
from framebank.heads.evaluation.verdict import corrected
from framebank.store import DataError


def draw(
    rng: np.random.Generator, *, videos: int = 120, better: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of two runs (V, C), which have a part in common, and which videos have each of three labels."""
    hits = rng.random((videos, 3)) < (0.1, 0.2, 0.3)
    hits[:3] |= np.eye(3, dtype=bool)
    common = 1.5 * hits + rng.normal(size=hits.shape)
    a, b = (common + 0.6 * rng.normal(size=hits.shape) for _ in range(2))
    return a, b + better * hits, hits


def test_by_hand() -> None:
    """A has right, wrong, right: (1 + 2/3) / 2, and 1/2, 1, 1 without each; B has right, right, wrong: always 1."""
    hits = np.array([[True], [False], [True]])
    a, b = np.array([[3.0], [2.0], [1.0]]), np.array([[3.0], [1.0], [2.0]])
    found = compare_precision([JackknifedMap.of(a, hits)], [JackknifedMap.of(b, hits)])
    assert (found.map_a, found.map_b) == (pytest.approx(5 / 6), 1.0)
    assert found.difference == pytest.approx(1 / 6)
    # the changes without each are 1/2, 0 and 0: half of their variance, for two videos have it, and Student's t of 1
    error = math.sqrt(3 / 2 * (2 / 3) ** 2 * (1 / 9 + 2 / 36) / 2) * 12.706205 / 1.959964
    assert found.interval == (-1.0, 1.0)  # three videos say nothing
    assert found.smallest_difference == 1.0
    assert found.p_value == pytest.approx(math.erfc(1 / 6 / error / math.sqrt(2)), abs=1e-3)
    assert (found.verdict, found.videos, found.sources, found.sources_that_differ) == ("cannot tell", 3, 3, 1)
    assert "6 videos or sources must differ, 1 do" in repr(found)


def test_a_better_run_is_told_and_equal_ones_are_not() -> None:
    a, b, hits = draw(np.random.default_rng(0), better=2.0)
    found, back = fb.compare_scores(a, b, hits), fb.compare_scores(b, a, hits)
    assert (found.verdict, back.verdict) == ("better", "worse") and back.difference == -found.difference
    same = fb.compare_scores(a, a, hits)
    assert (same.verdict, same.difference, same.p_value, same.sources_that_differ) == ("cannot tell", 0.0, 1.0, 0)
    assert same.smallest_difference == 6 / hits.any(1).sum()
    assert found.to_dict().keys().isdisjoint({"flips", "mcnemar_p"})
    lines = found.lines(a="one", b="two")
    assert lines[2].startswith("flips      none") and lines[-1] == "verdict    two is better than one"
    assert found._repr_html_().startswith("<pre>mAP ")


def test_videos_without_a_label_do_not_count() -> None:
    a, b, hits = draw(np.random.default_rng(1))
    kept = hits.any(1)
    assert not kept.all()
    groups = np.arange(len(hits)) // 4
    assert fb.compare_scores(a, b, hits, groups) == fb.compare_scores(a[kept], b[kept], hits[kept], groups[kept])


def test_videos_of_one_source_count_as_one() -> None:
    a, b, hits = (np.repeat(each, 4, axis=0) for each in draw(np.random.default_rng(2), videos=40))
    by_video, by_source = fb.compare_scores(a, b, hits), fb.compare_scores(a, b, hits, np.arange(40).repeat(4))
    assert (by_video.sources, by_source.sources) == (84, 21)
    few = t_by_normal(20) / t_by_normal(83) * math.sqrt(21 / 20 * 83 / 84)  # a little wider for fewer sources
    assert np.ptp(by_source.interval) / np.ptp(by_video.interval) == pytest.approx(2 * few)


def test_the_spread_of_the_seeds_is_added() -> None:
    rng = np.random.default_rng(3)
    a, b, hits = draw(rng)
    seeds_a, seeds_b = np.stack([a, a, a]), np.stack([b, b + 0.5 * hits, b + 1.0 * hits])
    found = fb.compare_scores(seeds_a, seeds_b, hits)
    singles = [fb.compare_scores(one, two, hits) for one, two in zip(seeds_a, seeds_b, strict=True)]
    gains = np.array([one.difference for one in singles])
    assert found.seeds == 3 and found.difference == pytest.approx(gains.mean())
    spread = gains.std(ddof=1) / 3**0.5 * 4.302653
    assert np.ptp(found.interval) / 2 >= spread > np.ptp(singles[0].interval) / 2
    with pytest.raises(DataError, match=r"A has 3 seeds and .* B has 1"):
        fb.compare_scores(seeds_a, b, hits)


def test_equivalence_asks_for_the_90_percent_interval() -> None:
    a, b, hits = draw(np.random.default_rng(4))
    found = fb.compare_scores(a, b, hits)
    half = (found.interval[1] - found.difference) * 1.644854 / 1.959964
    for off, equivalent in ((1e-6, True), (-1e-6, False)):
        margin = 100 * (abs(found.difference) + half + off)
        assert fb.compare_scores(a, b, hits, equivalent_within=margin).equivalent is equivalent
    assert fb.compare_scores(a, a, hits, equivalent_within=1.0).equivalent is False  # six unseen videos may differ
    assert "margin     equivalent within 20 points" in repr(fb.compare_scores(a, a, hits, equivalent_within=20.0))
    with pytest.raises(DataError, match="expected points above 0"):
        fb.compare_scores(a, b, hits, equivalent_within=0.0)


@pytest.mark.parametrize("moved", [0, 1, 4, 12])
def test_few_videos_that_differ_say_nothing(moved: int) -> None:
    """B has the scores of A, but `moved` videos of a label come to its top. All others change by that a little."""
    rng = np.random.default_rng(0)
    hits = np.repeat(np.eye(2, dtype=bool), 100, axis=0)
    a = rng.normal(size=hits.shape) + 2 * hits
    b = a.copy()
    b[np.argsort(a[:100, 0])[:moved], 0] = a[:, 0].max() + 1 + np.arange(moved)
    found = fb.compare_scores(a, b, hits, equivalent_within=1.5)
    assert moved <= found.sources_that_differ <= 4 * moved if moved > 4 else found.sources_that_differ <= moved + 1
    assert (found.verdict == "better") is (moved == 12)
    assert found.equivalent is False  # no source, or one, says nothing of those that were not seen


def test_whole_numbers_and_truths_are_scores_too() -> None:
    hits = np.eye(2, dtype=bool)[np.arange(12) % 2]
    scores = np.where(hits, 9, 0)
    found = [fb.compare_scores(one, scores.astype(float), hits) for one in (scores.astype(np.uint8), scores > 0)]
    assert [one.map_a for one in found] == [1.0, 1.0]


def test_holm_corrects_the_verdicts() -> None:
    made = PrecisionDifference(0.5, 0.6, 0.1, (0.01, 0.19), 0.03, 0.13, "better", 90, 90, 80, 1)
    first, second = corrected([made, made])
    assert (first.p_holm, first.verdict, second.verdict) == (0.06, "cannot tell", "cannot tell")
    assert "p 0.03, 0.06 by Holm" in repr(first) and corrected([made]) == [made]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"scores_a": np.zeros((5, 2))}, r"scores_a has the shape \(5, 2\); expected \(4, 2\)"),
        ({"scores_b": np.full((4, 2), np.nan)}, "scores_b holds values that are not numbers"),
        ({"scores_b": np.full((4, 2), "a")}, "scores_b holds values that are not numbers"),
        ({"targets": np.full((4, 2), 3)}, r"expected \(V, C\) of true and false"),
        ({"targets": np.zeros(4)}, r"targets has the shape \(4,\)"),
        ({"targets": np.zeros((4, 2))}, "no video has a label"),
        ({"groups": np.zeros(3)}, r"groups has the shape \(3,\); expected \(4,\)"),
    ],
)
def test_arrays_that_do_not_fit(change: dict[str, np.ndarray], told: str) -> None:
    scores = np.arange(8.0).reshape(4, 2)
    given = {"scores_a": scores, "scores_b": scores, "targets": scores > 3, **change}
    with pytest.raises(DataError, match=told):
        fb.compare_scores(**given)


def test_how_often_it_is_right() -> None:
    """Equal runs are told apart in 5 % of the sets at most, and a better one as often as its standard error says."""
    rng = np.random.default_rng(5)
    equal = [fb.compare_scores(*draw(rng)) for _ in range(600)]
    assert np.mean([found.verdict != "cannot tell" for found in equal]) < 0.05 + 0.015
    better = [fb.compare_scores(*draw(rng, better=0.6)) for _ in range(300)]
    mean = np.mean([found.difference for found in better])
    held = np.mean([found.interval[0] <= mean <= found.interval[1] for found in better])
    assert abs(held - 0.95) < 0.035
    # the power at the mean difference, by the standard error that `smallest_difference` has
    error = np.mean([found.smallest_difference for found in better]) / 2.801585
    power = 0.5 * math.erfc((1.959964 - mean / error) / math.sqrt(2))
    assert np.mean([found.verdict == "better" for found in better]) == pytest.approx(power, abs=0.1)
