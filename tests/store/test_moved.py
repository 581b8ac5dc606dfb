"""Modules that moved are imported by their paths of version 0.1.0 too, and are the same modules."""

import importlib
import subprocess
import sys

import pytest

from framebank.store.moved import PLACES, moved


@pytest.mark.parametrize("room", PLACES)
def test_an_old_path_gives_the_same_module(room: str) -> None:
    for old, new in moved(room).items():
        with pytest.warns(PendingDeprecationWarning, match=f"{old} is now {new}"):
            sys.modules.pop(old, None)
            found = importlib.import_module(old)
        assert found is importlib.import_module(new)
        assert found.__name__ == new and found.__spec__ and found.__spec__.name == new


def test_a_script_of_0_1_0_runs() -> None:
    code = (
        "from framebank.store.manifest import Manifest; from framebank.extract.decode import decode_clip\n"
        "import framebank.heads.recipe\n"
        "from framebank import store\n"
        "assert store.Manifest is Manifest and framebank.heads.recipe.Recipe().head == 'transformer'"
    )
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], check=True)


def test_a_path_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        importlib.import_module("framebank.store.nowhere")
