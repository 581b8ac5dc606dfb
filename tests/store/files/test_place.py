"""A place is asked before a long work whether a file can be written there, and nothing is made by asking."""

import os
from pathlib import Path

import pytest

from framebank.store import DataError
from framebank.store.files.place import require_place


def test_a_place_that_can_be_written_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "here.csv").write_text("kept")
    (tmp_path / "link.csv").symlink_to("away/new.csv")
    for name in ("here.csv", "new.csv", "new/folder/new.csv", "link.csv"):
        require_place(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here.csv", "link.csv"]
    assert (tmp_path / "here.csv").read_text() == "kept"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to_pipe").symlink_to("pipe")
    for name, told in (
        ("", "is a folder; expected a file"),
        ("file/new.csv", "cannot be written: .*/file is a file; expected a folder"),
        ("file/new/new.csv", "cannot be written: .*/file is a file; expected a folder"),
        ("pipe", "is a device or a pipe"),
        ("to_pipe", "is a device or a pipe"),
        ("circle", "is a link that leads to itself"),
    ):
        with pytest.raises(DataError, match=told):
            require_place(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(DataError, match="Permission denied"):
        require_place(tmp_path / "locked" / "new.csv")
