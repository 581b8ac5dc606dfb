import pytest

from framebank.heads import MATCHERS
from framebank.heads.fewshot.matcher_name import MatcherName, parse_options, split_list, untrained_matchers
from framebank.store import DataError


def test_matchers_by_name():
    assert "linear" not in untrained_matchers()
    assert {"mean", "otam", "text", "combine"} <= set(untrained_matchers())
    assert type(MatcherName.parse("combine:max").build(8).metric) is MATCHERS["max"]
    assert type(MatcherName.parse("combine").build(8).metric) is MATCHERS["otam"]
    for wrong in ("median", "max:otam", "combine:combine", "combine:nothing"):
        with pytest.raises(DataError, match=f"the matcher '{wrong}' is not known; expected one of mean, max"):
            MatcherName.parse(wrong).build(8)
    with pytest.raises(DataError, match="the matcher 'linear' has weights to train; expected one of mean, max"):
        MatcherName.parse("linear").build(8)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("otam", "otam"),
        (" otam ( smoothing = 1 ) ", "otam(smoothing=1.0)"),
        ("otam()", "otam"),
        ("combine:max(text_scale=2, metric_scale=0.5)", "combine:max(metric_scale=0.5, text_scale=2.0)"),
        ("chamfer++(length=2)", "chamfer++(length=2)"),
    ],
)
def test_a_matcher_is_written_in_one_way(written, shown):
    assert str(MatcherName.parse(written)) == shown
    assert MatcherName.parse(shown) == MatcherName.parse(written)


def test_options_reach_the_matcher():
    assert MatcherName.parse("otam(smoothing=0.5)").build(8).smoothing == 0.5
    combined = MatcherName.parse("combine:max(text_share=0.2)").build(8)
    assert (type(combined.metric), combined.text_share) == (MATCHERS["max"], 0.2)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("otam(softness=1)", "the matcher 'otam' has no option 'softness'; it has smoothing$"),
        ("mean(scale=1)", "the matcher 'mean' has no option 'scale'; it has none$"),
        ("combine(metric=max)", "the matcher 'combine' has no option 'metric'; it has text_share, text_scale"),
        ("otam(smoothing=soft)", "matcher.smoothing is 'soft'; expected a number"),
        ("chamfer++(length=1.5)", "matcher.length is 1.5; expected a whole number"),
        ("otam(smoothing)", "the option is 'smoothing'; expected NAME=VALUE"),
        ("otam(smoothing=1, smoothing=2)", "the option gives smoothing twice"),
        (
            "ridge(penalty=-1)",
            r"the matcher ridge\(penalty=-1.0\) cannot be built: penalty is -1.0; expected more than 0",
        ),
        ("otam(smoothing=1", r"'otam\(smoothing=1' is not a matcher; expected a name such as otam"),
        ("", "'' is not a matcher"),
    ],
)
def test_what_is_no_matcher(written, message):
    with pytest.raises(DataError, match=message):
        MatcherName.parse(written).build(8)


def test_lists_of_matchers():
    assert split_list("mean, otam(smoothing=0.5),chamfer++") == ["mean", "otam(smoothing=0.5)", "chamfer++"]
    assert split_list("a(b=1,c=[2,3]),d") == ["a(b=1,c=[2,3])", "d"]
    assert split_list(" ") == []
    assert parse_options(["a=[1, 2]", "b=true", "c=word", "d=1e-3"]) == {
        "a": [1, 2],
        "b": True,
        "c": "word",
        "d": 0.001,
    }
