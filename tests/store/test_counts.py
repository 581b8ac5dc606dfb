import pytest

from framebank.store.counts import counted, first_lines, listed


@pytest.mark.parametrize(
    ("number", "nouns", "told"),
    [
        (0, ("video",), "0 videos"),
        (1, ("video",), "1 video"),
        (2, ("video",), "2 videos"),
        (1, ("query", "queries"), "1 query"),
        (11, ("query", "queries"), "11 queries"),
    ],
)
def test_one_is_not_many(number, nouns, told):
    assert counted(number, *nouns) == told


def test_a_list_ends() -> None:
    assert listed([]) == "none" and listed(["a"]) == "a" and listed("abcde") == "a, b, c, d, e"
    assert listed(range(5000)) == "0, 1, 2, 3, 4 and 4995 more"
    assert listed(range(7), most=3) == "0, 1, 2 and 4 more"
    assert listed("abc", most=2, mark="; ") == "a; b and 1 more"


def test_lines_end() -> None:
    assert first_lines([], most=2) == [] and first_lines(iter("ab"), most=2) == ["a", "b"]
    assert first_lines(iter("abc"), most=2) == ["a", "b", "and 1 more, which --json names"]
