"""JSON and TOML within limits, and values by name."""

import json

import pytest

from framebank.store import DataError
from framebank.store.formats.document import MAX_DEPTH, Fields, Pairs, parse_json, parse_toml, read_json, read_toml

WRONG_JSON = {
    "{": r"is not JSON \(line 1\)",
    "": r"is not JSON \(line 1\)",
    '["a",\n"b]': r"is not JSON \(line 2\)",
    "[" * 100_000: "nests more than 32 brackets",
    "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1): "nests more than 32 brackets",
    '{"a":' * 40 + "1" + "}" * 40: "nests more than 32 brackets",
    "9" * 5000: r"is not JSON \(a number of 5000 digits\)",
    "[18446744073709551616]": "holds a whole number of more than 64 bits",
    '{"a": NaN}': "holds nan, which is not a finite number",
    '{"a": [-Infinity]}': "holds -inf, which is not a finite number",
    "1e999": "holds inf, which is not a finite number",
    r'["a\u0000b"]': r"holds the text 'a\\x00b', which cannot be a name",
    r'{"\ud800": 1}': r"holds the text '\\ud800', which cannot be a name",
    '{"a": {"b": 1, "b": 2}}': r"is not JSON \('b' appears twice\)",
}


@pytest.mark.parametrize("text", WRONG_JSON, ids=lambda text: text[:12])
def test_what_no_json_of_ours_holds_is_refused_in_one_sentence(text):
    with pytest.raises(DataError, match=f"^a.json: {WRONG_JSON[text]}; expected b$") as error:
        parse_json(text, where="a.json", expected="expected b")
    assert "\n" not in str(error.value)


def test_what_is_json_is_read():
    found = {"a": [1, -(2**63), 0.5, None, True, "é", "😀"], "b": {}}
    assert parse_json(json.dumps(found), where="a.json") == found
    assert parse_json(json.dumps(found).encode(), where="a.json") == found
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert json.dumps(parse_json(deep, where="a.json")) == deep


def test_pairs_keep_a_name_that_is_there_twice():
    found = parse_json('{"a": 1, "a": {"b": 2}}', where="a.json", pairs=True)
    assert found == Pairs([("a", 1), ("a", Pairs([("b", 2)]))])
    with pytest.raises(DataError, match="nan"):
        parse_json('{"a": {"b": NaN}}', where="a.json", pairs=True)
    with pytest.raises(DataError, match="nests"):
        parse_json('{"a":' * 40 + "1" + "}" * 40, where="a.json", pairs=True)


def test_bytes_that_are_no_text_and_files_that_are_too_large_are_refused(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"^a.json: is not JSON \('utf-8' codec"):
        parse_json(b"\xff", where="a.json")
    monkeypatch.setattr("framebank.store.formats.document.MAX_BYTES", 1 << 20)
    (tmp_path / "a.json").write_text(" " * (1 << 20) + "1")
    with pytest.raises(DataError, match=r"a\.json: has more than 1 MiB; expected a smaller file"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a =", r"cannot be read as a recipe \("),
        ("a = " + "[" * 5000, "nests more than 32 brackets"),
        ("a = " + "[" * 40 + "]" * 40, "nests more than 32 brackets"),
        ("a = " + "9" * 5000, r"cannot be read as a recipe \("),
        ("a = 1" + "0" * 400, "holds a whole number of more than 64 bits"),
        ("a = inf", "holds inf, which is not a finite number"),
        ('a = "\\u0000"', r"holds the text '\\x00'"),
        ("a = 1979-05-27", r"holds datetime.date\(1979, 5, 27\), a date"),
        ("a = 1\x00", "cannot be read as a recipe: line 1 holds the character NUL"),
    ],
)
def test_what_no_toml_of_ours_holds_is_refused_in_one_sentence(tmp_path, text, problem):
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"a\.toml: {problem}"):
        read_toml(path, what="a recipe")


def test_what_is_toml_is_read():
    assert parse_toml('a = [1, 2]\n[b]\nc = "d"', where="a.toml") == {"a": [1, 2], "b": {"c": "d"}}


def test_fields_are_asked_for_by_type():
    fields = Fields.of(
        {"text": "a", "whole": 3, "number": 1, "texts": ["a"], "wholes": [1, 2], "object": {"in": None}, "flag": True},
        where="spec.json",
    )
    assert fields.text("text") == "a"
    assert fields.text("other", default="b") == "b"
    assert fields.whole("whole", least=3) == 3
    assert fields.number("number") == 1.0
    assert fields.texts("texts") == ("a",)
    assert fields.wholes("wholes") == (1, 2)
    assert fields.wholes("other", default=()) == ()
    assert fields.numbers("wholes") == (1.0, 2.0)
    assert fields.list("texts") == ["a"]
    assert "whole" in fields
    for ask, name, expected in (
        (fields.text, "whole", "whole is 3; expected a text"),
        (fields.text, "other", "other is missing; expected a text"),
        (fields.whole, "text", "text is 'a'; expected a whole number from 0"),
        (fields.whole, "flag", "flag is True; expected a whole number from 0"),
        (fields.number, "flag", "flag is True; expected a number"),
        (fields.texts, "text", "text is 'a'; expected a list of texts"),
        (fields.texts, "wholes", r"wholes is \[1, 2\]; expected a list of texts"),
        (fields.wholes, "texts", r"texts is \['a'\]; expected a list of whole numbers from 0"),
        (fields.list, "text", "text is 'a'; expected a list"),
        (fields.fields, "text", "text is 'a'; expected an object"),
        (fields.fields("object").text, "in", "object: in is None; expected a text"),
    ):
        with pytest.raises(DataError, match=f"^spec.json: {expected}$"):
            ask(name)
    with pytest.raises(DataError, match=r"^spec.json: is \[1\]; expected an object$"):
        Fields.of([1], where="spec.json")
    with pytest.raises(DataError, match=r"^spec.json: long is 'x{56}\.\.\.; expected a whole"):
        Fields({"long": "x" * 10_000}, "spec.json").whole("long")
