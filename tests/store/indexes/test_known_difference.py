"""How a store differs from its index is remembered, and believed only as long as nothing was written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framebank.store import FeatureStore, Manifest, Video
from framebank.store.indexes import known_difference
from framebank.store.indexes.index import Index
from framebank.store.indexes.origin import Difference, Origin
from framebank.store.upkeep.relabel import relabel_store
from framebank.tests.worlds.store import SPEC, make_store


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "framebank" / "differences"


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[Difference | None]:
    """What was compared by reading the store."""
    found: list[Difference | None] = []
    compare = known_difference.compare

    def tell(origin: Origin, videos: object) -> Difference | None:
        found.append(compare(origin, videos))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr(known_difference, "compare", tell)
    return found


@pytest.fixture
def index(tmp_path: Path, memory: Path) -> Index:
    """An index that was saved, and whose store was relabelled since."""
    store = FeatureStore(make_store(tmp_path / "store", {"apple": 3, "bee": 5, "cat": 2}))
    videos = [replace(video, start=1.5, end=2.0) for video in store.manifest.videos]
    Manifest(tuple(videos)).write(store.path / "manifest.csv")
    vectors = np.stack([store[video.video_id].data[0] for video in videos])
    origin = Origin.of(FeatureStore(store.path), videos, split="all", left_out={})
    made = Index(vectors, videos, spec=SPEC, made_by={"head": "mean"}, origin=origin)
    made.save(tmp_path / "index")
    relabel_store(store.path, {("bee", "label"): "é"})
    return Index.load(tmp_path / "index")


def test_a_difference_is_computed_once(index: Index, compared: list[Difference | None]) -> None:
    first, second = index.compare(), Index.load(index.origin.store.parent / "index").compare()  # type: ignore[union-attr]
    assert len(compared) == 1 and first is not None and second is not None
    assert first.relabelled == second.relabelled == ("bee",)
    assert vars(first) == vars(second)
    assert second.videos["bee"].label == "é" and second.videos["bee"].start == 1.5
    assert index.following(second).video("bee") == second.videos["bee"]
    assert index.following(second).video("cat") == index.video("cat")


def test_it_is_computed_again_after_a_change(index: Index, compared: list[Difference | None]) -> None:
    index.compare()
    store = index.origin.store  # type: ignore[union-attr]
    relabel_store(store, {("cat", "label"): "cats"})
    found = index.compare()
    assert found is not None and set(found.relabelled) == {"bee", "cat"} and len(compared) == 2
    make_store(store.parent / "other", {"dog": 2})
    (store.parent / "other" / "shard-00000.h5").rename(store / "shard-00009.h5")
    Manifest((*FeatureStore(store).manifest.videos, Video("dog", Path("/dog.mp4")))).write(store / "manifest.csv")
    found = index.compare()
    assert found is not None and found.joined == ("dog",) and len(compared) == 3


@pytest.mark.parametrize("content", ["", "{", "[]", '{"form": 0}', '{"form": 1, "joined": 5}', '{"form": 1}'])
def test_a_damaged_memory_is_made_anew(
    index: Index, memory: Path, compared: list[Difference | None], content: str
) -> None:
    index.compare()
    (kept,) = memory.iterdir()
    kept.write_text(content)
    found = index.compare()
    assert found is not None and found.relabelled == ("bee",) and len(compared) == 2


def test_without_a_place_it_is_computed_each_time(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compared: list[Difference | None]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert index.compare() and index.compare() and len(compared) == 2
