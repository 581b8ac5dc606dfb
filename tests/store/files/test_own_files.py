"""No command writes over a file of a store or a run, whatever its option is called."""

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from framebank.store import DataError, FeatureStore
from framebank.store.files.kinds import refuse_own_file
from framebank.store.indexes.filters import Filters
from framebank.store.videos.selection import where
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.heads import prompts_of, write_world


def test_a_file_of_a_store_stays(framebank: Any, tmp_path: Path) -> None:
    store = write_world(tmp_path / "store").store.path
    place = store / "manifest.csv"
    before = place.read_bytes()
    assert "is inside the store" in sentence(framebank("shots", store, "--csv", place, exit_code=1))
    with pytest.raises(DataError, match="is a file of the store"):
        prompts_of().write(place)
    assert place.read_bytes() == before
    refuse_own_file(store / "shots.csv")  # a new one may be there
    (tmp_path / "shots.csv").touch()
    refuse_own_file(tmp_path / "shots.csv")


def test_a_condition_may_have_the_other_unicode_form(tmp_path: Path) -> None:
    store = write_world(tmp_path / "store", classes=("wave",)).store
    manifest = store.path / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",wave,", ",caf\u00e9,"), encoding="utf-8")
    videos = FeatureStore(store.path).manifest
    for form in ("NFC", "NFD"):
        label = unicodedata.normalize(form, "caf\u00e9")
        found = Filters(videos.columns).fitting(f"label = '{label}'")
        assert len(found) == len(where(videos, {"label": label})) > 0


def test_a_comparison_that_cannot_be_made_leaves_nothing(framebank: Any, tmp_path: Path) -> None:
    store = write_world(tmp_path / "store").store.path
    before = sorted(store.iterdir())
    told = sentence(framebank("compare", store, store, "--recipes", "ridge", "--seeds", 1, exit_code=1))
    assert "is the store" in told
    told = sentence(framebank("compare", store, tmp_path / "new", "--recipes", " , ", exit_code=1))
    assert told == "Error: no recipe is named; expected names such as a5 and linear-probe, or all"
    framebank("compare", store, tmp_path / "new", "--recipes", "attentive-tokens", "--seeds", 1, exit_code=1)
    assert sorted(store.iterdir()) == before and not (tmp_path / "new").exists()


def test_a_file_of_such_a_name_alone_is_not_ours(framebank: Any, tmp_path: Path) -> None:
    (tmp_path / "names.npz").touch()
    told = sentence(framebank("verify", tmp_path / "names.npz", exit_code=1))
    assert told.startswith(f"Error: {tmp_path}/names.npz: was not written by framebank")


def test_a_file_of_such_a_name_in_another_folder_may_be_written_over(tmp_path: Path) -> None:
    (tmp_path / "log.csv").touch()
    refuse_own_file(tmp_path / "log.csv")
