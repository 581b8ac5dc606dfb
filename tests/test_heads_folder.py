"""Where what was made of a store is kept: a folder holds one run, one matcher or one index."""

import pytest

from framebank.heads.folder import KINDS, require_free
from framebank.store import DataError


def test_a_new_folder_is_free_and_is_not_made(tmp_path):
    require_free(tmp_path / "new", what="run", overwrite=False)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("further", [1, 2])
def test_only_its_own_kind_is_overwritten(tmp_path, what, further):
    kinds = list(KINDS)
    other = kinds[(kinds.index(what) + further) % 3]
    (tmp_path / KINDS[what]).touch()
    with pytest.raises(DataError, match=f"already holds an? {what}; choose another folder, or --overwrite$"):
        require_free(tmp_path, what=what, overwrite=False)
    require_free(tmp_path, what=what, overwrite=True)
    for overwrite in (False, True):
        with pytest.raises(DataError, match=f"already holds an? {what}; choose another folder$"):
            require_free(tmp_path, what=other, overwrite=overwrite)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file; expected a folder for the matcher"):
        require_free(tmp_path / "file", what="matcher", overwrite=False)
