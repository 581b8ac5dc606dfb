import os
from pathlib import Path

import pytest

from framebank.store import DataError
from framebank.store.errors import DataWarning
from framebank.store.files.place import making
from framebank.store.files.replacing import (
    current,
    finish_moves,
    remove_parts,
    remove_together,
    replacing,
    replacing_together,
    require_new_folder,
    write_text,
)


def test_write_text_replaces(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "é")
    write_text(path, "second")
    assert path.read_text() == "second"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, DataError])
def test_an_error_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a.txt"
    write_text(path, "first")
    with pytest.raises(error), replacing(path) as part:
        part.write_text("half")
        raise error
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_several_are_replaced_together(tmp_path):
    for name in ("first", "second"):
        with replacing_together(tmp_path / "new") as part:
            (part / "a.txt").write_text(name)
            (part / f"{name}.txt").write_text(name)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.txt", "first.txt", "second.txt"]
    assert current(tmp_path / "new", "a.txt").read_text() == "second"


def test_several_at_once_do_not_mix(tmp_path):
    """Whoever comes while another moves its files waits for that."""
    children = []
    for name in ("first", "second", "third"):
        child = os.fork()
        if child == 0:
            for _ in range(20):
                with replacing_together(tmp_path) as part:
                    (part / "a.txt").write_text(name)
                    (part / "b.txt").write_text(name)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "b.txt").read_text()


def test_what_was_removed_together_is_not_there_before_its_place_is_empty(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    (tmp_path / ".framebank-next").mkdir()
    remove_together(tmp_path / ".framebank-next", "a.txt")
    assert not current(tmp_path, "a.txt").exists()
    with pytest.warns(DataWarning, match="a killed command had written files here"):
        finish_moves(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_another_writes_is_refused_and_left(tmp_path):
    with replacing(tmp_path / "a.txt") as part:
        part.write_text("first")
        with pytest.raises(DataError, match=r"a\.txt: another process is writing here"):
            write_text(tmp_path / "a.txt", "second")
    assert (tmp_path / "a.txt").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_what_a_killed_writer_left_is_removed_and_what_is_being_written_is_not(tmp_path):
    (tmp_path / "a.txt.part").write_text("left")
    (tmp_path / "other.part").write_text("not ours")
    with replacing(tmp_path / "b.txt") as part:
        part.write_text("new")
        with pytest.warns(DataWarning, match=r"a\.txt\.part: was left by a killed command, and is removed"):
            remove_parts(tmp_path, ["*.txt"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.txt", "other.part"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, DataError, OSError])
def test_an_error_leaves_all_that_was_there(tmp_path, error):
    write_text(tmp_path / "a.txt", "first")
    with pytest.raises(DataError if error is OSError else error), replacing_together(tmp_path) as part:
        (part / "a.txt").write_text("second")
        raise error
    assert current(tmp_path, "a.txt").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_no_place(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "a.txt", tmp_path / "file" / "b" / "a.txt"):
        with pytest.raises(DataError, match=r"a\.txt: cannot be written: .*/file is a file; expected a folder$"):
            write_text(path, "x")
    with pytest.raises(DataError, match="is a folder; expected a file"):
        write_text(tmp_path, "x")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(DataError, match="circle: is a link that leads to itself"):
        write_text(tmp_path / "circle", "x")
    assert not tmp_path.with_name(tmp_path.name + ".part").exists()


def test_nothing_is_made_through_a_folder_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (Path("new/../bank"), Path("new/a/../../bank")):
        with pytest.raises(DataError, match="cannot hold the run: there is no folder new"):
            require_new_folder(path, what="run")
        with pytest.raises(DataError, match="cannot be written: there is no folder new"):
            write_text(path / "a.txt", "x")
        with pytest.raises(DataError, match="cannot be written: there is no folder new"), making(path, what="runs"):
            pass
    assert [path.name for path in tmp_path.iterdir()] == []
    (tmp_path / "there").mkdir()
    for path in (Path(), Path("there/../bank/a"), Path("bank/../..", tmp_path.name, "b")):
        require_new_folder(path, what="run")
    assert (tmp_path / "bank" / "a").is_dir() and (tmp_path / "b").is_dir()


def test_require_new_folder(tmp_path):
    require_new_folder(tmp_path / "a" / "b", what="store")
    require_new_folder(tmp_path / "a" / "b", what="store")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file; expected a folder for the store"):
        require_new_folder(tmp_path / "file", what="store")
    with pytest.raises(DataError, match="cannot hold the store: Not a directory"):
        require_new_folder(tmp_path / "file" / "b", what="store")
