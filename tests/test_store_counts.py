import pytest

from framebank.store.counts import counted


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
