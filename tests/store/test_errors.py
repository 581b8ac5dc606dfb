import pickle
from pathlib import Path

import pytest

from framebank.library.checks import typed
from framebank.store import DataError
from framebank.store.errors import LONGEST_WORD, DataWarning, PlaceError, warn


def test_a_message_is_one_line_that_can_be_printed_whatever_a_file_says() -> None:
    error = DataError("a.csv: no column 'a\x00\x1b[2J\ud800\n' in it; expected 'ü' or '行'")
    assert str(error) == "a.csv: no column 'a\\x00\\x1b[2J\\ud800\\n' in it; expected 'ü' or '行'"
    assert str(error).encode("utf-8")


def test_a_word_without_end_is_cut_and_a_long_path_is_not() -> None:
    path = "/" + "folder/" * 80
    error = DataError(f"{path}: has no key {'1' * 5000}")
    assert str(error) == f"{path}: has no key {'1' * 60}... (5000 characters)"
    assert len(path) > LONGEST_WORD


def test_errors_travel_between_processes() -> None:
    for kind in (DataError, PlaceError):
        found = pickle.loads(pickle.dumps(kind("x: is full")))
        assert (type(found), str(found)) == (kind, "x: is full")


def test_the_place_of_a_warning_is_the_line_that_called_us() -> None:
    with pytest.warns(DataWarning) as caught:
        warn("here")
        typed(warn)("there")
    assert [Path(one.filename).name for one in caught] == ["test_errors.py"] * 2
