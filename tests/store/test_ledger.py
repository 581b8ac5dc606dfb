import pytest

from framebank.store import DataError
from framebank.store.ledger import Failure, Ledger

A = Failure("a", "/videos/a.mp4", "no frames")
B = Failure("b,1", '/videos/"b".mp4', "broken, at 3 s")


def test_round_trip(tmp_path):
    ledger = Ledger(tmp_path / "failed.csv")
    assert ledger.read() == []
    ledger.add(A)
    ledger.add(B)
    assert ledger.read() == [A, B]
    assert (tmp_path / "failed.csv").read_text().splitlines()[0] == "video_id,path,reason"


def test_reason_is_one_line(tmp_path):
    ledger = Ledger(tmp_path / "failed.csv")
    ledger.add(Failure("a", "p", "first\n  second\udcff"))
    assert ledger.read() == [Failure("a", "p", "first second\\udcff")]


def test_forget(tmp_path):
    ledger = Ledger(tmp_path / "failed.csv")
    ledger.forget({"a"})
    ledger.add(A)
    ledger.add(B)
    ledger.forget({"a", "z"})
    assert ledger.read() == [B]
    ledger.forget({"b,1"})
    assert not ledger.path.exists()


def test_an_empty_or_torn_file(tmp_path):
    ledger = Ledger(tmp_path / "failed.csv")
    ledger.path.touch()
    ledger.add(A)
    assert ledger.read() == [A]
    with ledger.path.open("a") as file:
        file.write("b,/vid")  # the machine stopped here
    ledger.forget(set())
    ledger.add(B)
    assert ledger.read() == [A, B]


def test_not_text(tmp_path):
    (tmp_path / "failed.csv").write_bytes(b"video_id,path,reason\n\xff,a,b\n")
    with pytest.raises(DataError, match="cannot be read as a list of failures"):
        Ledger(tmp_path / "failed.csv").read()


def test_no_place_for_it(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        Ledger(tmp_path / "none" / "failed.csv").add(A)
