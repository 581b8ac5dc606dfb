import math
from fractions import Fraction

import numpy as np
import pytest

import framebank as fb
from framebank.heads.evaluation.paired import compare_paired, mcnemar
from framebank.heads.evaluation.verdict import corrected, holm


def pair(gained: int, lost: int, both: int = 0, neither: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What A and B have right, where so many videos flip each way."""
    a = np.repeat([False, True, True, False], [gained, lost, both, neither])
    b = np.repeat([True, False, True, False], [gained, lost, both, neither])
    return a, b


def drawn(rng: np.random.Generator, count: int, *, a: float, b: float, correlation: float) -> tuple[np.ndarray, ...]:
    """What two classifiers of those accuracies have right of `count` videos, correlated."""
    both = a * b + correlation * math.sqrt(a * (1 - a) * b * (1 - b))
    u = rng.random(count)
    return u < a, (u < both) | ((u >= a) & (u < a + b - both))


def test_mcnemar_is_the_binomial_test():
    for gained, lost in [(0, 0), (1, 0), (6, 0), (3, 9), (40, 25), (77, 80), (700, 610), (1500, 1500), (2100, 1801)]:
        number, fewer = gained + lost, min(gained, lost)
        exact = Fraction(2 * sum(math.comb(number, count) for count in range(fewer + 1)), 2**number)
        assert mcnemar(gained, lost) == mcnemar(lost, gained) == pytest.approx(min(1.0, float(exact)), rel=1e-12)


def test_mcnemar_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for gained, lost in [(1, 0), (3, 9), (40, 25), (700, 610), (2100, 1801)]:
        assert mcnemar(gained, lost) == pytest.approx(stats.binomtest(gained, gained + lost).pvalue, rel=1e-9)


def test_mcnemar_and_holm_are_those_of_statsmodels():
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    for gained, lost in [(1, 0), (3, 9), (40, 25), (700, 610)]:
        exact = tables.mcnemar([[5, lost], [gained, 5]], exact=True).pvalue
        assert mcnemar(gained, lost) == pytest.approx(exact, abs=1e-9)
    values = [0.04, 0.001, 0.2, 0.01, 0.04]
    assert holm(values) == pytest.approx(multitest.multipletests(values, method="holm")[1], abs=1e-9)


def test_what_can_be_checked_by_hand():
    a, b = pair(gained=30, lost=10, both=50, neither=10)
    found = fb.compare(a, b)
    assert (found.accuracy_a, found.accuracy_b, found.difference) == (0.6, 0.8, 0.2)
    assert (found.flips.gained, found.flips.lost) == (30, 10)
    # 100 videos of +1 (30), -1 (10) and 0: the normal interval is 0.2 +- 1.96 * sqrt(0.4 - 0.04) / 10
    assert found.interval == pytest.approx((0.2 - 0.118, 0.2 + 0.118), abs=0.008)
    assert found.smallest_difference == pytest.approx(2.8016 * 0.06, rel=0.05)
    assert found.verdict == "better"
    assert fb.compare(b, a).verdict == "worse"
    assert fb.compare(b, a).difference == -found.difference
    assert fb.compare(a, b) == found  # the same seed, the same draws
    assert fb.compare(a, b, seed=1).interval != found.interval


def test_no_flip_tells_nothing():
    a, _ = pair(0, 0, both=50, neither=30)
    found = fb.compare(a, a)
    assert (found.difference, found.mcnemar_p, found.verdict) == (0.0, 1.0, "cannot tell")
    assert found.smallest_difference == 6 / 80


@pytest.mark.parametrize(("gained", "verdict"), [(4, "cannot tell"), (5, "cannot tell"), (6, "better")])
def test_five_flips_are_too_few(gained: int, verdict: str):
    found = fb.compare(*pair(gained, 0, both=100))
    assert found.verdict == verdict
    assert (found.p_value < 0.05) == (found.interval[0] > 0) == (verdict == "better")
    groups = np.repeat(np.arange((100 + gained) // 2 + 1), 2)[: 100 + gained]
    together = fb.compare(*pair(gained, 0, both=100), groups=groups)  # half as many sources differ
    assert together.p_value >= 2 * 0.5**together.sources_that_differ and together.interval[0] < 0


def test_videos_of_one_source_count_as_one():
    a, b = pair(gained=40, lost=0, both=60, neither=0)
    groups = np.repeat(np.arange(20), 5)  # 40 flips, which are those of eight sources
    alone, together = fb.compare(a, b), fb.compare(a, b, groups=groups)
    assert (together.sources, together.sources_that_differ, together.videos) == (20, 8, 100)
    width = [high - low for low, high in (alone.interval, together.interval)]
    assert width[1] == pytest.approx(width[0] * math.sqrt(5), rel=0.12)
    names = np.array([f"v_Archery_g{group:02d}" for group in groups])
    assert fb.compare(a, b, groups=names) == together
    assert fb.compare(a, b, groups=np.zeros(100)).verdict == "cannot tell"
    assert fb.compare(a, b, groups=np.zeros(100)).interval == (-1, 1)


def test_seeds_are_paired():
    a = np.array([[True] * 60 + [False] * 40, [True] * 50 + [False] * 50])
    b = np.array([[True] * 70 + [False] * 30, [True] * 60 + [False] * 40])
    found = fb.compare(a, b)
    assert (found.seeds, found.flips.gained, found.flips.lost) == (2, 20, 0)
    assert found.difference == pytest.approx(0.1)
    assert found.verdict == "better"
    # The two pairs of seeds differ by 20 points and by 0: their mean is less sure than the videos alone say.
    wide = fb.compare(np.array([a[0], a[0]]), np.array([b[0] | (np.arange(100) < 80), a[0]]))
    assert wide.difference == pytest.approx(0.1)
    assert wide.interval[0] < found.interval[0]


def test_the_spread_of_the_seeds_by_hand():
    """1,000 videos of which 40 flip, 20 more for B in one pair of seeds and 20 more for A in the other."""
    a, b = np.zeros((2, 1000), bool), np.zeros((2, 1000), bool)
    b[0, :30] = a[0, 30:40] = b[1, 60:70] = a[1, 70:100] = True
    found = fb.compare(a, b)
    # The differences are +2 and -2 points: the error of their mean is 2 points, and t has one degree of freedom. The
    # videos' own part is small beside it.
    assert found.difference == 0
    assert found.interval == pytest.approx((-0.02 * 12.706, 0.02 * 12.706), rel=0.03)
    assert fb.compare(np.stack([a[0], a[0]]), np.stack([b[0], b[0]])).interval == pytest.approx(
        fb.compare(a[0], b[0]).interval, abs=0.001
    )  # seeds that are alike add nothing


def test_equal_methods_of_several_seeds_are_seldom_told_apart():
    """The small form of benchmarks/paired.py: the accuracy of each training varies by 2 points."""
    rng = np.random.default_rng(0)
    told = 0
    for number in range(60):
        u, limits = rng.random(500), 0.7 + rng.normal(0, 0.02, size=(2, 3, 1))
        told += fb.compare(*(u < limits), seed=number).verdict != "cannot tell"
    assert told <= 8  # 5 % of 60 is 3; to draw the seeds with replacement gave 18


def test_equivalence_asks_for_the_90_percent_interval():
    a, b = pair(gained=20, lost=20, both=9960)
    assert fb.compare(a, b, equivalent_within=1.0).equivalent is True
    assert fb.compare(a, b, equivalent_within=0.01).equivalent is False
    assert fb.compare(a, b).equivalent is None
    assert "equivalent within 1 point" in repr(fb.compare(a, b, equivalent_within=1.0))


def test_holm_corrects_the_verdicts():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    found = [fb.compare(*pair(40, 22, both=200)), fb.compare(*pair(60, 20, both=200)), fb.compare(*pair(41, 20))]
    assert [one.verdict for one in found] == ["better"] * 3
    several = [found[0]] * 3
    assert [one.verdict for one in corrected(several)] == ["cannot tell"] * 3  # p 2 %, three times
    assert corrected(several)[0].p_holm == pytest.approx(3 * found[0].p_value)
    assert corrected(found[:1]) == found[:1]


@pytest.mark.parametrize(
    ("a", "b", "groups", "told"),
    [
        ([True, False], [True], None, r"\(2,\) and correct_b \(1,\)"),
        ([], [], None, r"shape \(0,\)"),
        ([0.3, 1], [1, 1], None, "float64; expected true or false"),
        (["a"], ["b"], None, "expected true or false"),
        ([True, False], [True, True], [1], "groups has the shape"),
    ],
)
def test_arrays_that_do_not_fit(a, b, groups, told):
    with pytest.raises(fb.DataError, match=told):
        fb.compare(np.array(a), np.array(b), None if groups is None else np.array(groups))


def test_it_shows_itself():
    shown = fb.compare(*pair(30, 10, both=50, neither=10))
    assert "difference +20.0 points" in repr(shown)
    assert "verdict    B is better than A" in repr(shown)
    assert shown._repr_html_().startswith("<pre>accuracy")
    plain = shown.to_dict()
    assert plain["flips"] == {"gained": 30, "lost": 10}
    assert {"difference", "interval", "mcnemar_p", "smallest_difference", "verdict"} <= set(plain)


def test_errors_of_the_first_kind_and_power():
    """The small form of benchmarks/paired.py: 200 test sets of 300 videos, none better, then one by 5 points."""
    rng = np.random.default_rng(0)
    verdicts = {
        gain: [compare_paired(*drawn(rng, 300, a=0.7, b=0.7 + gain, correlation=0.8), seed=n) for n in range(200)]
        for gain in (0.0, 0.05)
    }
    told = {gain: np.mean([one.verdict != "cannot tell" for one in found]) for gain, found in verdicts.items()}
    assert 0.01 <= told[0.0] <= 0.1
    pooled = [math.sqrt(m * (1 - m) * 2 / 300) for m in [(o.accuracy_a + o.accuracy_b) / 2 for o in verdicts[0.05]]]
    unpaired = np.mean([abs(o.difference) > 1.96 * s for o, s in zip(verdicts[0.05], pooled, strict=True)])
    assert told[0.05] > unpaired + 0.2


def test_group_intervals_cover_and_those_of_clips_do_not():
    rng = np.random.default_rng(1)
    covered = {"groups": 0, "clips": 0}
    for number in range(150):
        # 60 sources of 6 clips: a source is gained, lost or neither as a whole, nine times of ten
        source = rng.choice([1, -1, 0], size=60, p=[0.2, 0.1, 0.7])
        own = rng.random((60, 6)) < 0.9
        step = np.where(own, source[:, None], 0).ravel()
        groups = np.repeat(np.arange(60), 6)
        for kind, given in (("groups", groups), ("clips", None)):
            low, high = compare_paired(step < 0, step > 0, groups=given, seed=number).interval
            covered[kind] += low <= 0.09 <= high
    assert covered["groups"] >= 134  # 90 % of 150: 95 % less three standard errors
    assert covered["clips"] < 120


def test_few_videos_without_a_flip_do_not_show_that_two_are_equivalent() -> None:
    same = np.arange(28) % 4 > 0
    found = fb.compare(same, same, equivalent_within=2.0)
    assert found.difference == 0 and not found.equivalent and found.verdict == "cannot tell"
    assert found.interval[1] == pytest.approx(1 - 0.025 ** (1 / 28), abs=1e-6)  # no event among 28: Clopper and Pearson
    assert found.interval[0] == -found.interval[1]
    many = np.arange(4000) % 4 > 0
    assert fb.compare(many, many, equivalent_within=2.0).equivalent
