"""The library as a script and a notebook use it: its names, the whole chain, and what is given wrong."""

import doctest
import importlib
import inspect
import os
import pydoc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import framebank as fb
from framebank.store import DataError, FeatureStore


def test_import_is_light_and_finds_the_rooms() -> None:
    code = (
        "import sys, framebank; assert not {'torch', 'numpy', 'h5py', 'click'} & set(sys.modules);"
        "assert framebank.store.FeatureStore; assert 'torch' not in sys.modules;"
        "assert framebank.heads.HEADS and framebank.extract.TEMPLATES and callable(framebank.extract);"
        "assert {'open', 'extract', 'store'} <= set(dir(framebank))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})


def test_the_help_of_a_room_that_is_called_is_that_of_the_call() -> None:
    shown = pydoc.render_doc(fb.extract, renderer=pydoc.plaintext)
    assert "framebank.extract - Embed the frames of videos into the folder `store`" in shown
    assert "extract(videos: " in shown and ">>> bank = fb.extract(" in shown
    assert list(inspect.signature(fb.extract).parameters)[:2] == ["videos", "store"]


def test_every_public_name_is_there() -> None:
    for name in fb.__all__:
        assert getattr(fb, name) is not None
    with pytest.raises(AttributeError, match="'framebank' has no attribute 'no_such_name'"):
        _ = fb.no_such_name  # type: ignore[attr-defined]


def test_what_a_hand_gives_wrong_is_a_sentence(bank: FeatureStore, run: fb.TrainedRun, tmp_path: Path) -> None:
    index = fb.index(bank, tmp_path / "index")
    wrong = {
        "batch_size is 0; expected 1 or more": lambda: fb.extract(tmp_path, tmp_path / "s", model="demo", batch_size=0),
        "workers is -1; expected 1 or more": lambda: run.label(["a.mp4", "b.mp4"], workers=-1),
        "k is 0; expected 1 or more": lambda: index.search("a person", k=0),
        "the text to search for is empty": lambda: index.search(""),
        "share is 1; expected more than 0": lambda: index.calibrate(share=1),
        "'val' is given without a store": lambda: index.calibrate(split="val"),
        "nope.mp4": lambda: index.search(Path("nope.mp4")),
        "nope.mp4: no such file; expected a video, an id or a text": lambda: index.search("nope.mp4"),
        r"expected numbers \(128,\)": lambda: index.search(np.zeros((4, 128))),
        "scoring is 'nope'; expected probabilities or embeddings": lambda: fb.zeroshot(bank, scoring="nope"),
        "texts is 'nope'; expected names or descriptions": lambda: fb.prompts(["a"], bank, texts="nope"),
        "already holds a store": lambda: fb.train(bank, bank.path, epochs=1),
        "holds checkpoint.safetensors": lambda: fb.extract(bank.manifest.videos[0].path, run.path, model="demo"),
        "zeroshot: bank is a run; expected a store, a text or a path": lambda: fb.zeroshot(run),
        "score: frames are": lambda: run.score(np.zeros((0, 128))),
        "not finite": lambda: run.score(np.full((4, 128), np.nan)),
        "expected another place for the table": lambda: fb.predict(bank, run=run, csv=bank.path / "manifest.csv"),
    }
    for sentence, call in wrong.items():
        with pytest.raises(DataError, match=sentence):
            call()
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("module", ["table", "watch"])
def test_examples_of_docstrings(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"framebank.library.{module}"))
    assert found.attempted and not found.failed


SCRIPT = """
import framebank as fb
bank = fb.extract("videos/manifest.csv", "bank", model="demo", frames=4)
print(bank[bank.ids[0]].data.shape)
print(fb.zeroshot(bank, split="test").top1)
run = fb.train(bank, "run", head="transformer", epochs=2)
print(run.evaluate(split="test"))
print(run.label(bank.manifest.videos[0].path).top(3))
index = fb.index(bank, "index")
print(index.search("a person juggling", k=5))
index.enroll("my handshake", [bank.manifest.videos[0].path, bank.manifest.videos[1].path])
print(index.label(bank.manifest.videos[0].path))
"""


@pytest.mark.slow
def test_the_chain_from_a_script_without_a_guard(videos: Path, tmp_path: Path) -> None:
    """Other ways to run a script are in tests/store/files/test_process.py: the chain starts its processes so alone."""
    (tmp_path / "videos").symlink_to(videos)
    (tmp_path / "chain.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "chain.py"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("(4, ")
    assert not (tmp_path / "bank" / "failed.csv").exists()
