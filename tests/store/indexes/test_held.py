"""Files of each version of an index are read as they were written; `held` has one of each from version 2 on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from framebank.library.verification import verify_path
from framebank.store import DataError
from framebank.store.digest import SEAL
from framebank.store.indexes.index import Index
from framebank.tests.worlds.store import DIM

HELD = Path(__file__).parent / "held"
HITS = {
    2: [("v3", 0.4796, None), ("v0", 0.0675, None), ("v4", -0.0819, None)],
    3: [("v3", 0.7004, 3.0), ("v4", 0.0717, 2.0), ("v2", -0.0561, 3.0)],
    4: [("v3", 0.7002, 3.0), ("v4", 0.0717, 2.0), ("v2", -0.0561, 3.0)],
}


@pytest.mark.parametrize("version", HITS)
def test_each_version_is_read(version: int, tmp_path: Path) -> None:
    folder = shutil.copytree(HELD / f"version-{version}", tmp_path / "index")
    index = Index.load(folder)
    hits = index.search(np.eye(DIM)[:1], 3)[0]
    assert [(hit.video_id, round(hit.score, 4), hit.start) for hit in hits] == HITS[version]
    assert [index.own.ids[row] for row in index.rows_fitting("camera = 'right'")] == ["v3", "v4", "v5"]
    assert not verify_path(folder).faults
    index.save(tmp_path / "again")
    assert _contents(tmp_path / "again") == _contents(folder)


def _contents(folder: Path) -> dict[str, object]:
    """What is in the files of an index, but for the digest of measured.json, which the files held here lack."""
    found: dict[str, object] = {path.name: path.read_bytes() for path in folder.iterdir()}
    said = json.loads((folder / "spec.json").read_text())
    said.pop(SEAL)
    said.get("searched", {}).pop("measured", None)
    return found | {"spec.json": said}


def test_version_3_has_frames_a_structure_and_what_was_measured() -> None:
    searched = Index.load(HELD / "version-3").searched
    assert (searched.level, searched.type, searched.asked.type) == ("frame", "sq8", "sq8")
    assert searched.near is not None and searched.near.places is not None and searched.measured is not None
    assert searched.near.places.tolist() == [-1] * 4 + list(range(20))  # one of six videos was taken out
    assert (searched.measured.rows, searched.measured.queries) == (24, 200)


def test_version_4_has_the_rows_of_version_3_as_float16() -> None:
    old, new = (Index.load(HELD / f"version-{version}").searched for version in (3, 4))
    assert old.rows is not None and new.rows is not None and new.rows.vectors.dtype == np.float16
    assert (old.asked.rows, new.asked.rows) == ("auto", "float16")
    np.testing.assert_array_equal(new.rows.vectors, old.rows.vectors.astype(np.float16))


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("name", ["near.faiss", "near.npz", "rows.faiss", "rows.npz", "measured.json"])
@pytest.mark.parametrize("how", ["empty", "half", "folder"])
def test_a_damaged_file_is_told(name: str, how: str, version: int, tmp_path: Path) -> None:
    path = shutil.copytree(HELD / f"version-{version}", tmp_path / "index") / name
    content = path.read_bytes()
    path.unlink()
    if how == "folder":
        path.mkdir()
    else:
        path.write_bytes(content[: len(content) // 2] if how == "half" else b"")
    with pytest.raises(DataError, match="the index cannot be read"):
        Index.load(path.parent)


def test_rows_whose_ends_are_a_table_are_told(tmp_path: Path) -> None:
    folder = shutil.copytree(HELD / "version-3", tmp_path / "index")
    with np.load(folder / "rows.npz") as arrays:
        spans, ends = arrays["spans"], arrays["ends"]
    for odd in (ends[None], ends[0]):
        np.savez(folder / "rows.npz", spans=spans, ends=odd)
        with pytest.raises(DataError, match="do not belong together"):
            Index.load(folder)
