"""Make the checkout that this file lies in importable as `framebank`, so that tests always run on their own code.

A folder with a link of that name goes first on the path, here and in every process that a test starts.
"""

import atexit
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

LINKS = Path(tempfile.mkdtemp(prefix="framebank-"))
atexit.register(shutil.rmtree, LINKS, ignore_errors=True)
(LINKS / "framebank").symlink_to(Path(__file__).parents[1].resolve())
sys.path.insert(0, str(LINKS))
os.environ["XDG_CACHE_HOME"] = str(LINKS / "cache")  # what is remembered of files is not the user's
os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the Hugging Face hub
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(LINKS), os.environ.get("PYTHONPATH", "")]))

import pytest  # noqa: E402
from click.testing import CliRunner, Result  # noqa: E402

from framebank.tests.worlds.once import made_once  # noqa: E402
from framebank.tests.worlds.turns import slow_first  # noqa: E402

Framebank = Callable[..., Result]


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """`-n auto`: one process more than there are cores, as each waits now and then for the disk or another process."""
    return 1 + (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow files first in the share of each process of `-n`; one process alone keeps the order of the files."""
    if shares := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
        items[:] = slow_first(items, shares=shares)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without looking for garbage, of which imports make none."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def framebank() -> Framebank:
    """Give what runs a command in this process and checks its exit code."""
    from framebank.cli import main

    def run(*arguments: object, exit_code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == exit_code, f"{result.output}\n{result.exception!r}"
        return result

    return run


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small demo world: 3 training clips and 1 test clip of each class, and their manifest.csv.

    All test processes of a run share it and its store: neither is to be written to.
    """
    from framebank.demo.clips import render_clips

    def render(folder: Path) -> None:
        assert len(list(render_clips(folder, num_train=3, num_test=1, processes=1))) == 64

    return made_once(tmp_path_factory, "clips", render)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, clips: Path, framebank: Framebank) -> Path:
    """That world, embedded by the tiny CLIP at 8 frames a clip. Not to be written to."""

    def extract(folder: Path) -> None:
        framebank("extract", clips / "manifest.csv", folder, "--model", "demo", "--frames", 8)

    return made_once(tmp_path_factory, "store", extract)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, store: Path, framebank: Framebank) -> Path:
    """A run of three epochs on that store. It may be evaluated, and otherwise not be written to."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    framebank("train", store, folder, "--head", "conv1d", "--epochs", 3)
    return folder


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory, store: Path, framebank: Framebank) -> Path:
    """An index of that store. Not to be written to."""
    folder = tmp_path_factory.mktemp("indexes") / "index"
    framebank("index", store, folder)
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small tensors are faster on one thread, and two test processes then do not fight for the cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The little store of made-up features that the tests of the heads share; new for each module."""
    from framebank.tests.worlds.heads import write_world

    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store of two views and three clips of each video; new for each module."""
    from framebank.tests.worlds.heads import CLIPS, VIEWS, write_groups

    return write_groups(tmp_path_factory.mktemp("groups"), num_views=VIEWS, num_clips=CLIPS)


@pytest.fixture(scope="module")
def bank(groups: Any) -> Any:
    """All of its videos."""
    import torch

    from framebank.heads.bank import load_bank
    from framebank.tests.worlds.heads import LABELS

    return load_bank(groups.store, groups.manifest, LABELS, device=torch.device("cpu"))
