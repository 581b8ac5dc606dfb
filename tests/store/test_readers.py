"""Whoever reads a file or folder takes its path as text too."""

import os
from pathlib import Path
from typing import Any

import pytest

from framebank.heads.training.run import Run
from framebank.store import DataError, FeatureStore, LabelSet, Manifest, PromptBank
from framebank.store.indexes.index import Index
from framebank.store.videos.labels import read_class_numbers
from framebank.tests.worlds.cli import LABELS


def test_paths_as_text(framebank: Any, store: Path, run: Path, index: Path, clips: Path, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("waving\nbowing\n")
    framebank("prompts", tmp_path / "classes.txt", tmp_path / "p.h5", "--like", store)
    assert PromptBank.read(str(tmp_path / "p.h5")).labels == LabelSet.read(str(tmp_path / "classes.txt"))
    assert read_class_numbers(str(tmp_path / "classes.txt")) == {0: "waving", 1: "bowing"}
    assert LabelSet.read(str(LABELS)).names == LabelSet.read(LABELS).names
    assert Run.read(str(run)).labels == Run.read(run).labels
    assert len(Index.load(str(index))) == len(FeatureStore(str(store)))
    Index.load(str(index)).save(str(tmp_path / "copy"))
    assert Index.load(tmp_path / "copy").videos == Index.load(index).videos
    listed = str(clips / "manifest.csv")
    assert (
        Manifest.read_csv(listed) == Manifest.read(listed) == Manifest.read([listed]) == Manifest.read([Path(listed)])
    )


@pytest.mark.parametrize(
    "read", [Index.load, Run.read, PromptBank.read, LabelSet.read, Manifest.read_csv, Manifest.read]
)
def test_a_path_as_text_that_leads_nowhere(read: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        read(os.fspath(tmp_path / "nowhere.csv"))
