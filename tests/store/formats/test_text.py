"""What a file holds as text, and its lines."""

import pytest

from framebank.store import DataError
from framebank.store.formats.text import is_text, is_whole, lines_of, read_text


def test_a_letter_that_is_in_no_name_is_refused_with_its_line(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"run\nwa\0ve\n")
    with pytest.raises(DataError, match=r"a\.txt: cannot be read as text: line 2 holds the character NUL"):
        read_text(tmp_path / "a.txt")


def test_a_folder_and_what_is_not_there_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match="cannot be read as a list: "):
            read_text(path, what="a list")


def test_half_a_surrogate_pair_is_no_utf16(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfer\x00u\x00\x00\xd8")
    with pytest.raises(DataError, match="cannot be read as text: "):
        read_text(tmp_path / "a.txt")


def test_a_line_that_is_no_name_is_refused():
    assert lines_of(" a \n\n b\n", where="a.txt") == ["a", "b"]
    with pytest.raises(DataError, match=r"^a.txt: line 3 has more than 131072 characters; expected a name$"):
        lines_of("a\n\n" + "x" * 131_073, where="a.txt")


def test_whole_numbers_have_64_bits():
    assert is_whole("0")
    assert is_whole(str(2**63 - 1))
    for text in (str(2**63), "9" * 5000, "-1", "1.0", "", "a"):
        assert not is_whole(text)


def test_names_are_text():
    assert is_text("é😀")
    assert not is_text("a\0")
    assert not is_text("\ud800")
