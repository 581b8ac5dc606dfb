"""Settings on a command line: one way to write NAME=VALUE, and one language of values."""

import json

import pytest

from framebank.heads.options import parse_options
from framebank.store import DataError
from framebank.store.formats.settings import read_pairs, read_value


def test_pairs() -> None:
    texts = [" lr = 1e-3 ", "text.words=a=b", "init="]
    assert read_pairs(texts, what="--set", expected="KEY=VALUE") == {"lr": "1e-3", "text.words": "a=b", "init": ""}
    for wrong in ("lr", "=3", ""):
        with pytest.raises(DataError, match=f"^--set is {wrong!r}; expected KEY=VALUE$"):
            read_pairs(["a=1", wrong], what="--set", expected="KEY=VALUE")
    with pytest.raises(DataError, match=r"^--set gives a twice, '1' and '2'$"):
        read_pairs(["a=1", "a = 2"], what="--set", expected="KEY=VALUE")


@pytest.mark.parametrize(
    "value",
    [2, -3, 0.5, 1e-5, 1e16, True, False, "word", "two words", 'a "quoted" one', "ö", "", [1, 2], [], ["a", "b"]],
)
def test_what_json_writes_is_read_as_before(value: object) -> None:
    read = read_value(json.dumps(value), where="the option x")
    assert (read, type(read)) == (value, type(value))
    assert parse_options([f"x={json.dumps(value)}"]) == {"x": value}


def test_words_need_no_quotes() -> None:
    for word in ("bi-mhm", "ce + 0.5 froster", "clip-ucf101", "a.b"):
        assert read_value(word, where="--set loss") == word


@pytest.mark.parametrize("text", ["[1, 2", '"two words', "{a: 1}", r'"a\/b"', "['a' 'b']"])
def test_what_begins_as_toml_and_does_not_go_on_so_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"^--set x is .*; expected a value as in TOML: 2, 0\.5, true, \[1, 2\]"):
        read_value(text, where="--set x")


@pytest.mark.parametrize("text", ["nan", "inf", "1979-05-27", "9" * 30])
def test_what_no_option_can_be_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"^--set x: "):
        read_value(text, where="--set x")
