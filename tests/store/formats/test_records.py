"""CSV files that framebank writes for itself."""

import pytest

from framebank.store import DataError
from framebank.store.formats.records import read_records
from framebank.store.ledger import Ledger
from framebank.store.upkeep.history import History
from framebank.store.upkeep.known_files import read_learned


def test_columns_by_name_and_type(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('name,size,time,more\n"a,1",3,0.5,x\nb,-4,,y\n')
    found = read_records(path, ("name", "size"), what="a list")
    assert found.column("name") == ["a,1", "b"]
    assert found.column("other") == ["", ""]
    assert found.wholes("size") == [3, -4]
    assert found.numbers("time") == [0.5, None]
    for read, name in ((found.wholes, "name"), (found.wholes, "time"), (found.numbers, "more")):
        with pytest.raises(DataError, match=rf"a\.csv: cannot be read as a list: {name} is '.*'; expected a"):
            read(name)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "its first line does not name name, size once"),
        ("name,size,size\na,1,1\n", "its first line does not name size once"),
        ("name,size\na\n", "row 2 does not have the 2 columns of the first"),
        ("name,size\na,1,2\n", "row 2 does not have the 2 columns of the first"),
        ('name,size\n"a,1\n', "line 2 is not CSV"),
        ('name,size\n"a"b,1\n', "line 2 is not CSV"),
        ("name,size\n" + "x" * 200_000 + ",1\n", r"line 2 is not CSV \(field larger than"),
        ("name,size\na\0b,1\n", "line 2 holds the character NUL"),
    ],
)
def test_what_was_not_written_so_is_refused(tmp_path, text, problem):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=rf"a\.csv: cannot be read as a list: {problem}"):
        read_records(tmp_path / "a.csv", ("name", "size"), what="a list")


def test_a_row_that_was_torn_is_filled_up_where_that_may_be(tmp_path):
    (tmp_path / "failed.csv").write_text("video_id,path,reason\na,/a.mp4,none\nb,/b")
    assert [(one.video_id, one.path, one.reason) for one in Ledger(tmp_path / "failed.csv").read()] == [
        ("a", "/a.mp4", "none"),
        ("b", "/b", ""),
    ]


HISTORY = "change,time,action,video_id,column,old,new\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{HISTORY}{'9' * 5000},now,set,a,label,x,y\n", "change is '9+'; expected a whole number"),
        (f"{HISTORY}one,now,set,a,label,x,y\n", "change is 'one'; expected a whole number"),
        (f"{HISTORY}1,now,burn,a,label,x,y\n", "it has 'burn' of a 'label'"),
        (f"{HISTORY}1,now,set,a,colour,x,y\n", "it has 'set' of a 'colour'"),
        (f"{HISTORY}1,now,set\n", "row 2 does not have the 7 columns"),
    ],
)
def test_a_history_that_tells_of_nothing_we_know_is_refused(tmp_path, text, problem):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(DataError, match=rf"history\.csv: cannot be read as a history of changes: {problem}"):
        History.read(tmp_path)


@pytest.mark.parametrize("row", ["a,1,2", "a,x,2,d", f"a,{'9' * 5000},2,d", "a,1,x:2,d", "a,1,2,"])
def test_sources_that_tell_of_no_file_are_refused(tmp_path, row):
    (tmp_path / "sources.csv").write_text(f"video_id,size,stamp,digest\n{row}\n")
    with pytest.raises(DataError, match=r"sources\.csv: .*; you may remove it"):
        read_learned(tmp_path)
