"""Tars of arrays as a source of features: those of other programs too, and what is refused."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from framebank.store import DataError, FeatureStore, Video
from framebank.store.exchange.imports import find_width, import_features, imported_spec
from framebank.store.exchange.source import Names
from framebank.store.exchange.sources import open_source


def npy(values: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()


def tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return path


def test_tars_of_another_program(tmp_path: Path) -> None:
    first = np.arange(6, dtype=np.float32).reshape(3, 2)
    path = tar(
        tmp_path / "train" / "s0.tar",
        {"a.npy": npy(first), "a.cls": b"run", "b/c.npy": npy(first[0]), "b/c.json": b'{"label": "sit"}', "x.txt": b""},
    )
    source = open_source(path, Names())
    assert source.spec is None
    assert source.manifest.videos == (
        Video("s0/a", path / "a.npy", "run", "train"),
        Video("s0/b/c", path / "b" / "c.npy", "sit", "train"),
    )
    spec = imported_spec({"model": "other"}, dim=find_width(source))
    assert [outcome.error for outcome in import_features(tmp_path / "bank", source, spec=spec, fps=2.0)] == ["", ""]
    bank = FeatureStore(tmp_path / "bank")
    np.testing.assert_array_equal(bank["s0/a"].data, first)
    assert bank["s0/a"].timestamps.tolist() == [0, 0.5, 1]
    np.testing.assert_array_equal(bank["s0/b/c"].data, first[:1])


def test_what_an_export_wrote_beside_a_member_tells_of_it(tmp_path: Path) -> None:
    about = {"framebank": 1, "video_id": "x/ü", "label": "run", "split": "val", "indices": [2], "timestamps": [0.5]}
    tar(tmp_path / "t" / "0.tar", {"k.npy": npy(np.ones((1, 2))), "k.json": json.dumps(about).encode(), "k.cls": b"0"})
    source = open_source(tmp_path / "t", Names())
    (video,) = source.manifest.videos
    assert (video.video_id, video.label, video.split) == ("x/ü", "run", "val")
    found = source.read(video)
    assert found.indices is not None and found.indices.tolist() == [2]
    assert found.timestamps is not None and found.timestamps.tolist() == [0.5]


def test_a_member_that_is_no_array_costs_its_line(tmp_path: Path) -> None:
    source = open_source(tar(tmp_path / "s.tar", {"a.npy": npy(np.ones((1, 2))), "b.npy": b"none"}), Names())
    spec = imported_spec({}, dim=2)
    errors = [outcome.error for outcome in import_features(tmp_path / "bank", source, spec=spec)]
    assert errors[0] == ""
    assert errors[1].startswith("s/b: ")
    assert len((tmp_path / "bank" / "failed.csv").read_text().splitlines()) == 2


def test_tars_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"v\.tar: holds 1 member, none of them \.npy"):
        open_source(tar(tmp_path / "v.tar", {"a.mp4": b"v"}), Names())
    with pytest.raises(DataError, match=r"two\.tar: has two videos with the key 'a'"):
        open_source(tar(tmp_path / "two.tar", {"a.npy": b"", "./a.npy": b""}), Names())
    both = tar(tmp_path / "both" / "s.tar", {"a.npy": npy(np.ones((1, 2)))}).parent
    np.save(both / "b.npy", np.ones((1, 2)))
    with pytest.raises(DataError, match=r"both: holds the feature file .*b\.npy and the tar .*s\.tar; expected one"):
        open_source(both, Names())
    with pytest.raises(DataError, match=r"s\.tar\.gz: is compressed; expected an uncompressed tar"):
        open_source(tar(tmp_path / "s.tar.gz", {"a.npy": b""}), Names())
