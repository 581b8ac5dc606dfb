"""Where what was made of a store is kept: a folder holds one run, one matcher or one index."""

import pytest

from framebank.heads.training.folder import KINDS, taking
from framebank.store import DataError


def test_a_new_folder_is_free_and_is_not_made(tmp_path):
    with taking(tmp_path / "new", what="run", overwrite=False):
        pass
    assert not (tmp_path / "new").exists()


def test_a_second_one_is_refused_while_the_first_is_at_work(tmp_path):
    with taking(tmp_path / "new", what="run", overwrite=True):
        for what in KINDS:
            refuse(tmp_path / "new", "new: another process is writing here", what=what, overwrite=True)
        (tmp_path / "new" / KINDS["run"]).touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == [KINDS["run"]]


def refuse(folder, match, **options):
    with pytest.raises(DataError, match=match), taking(folder, **options):
        pass


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("further", [1, 2])
def test_only_its_own_kind_is_overwritten(tmp_path, what, further):
    kinds = list(KINDS)
    other = kinds[(kinds.index(what) + further) % 3]
    (tmp_path / KINDS[what]).touch()
    there = f"already holds an? {what}; choose another folder"
    refuse(tmp_path, rf"{there}, or overwrite it \(--overwrite\)$", what=what, overwrite=False)
    with taking(tmp_path, what=what, overwrite=True):
        pass
    for overwrite in (False, True):
        refuse(tmp_path, f"{there}$", what=other, overwrite=overwrite)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    refuse(tmp_path / "file", "is a file; expected a folder for the matcher", what="matcher", overwrite=False)
