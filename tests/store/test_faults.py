"""A store under kills, full disks and places that cannot be written to."""

import functools
import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framebank.extract import fill
from framebank.store import DataError, FeatureStore, Manifest, ShardWriter
from framebank.store.files.replacing import require_new_folder, write_text
from framebank.store.indexes.index import Index
from framebank.tests.places import TESTS
from framebank.tests.worlds.fake_decoder import slow_decode
from framebank.tests.worlds.store import DIM, SPEC, FakeEncoder, embeddings, fake_task, make_store, videos

NAMES = [f"v{i:03d}" for i in range(120)]


def fill_all(folder: Path) -> None:
    fill.ShardWriter = functools.partial(ShardWriter, max_videos=3)
    task = replace(fake_task(), decode=slow_decode)
    for _ in fill.fill_store(
        folder, Manifest(videos(*NAMES)), spec=SPEC, task=task, encoders=[FakeEncoder()], batch_size=7
    ):
        pass


def kill_and_restart(folder: Path, *, kills: int) -> None:
    """Fill a store in children of this process, the first of which are killed after a random time."""
    generator = random.Random(0)
    for attempt in range(kills + 1):
        child = os.fork()
        if child == 0:
            fill_all(folder)
            os._exit(0)
        if attempt < kills:
            time.sleep(generator.uniform(0.05, 0.5))
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        whole = len(FeatureStore(folder)) if list(folder.glob("*.h5")) else 0  # every shard of that name is whole
        sys.stdout.write(f"{os.WTERMSIG(status)} {whole}\n")


def in_a_process(call: str, *arguments: object) -> str:
    """Run a function of this module in a process of its own, which has started no threads."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import conftest; from pathlib import Path;"
        f"import framebank.tests.store.test_faults as faults; {call}"
    )
    command = [sys.executable, "-c", code, str(TESTS), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def refused(folder: Path) -> None:
    """Print the one sentence that writing to `folder` gives."""
    try:
        with ShardWriter(folder, SPEC) as writer:
            for seed in range(40):
                writer.add(f"v{seed}", embeddings(400, seed=seed))
    except DataError as error:
        sys.stdout.write(f"{error}\n")


def refused_by_limit(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    refused(folder)


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path):
    printed = in_a_process("faults.kill_and_restart(Path(sys.argv[2]), kills=30)", tmp_path / "killed")
    signals = [line.split()[0] for line in printed.splitlines()]
    counts = [int(line.split()[1]) for line in printed.splitlines()]
    assert signals.count(str(int(signal.SIGKILL))) >= 5
    assert counts == sorted(counts)  # nothing that was there is lost
    assert counts[-1] == len(NAMES)
    in_a_process("faults.fill_all(Path(sys.argv[2]))", tmp_path / "undisturbed")
    killed, undisturbed = FeatureStore(tmp_path / "killed"), FeatureStore(tmp_path / "undisturbed")
    assert killed.manifest == undisturbed.manifest
    assert sorted(killed.ids) == sorted(undisturbed.ids) == NAMES
    for video_id in NAMES:
        assert killed[video_id].data.tobytes() == undisturbed[video_id].data.tobytes()
    assert not list((tmp_path / "killed").glob("*.part"))


@pytest.mark.slow
def test_a_file_that_may_not_grow(tmp_path):
    make_store(tmp_path / "s", {"a": 2})
    printed = in_a_process("faults.refused_by_limit(Path(sys.argv[2]))", tmp_path / "s")
    assert printed == f"{tmp_path / 's' / 'shard-00001.h5'}: cannot be written: File too large\n"
    assert FeatureStore(tmp_path / "s").ids == ("a",)
    assert not list((tmp_path / "s").glob("*.part"))


@pytest.fixture
def mount(tmp_path):
    """Mount a small file system in memory; skips where that is not allowed."""
    mounted = []

    def mount(*options: str) -> Path:
        folder = tmp_path / f"mount{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "framebank-test", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("only root may mount a file system")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_full_disk(mount, capsys):
    folder = mount("size=128k")
    make_store(folder, {"a": 2})
    refused(folder)
    full = "cannot be written: No space left on device"
    assert capsys.readouterr().out == f"{folder / 'shard-00001.h5'}: {full}\n"
    index = Index(np.ones((5000, DIM)), videos(*map(str, range(5000))), spec=SPEC, made_by={})
    with pytest.raises(DataError, match=full):
        index.save(folder / "index")
    with pytest.raises(DataError, match=full):
        write_text(folder / "a.txt", "x" * 500_000)
    assert FeatureStore(folder).ids == ("a",)
    assert not list(folder.rglob("*.part"))


def test_read_only_place(mount, capsys):
    folder = mount("ro")
    refused(folder)
    assert capsys.readouterr().out == f"{folder}: cannot be written to: Read-only file system\n"
    for write in (lambda: write_text(folder / "a.txt", "x"), lambda: require_new_folder(folder / "b", what="store")):
        with pytest.raises(DataError, match="Read-only file system"):
            write()
