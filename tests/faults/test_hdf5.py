"""../shared/data/faults: HDF5 files that hung, harmed or crashed a command give one sentence, and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from framebank.store import FeatureStore
from framebank.tests.places import DATA
from framebank.tests.worlds.cli import sentence as one_sentence
from framebank.tests.worlds.store import make_store

FAULTS = DATA / "faults"
pytestmark = pytest.mark.skipif(not FAULTS.is_dir(), reason="the folder ../shared/data/faults is not there")

STORES = (
    "hang_store",
    "shard_extstore",
    "shard_end_f8",
    "shard_end_huge",
    "shard_view_huge",
    "shard_extra_60g",
    "shard_frame_S8",
    "shard_extlink",
)
MOST_MEMORY = 2 << 20  # KiB


def sentence(*arguments: object) -> str:
    """Run a command that is to fail with one sentence, within a minute and two gigabytes; return the sentence."""
    code = (
        "import atexit, sys; sys.argv[0] = 'framebank'; from framebank.cli import main\n"
        # not of getrusage, which counts what this process was before it became another program
        "most = lambda: open('/proc/self/status').read().split('VmHWM:')[1].split()[0]\n"
        "atexit.register(lambda: print('KiB', most(), file=sys.stderr))\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    told, _, most = done.stderr.rpartition("KiB ")
    assert int(most) < MOST_MEMORY
    said = (done.stdout + told).strip()
    assert (done.returncode, said.count("Traceback")) == (1, 0), said
    return said


def copied(name: str, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(FAULTS / name, tmp_path / name))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", STORES)
def test_a_store_is_refused_by_each_command(name: str, tmp_path: Path, framebank: Any) -> None:
    folder = FAULTS / name
    shard = folder / "shard-00000.h5"
    assert f"1 fault\nfault: {shard}: " in sentence("store", "verify", folder)
    assert sentence("store", "export", folder, tmp_path / "out").startswith(f"Error: {shard}: ")
    for arguments in (
        ("store", "info", folder),
        ("index", folder, tmp_path / "index"),
        ("train", folder, tmp_path / "run"),
        ("store", "merge", folder, tmp_path / "merged"),
    ):
        assert one_sentence(framebank(*arguments, exit_code=1)).startswith(f"Error: {shard}: "), arguments


@pytest.mark.slow
@pytest.mark.parametrize("name", STORES)
def test_a_shard_is_set_aside(name: str, tmp_path: Path, framebank: Any) -> None:
    folder = copied(name, tmp_path)
    result = framebank("store", "repair", folder)
    assert (folder / "broken" / "shard-00000.h5").exists()
    assert not (folder / "shard-00000.h5").exists()
    assert "32" in result.stdout  # are to extract
    assert "0 faults" in framebank("store", "verify", folder).stdout


@pytest.mark.parametrize("name", ["names_bit.h5", "names_tmplf.h5"])
def test_prompts_are_refused(name: str, tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", {"a": 2})
    said = sentence("zeroshot", store, "--split", "all", "--prompts", FAULTS / name)
    assert said.startswith(f"Error: {FAULTS / name}: ") and said.count("\n") == 0


def test_an_import_is_refused(tmp_path: Path) -> None:
    said = sentence("store", "import", FAULTS / "imp_bad.h5", tmp_path / "out")
    assert said.startswith(f"Error: {FAULTS / 'imp_bad.h5'}: is damaged (") and said.count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_a_store_beside_a_damaged_one_is_read(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store", {"a": 2})
    shutil.copy(FAULTS / "hang_store" / "shard-00000.h5", folder / "shard-00001.h5")
    assert sentence("store", "verify", folder).count("fault: ") == 1
    (folder / "shard-00001.h5").unlink()
    assert FeatureStore(folder)["a"].data.shape == (2, 8)
