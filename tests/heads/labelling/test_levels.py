"""Levels: an index of frames or clips has the rows of its store, and follows them; indexes of parts become one."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from framebank.heads.labelling.levels import rows_at
from framebank.heads.moments.rows import rows_in_time
from framebank.library.indexing.build import index as make_index
from framebank.library.indexing.merge import merge_indexes
from framebank.store import DataError, FeatureStore
from framebank.store.indexes.index import Index
from framebank.store.vectors import unit
from framebank.tests.heads.labelling.test_update import change
from framebank.tests.worlds.heads import write_world

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_world(tmp_path / "store")
    return tmp_path / "store"


def same(found: Index, expected: Index) -> None:
    """Two indexes hold the same videos and rows."""
    assert found.own.ids == expected.own.ids
    rows, others = found.searched.rows, expected.searched.rows
    assert rows and others
    np.testing.assert_array_equal(rows.vectors, others.vectors)
    np.testing.assert_array_equal(rows.ends, others.ends)
    np.testing.assert_array_equal(rows.spans, others.spans)


def test_frames_are_the_rows_of_the_store_with_their_seconds(store: Path, tmp_path: Path) -> None:
    made = make_index(store, tmp_path / "index", level="frame", type="flat", split="train", device="cpu")
    index = Index.load(tmp_path / "index")
    same(index, made.whole)
    rows = index.searched.rows
    assert rows
    for number, name in enumerate(index.own.ids):
        own, times = rows_in_time(FeatureStore(store)[name])
        places = rows.rows_of([number])
        np.testing.assert_allclose(rows.vectors[places], own, atol=1e-6)
        assert ((rows.spans[places, 0] <= times) & (times <= rows.spans[places, 1])).all()
    query = rows.vectors[7]
    best = index.search(query[None], 3)[0]
    assert len({hit.video_id for hit in best}) == 3
    assert (best[0].video_id, best[0].start, best[0].end) == (index.own.ids[rows.video_of[7]], *rows.spans[7])
    np.testing.assert_allclose(index.vector_of(best[0]), query, atol=1e-6)
    scores = np.array([(rows.vectors[rows.rows_of([v])] @ query).max() for v in range(index.num_own)])
    expected = [index.own.ids[row] for row in np.argsort(-scores)]
    assert [hit.video_id for hit in index.search(query[None], 50)[0]] == expected  # each video, once


def test_a_filter_leaves_the_rows_of_some_videos(store: Path, tmp_path: Path) -> None:
    for kind in ("flat", "ivf", "hnsw", "sq8"):
        made = make_index(store, tmp_path / kind, level="frame", type=kind, device="cpu").whole
        places = made.rows_fitting("label = 'wave'")
        among = np.isin(np.arange(made.num_own), places)
        assert made.searched.rows
        for query in made.searched.rows.vectors[::9]:
            hits = made.search(query[None], 4, among=among)[0]
            cosines = [(float((made.searched.rows.select([p]).vectors @ query).max()), p) for p in places]
            best = sorted(cosines, reverse=True)[:4]
            assert {hit.video_id for hit in hits} == {made.own.ids[place] for _, place in best}
            assert [hit.score for hit in hits] == pytest.approx([score for score, _ in best], abs=1e-6)


def test_clips_of_the_store_and_else_shots(groups: object, store: Path, tmp_path: Path) -> None:
    several = make_index(groups.store.path, tmp_path / "clips", level="clip", device="cpu").whole  # type: ignore[attr-defined]
    held = FeatureStore(groups.store.path)[several.own.ids[0]]  # type: ignore[attr-defined]
    rows = several.searched.rows
    assert rows
    own = rows.vectors[: rows.ends[0]]
    assert len(own) == len(np.unique(held.clips)) > 1
    first = held.clips == 0
    moments = [unit(held.data[first & (held.timestamps == t)]).mean(axis=0) for t in np.unique(held.timestamps[first])]
    np.testing.assert_allclose(own[0], unit(unit(np.array(moments)).mean(axis=0)), atol=1e-5)
    one = make_index(store, tmp_path / "shots", level="clip", device="cpu").whole.searched.rows
    assert one is not None
    assert (np.diff(one.ends, prepend=0) >= 1).all()


@pytest.mark.parametrize(("level", "kind"), [("video", "sq8"), ("frame", "flat"), ("frame", "ivf"), ("frame", "hnsw")])
def test_an_update_reads_what_is_new_and_gives_what_a_new_index_is(
    level: str, kind: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_index(store, tmp_path / "index", level=level, type=kind, split="train", device="cpu")
    change(store)
    read: list[str] = []
    take = FeatureStore.__getitem__
    monkeypatch.setattr(FeatureStore, "__getitem__", lambda self, name: read.append(name) or take(self, name))
    made.update(store)
    if level == "frame":
        assert set(read) == {"clap-train-1", "fresh"}
    fresh = make_index(store, tmp_path / "fresh", level=level, type=kind, split="train", device="cpu").whole
    now = Index.load(tmp_path / "index")
    np.testing.assert_array_equal(now.own_vectors, fresh.own_vectors)
    if level == "frame":
        same(now, fresh)
    for row in range(now.num_own):
        hits = now.search(now.own_vectors[row][None], 1)[0]
        best = float((now.searched_vectors @ now.own_vectors[row]).max())
        assert hits[0].score == pytest.approx(best, abs=0.02)
    assert now.compare() is not None and not now.compare()


def test_rows_are_kept_as_float16_if_asked_for_or_if_many(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = make_index(store, tmp_path / "full", level="frame", type="sq8", split="train", device="cpu")
    made = make_index(store, tmp_path / "half", level="frame", type="sq8", split="train", rows="float16", device="cpu")
    assert "as float16, type sq8" in made.lines()[-1] and "float16" not in full.lines()[-1]
    assert (made.to_dict()["rows"], full.to_dict()["rows"]) == ("float16", "float32")
    half, whole = Index.load(tmp_path / "half"), Index.load(tmp_path / "full")
    assert half.searched.rows and whole.searched.rows
    np.testing.assert_array_equal(half.searched.rows.vectors, whole.searched.rows.vectors.astype(np.float16))
    sizes = [(tmp_path / name / "rows.faiss").stat().st_size for name in ("full", "half")]
    assert sizes[0] - sizes[1] > 0.4 * sizes[0]
    for query in whole.searched.rows.vectors[::11]:
        for among in (None, np.arange(whole.num_own) % 2 == 0):
            found, right = half.search(query[None], 5, among=among)[0], whole.search(query[None], 5, among=among)[0]
            assert [hit.score for hit in found] == pytest.approx([hit.score for hit in right], abs=5e-4)
            assert half.vector_of(found[0]).dtype == np.float32
    made.update(remove=["wave-train-1"])
    made.update(add=["wave-train-1"])
    same(made.whole, half)  # an update keeps them as they were kept
    joined = merge_indexes([tmp_path / "half", tmp_path / "half"], tmp_path / "joined")
    same(joined.whole, half)
    mixed = merge_indexes([tmp_path / "full", tmp_path / "half"], tmp_path / "mixed")
    same(mixed.whole, whole)
    monkeypatch.setattr("framebank.store.indexes.tuning.HALF_FROM", 10)
    many = make_index(store, tmp_path / "many", level="frame", type="flat", split="train", device="cpu")
    same(many.whole, half)
    videos = make_index(store, tmp_path / "videos", split="train", rows="float16", device="cpu")
    assert videos.whole.own_vectors.dtype == np.float32 and videos.to_dict()["rows"] is None
    with pytest.raises(DataError, match="rows are to be kept as 'half'; expected one of auto, float32, float16"):
        make_index(store, tmp_path / "odd", rows="half", device="cpu")


def test_a_video_is_taken_out_by_hand_and_in_again(store: Path, tmp_path: Path) -> None:
    made = make_index(store, tmp_path / "index", level="frame", type="ivf", split="train", device="cpu")
    before = made.whole
    made.update(remove=["wave-train-1"])
    assert "wave-train-1" not in made
    assert "left out: 1 video whose embedding is removed by hand: wave-train-1" in made.lines()
    assert not Index.load(tmp_path / "index").compare()  # its store has it, and that is known
    made.update()
    assert "wave-train-1" not in made
    with pytest.raises(DataError, match="its store lists no video 'wave-train-99' in the split; near names: 'wave"):
        made.update(remove=["wave-train-99"])
    made.update(add=["wave-train-1"])
    same(made.whole, before)


def test_parts_become_one_index(store: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        make_index(store, tmp_path / split, level="frame", type="flat", split=split, device="cpu")
    earlier = Index.load(tmp_path / "test")
    earlier.own = replace(earlier.own, durations=None)  # as earlier versions wrote it
    earlier.save(tmp_path / "test")
    whole = merge_indexes([tmp_path / "train", tmp_path / "test", tmp_path / "train"], tmp_path / "whole", type="sq8")
    assert {whole.whole.own.splits[row] for row in whole.whole.rows_fitting("duration > 0")} == {"train"}
    assert whole.whole.searched.type == "sq8"
    assert set(whole.ids) == {*Index.load(tmp_path / "train").ids, *Index.load(tmp_path / "test").ids}
    for split in ("train", "test"):
        part = Index.load(tmp_path / split)
        for row in (0, part.num_own - 1):
            assert part.searched.rows
            query = part.searched.rows.select([row]).vectors[:1]
            assert whole.whole.search(query, 1)[0][0].score == pytest.approx(1, abs=1e-5)
    whole.update(store)
    assert len(whole) == len(FeatureStore(store).manifest) or whole.whole.origin is not None
    other = shutil.copytree(tmp_path / "test", tmp_path / "copy")
    make_index(store, tmp_path / "videos", split="test", device="cpu")
    with pytest.raises(DataError, match=r"videos: is of level 'video', .*copy of 'frame'; expected one level"):
        merge_indexes([other, tmp_path / "videos"], tmp_path / "no")
    sampled = Index.load(tmp_path / "videos")
    sampled.spec = replace(sampled.spec, sampling="fps:2")
    sampled.save(tmp_path / "sampled")
    with pytest.raises(DataError, match=r"sampled was made with sampling 'fps:2', .*videos with sampling"):
        merge_indexes([tmp_path / "videos", tmp_path / "sampled"], tmp_path / "no")
    assert not (tmp_path / "no" / "spec.json").exists()


def test_what_an_index_cannot_be(store: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the level of an index is 'shot'; expected one of video, clip, frame"):
        make_index(store, tmp_path / "index", level="shot", device="cpu")
    made = make_index(store, tmp_path / "index", level="frame", type="ivf", device="cpu")
    for name in ("near.faiss", "rows.faiss", "rows.npz"):
        folder = shutil.copytree(tmp_path / "index", tmp_path / name)
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: the index cannot be read"):
            Index.load(folder)
        (folder / name).unlink()
        with pytest.raises(DataError, match=r"cannot be read|is missing|no such file"):
            Index.load(folder)
    rows = rows_at(FeatureStore(store), made.whole, "frame", row_type=np.dtype(np.float16))
    assert (rows.vectors.shape[1], rows.vectors.dtype) == (made.whole.spec.dim, np.float16)
