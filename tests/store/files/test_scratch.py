import os
import signal
import subprocess
import sys
import tempfile

import pytest

from framebank.store.errors import DataWarning
from framebank.store.files.scratch import NEW_SECONDS, PREFIX, hold_scratch, scratch_folder, scratch_path


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where this process has its temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def age(folder):
    os.utime(folder, (folder.stat().st_mtime - 2 * NEW_SECONDS,) * 2)


def test_a_folder_is_gone_behind_its_user(place):
    with scratch_folder() as folder:
        assert folder.parent == place
        (folder / "a").touch()
    with pytest.raises(ZeroDivisionError), scratch_folder():
        1 / 0  # noqa: B018
    assert not list(place.iterdir())


def test_that_of_a_killed_process_is_removed_by_the_next_user_and_no_other(place):
    code = (
        "import os, signal, sys; from pathlib import Path; from framebank.store.files.scratch import scratch_folder\n"
        "with scratch_folder() as folder:\n"
        "    (folder / 'copy').touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, env=os.environ | {"TMPDIR": str(place)})
    assert done.returncode == -signal.SIGKILL
    (left,) = place.iterdir()
    age(left)
    held, young, foreign = scratch_path(), scratch_path(), place / "framebank-notes"
    descriptor = hold_scratch(held)
    young.mkdir()
    foreign.mkdir()
    for folder in (held, foreign):
        age(folder)
    with pytest.warns(DataWarning, match="was left by a killed command, and is removed"), scratch_folder():
        pass
    assert sorted(place.iterdir()) == sorted([held, young, foreign])
    os.close(descriptor)
    with pytest.warns(DataWarning, match=held.name), scratch_folder():
        pass
    assert held.name.startswith(PREFIX) and not held.exists()
