"""Two commands with one output: the second is refused by a sentence, before it begins to work."""

from pathlib import Path
from typing import Any

import pytest

from framebank.store.files.lock import Lock
from framebank.store.files.place import owning
from framebank.store.files.replacing import replacing
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.heads import write_world

QUICK = ("--head", "mean", "--classifier", "linear", "--epochs", 1)

# The command behind its store, and what it writes.
INTO_FOLDERS = {
    "train": QUICK,
    "fewshot-train": ("--steps", 1, "--way", 2, "--query", 1),
    "compare": ("--recipes", "linear-probe"),
    "fewshot-compare": ("--matchers", "mean"),
    "index": (),
}


@pytest.mark.parametrize("command", INTO_FOLDERS)
def test_a_second_one_into_a_folder_is_refused(framebank: Any, world: Any, tmp_path: Path, command: str) -> None:
    arguments = (command, world.store.path, tmp_path / "out", *INTO_FOLDERS[command])
    with owning(tmp_path / "out", what="run"):
        told = sentence(framebank(*arguments, exit_code=1))
    assert told == f"Error: {tmp_path / 'out'}: another process is writing here"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["predict", "export-head", "prompts"])
def test_a_second_one_to_a_file_is_refused(framebank: Any, world: Any, tmp_path: Path, command: str) -> None:
    out, run = tmp_path / "out.safetensors", tmp_path / "run"
    framebank("train", world.store.path, run, *QUICK)
    (tmp_path / "labels.txt").write_text("waving\nclapping\n")
    arguments = {
        "predict": (world.store.path, "--split", "train", "--run", run, "--csv", out),
        "export-head": (run, out),
        "prompts": (tmp_path / "labels.txt", out, "--model", "demo"),
    }
    with replacing(out) as part:
        part.write_text("of the first")
        told = sentence(framebank(command, *arguments[command], exit_code=1))
        assert part.read_text() == "of the first"
    assert told == f"Error: {out}: another process is writing here"
    assert out.read_text() == "of the first"
    assert not list(tmp_path.glob("*.part"))


def test_labels_are_not_made_for_a_store_that_another_writes_to(framebank: Any, tmp_path: Path) -> None:
    store = write_world(tmp_path / "store").store.path
    framebank("train", store, tmp_path / "run", *QUICK)
    arguments = (store, "--run", tmp_path / "run", "--write", "--all", "--out", tmp_path / "labels.csv")
    with Lock(store / "writer.lock"):
        told = sentence(framebank("label-store", *arguments, exit_code=1))
    assert told == f"Error: {store}: another process is writing here"
    assert not (tmp_path / "labels.csv").exists()


def test_a_second_split_is_refused(framebank: Any, world: Any, tmp_path: Path) -> None:
    (tmp_path / "parts" / "train").mkdir(parents=True)
    with Lock(tmp_path / "parts" / "train" / "writer.lock"):
        told = sentence(framebank("store", "split", world.store.path, tmp_path / "parts", "--by", "split", exit_code=1))
    assert told == f"Error: {tmp_path / 'parts' / 'train'}: another process is writing here"
    framebank("store", "split", world.store.path, tmp_path / "parts", "--by", "split")  # and completes it
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["test", "train", "val"]
