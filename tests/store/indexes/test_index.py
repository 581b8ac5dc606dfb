import json
import os
import shutil
from dataclasses import replace

import faiss
import numpy as np
import pytest

from framebank.store import DataError
from framebank.store.indexes.enrolment import changing
from framebank.store.indexes.index import Index
from framebank.tests.worlds.store import DIM, SPEC, videos

NAMES = ("a", "b", "c,é", "d", "e")


def make(names=NAMES, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(len(names), DIM)).astype(np.float16)
    return vectors, Index(vectors, videos(*names), spec=SPEC, made_by={"head": "mean"})


def test_search_is_cosine_by_hand():
    vectors, index = make()
    unit = vectors.astype(np.float32) / np.linalg.norm(vectors.astype(np.float32), axis=1, keepdims=True)
    queries = np.random.default_rng(1).normal(size=(3, DIM))
    expected = queries / np.linalg.norm(queries, axis=1, keepdims=True) @ unit.T
    for hits, scores in zip(index.search(queries, 5), expected, strict=True):
        assert [NAMES.index(hit.video_id) for hit in hits] == np.argsort(-scores).tolist()
        np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores)[::-1], atol=1e-5)
    np.testing.assert_allclose(index.search(1000 * queries, 2)[0][0].score, index.search(queries, 2)[0][0].score, 1e-5)
    (hits,) = index.search(index.vector("d")[None], 1)
    assert (hits[0].video_id, hits[0].label) == ("d", "d")


def test_round_trip(tmp_path):
    _, index = make()
    index.save(tmp_path / "new" / "index")
    again = Index.load(tmp_path / "new" / "index")
    assert again.videos == index.videos
    assert (again.spec, again.made_by, len(again)) == (SPEC, {"head": "mean"}, 5)
    np.testing.assert_allclose(again.vector("c,é"), index.vector("c,é"), atol=1e-6)


def test_parts_of_videos_keep_their_times(tmp_path):
    vectors, whole = make(NAMES[:3])
    parts = [
        replace(video, start=start, end=end)
        for video, (start, end) in zip(whole.videos, [(1.25, 3.5), (None, None), (0.1 + 0.2, None)], strict=True)
    ]
    index = Index(vectors, parts, spec=SPEC, made_by={"head": "mean"})
    assert index.search(index.vector("a")[None], 1)[0][0].end == 3.5
    index.save(tmp_path / "i")
    again = Index.load(tmp_path / "i")
    assert again.videos == tuple(parts)
    (hit,) = again.search(again.vector("c,é")[None], 1)[0]
    assert (hit.video_id, hit.start, hit.end) == ("c,é", 0.1 + 0.2, None)
    whole.save(tmp_path / "whole")
    shutil.copy(tmp_path / "whole" / "ids.csv", tmp_path / "i")
    with pytest.raises(DataError, match="different indexes"):  # their times are not those of the vectors
        Index.load(tmp_path / "i")
    (tmp_path / "i" / "ids.csv").write_text("video_id,path,label,split,start,end\na,a.mp4,,,3,1\n")
    with pytest.raises(DataError, match=r"i: the index cannot be read \(the end of 'a' is 1\.0"):
        Index.load(tmp_path / "i")


def test_an_index_from_before_there_were_times_opens(tmp_path):
    """Files as they were written then, the digest too: two videos of width 2."""
    flat = faiss.IndexFlatIP(2)
    flat.add(np.array([[1, 0], [0, 1]], dtype=np.float32))
    faiss.write_index(flat, str(tmp_path / "index.faiss"))
    (tmp_path / "ids.csv").write_text("video_id,path,label,split\na,/a.mp4,run,train\nb,/b.mp4,,\n")
    about = {
        "spec": replace(SPEC, dim=2).to_dict(),
        "made_by": {"head": "mean"},
        "digest": "6f547a816f7ed22a00ec13f80e0d53e4",
    }
    (tmp_path / "spec.json").write_text(json.dumps(about))
    assert [(video.video_id, video.label, video.start) for video in Index.load(tmp_path).videos] == [
        ("a", "run", None),
        ("b", "", None),
    ]


def test_what_cannot_be_searched():
    _, index = make()
    assert len(index.search(np.ones((1, DIM)), 6)[0]) == len(index.search_own(np.ones((1, DIM)), 6)) == 5  # all
    for query in (np.zeros((1, DIM)), np.full((1, DIM), np.nan)):
        with pytest.raises(DataError, match="the embedding of the query is all zeros, or holds values that"):
            index.search(query, 6)
    with pytest.raises(DataError, match=r"a query of shape \(1, 4\) for an index of width 8"):
        index.search(np.zeros((1, 4)), 1)
    with pytest.raises(DataError, match=r"no video 'z' among its 5$"):
        index.vector("z")
    with pytest.raises(DataError, match="no video 'c,e' among its 5; near names: 'c,é'"):
        index.video("c,e")
    with pytest.raises(ValueError, match="5 videos with vectors"):
        Index(np.zeros((4, DIM)), videos(*NAMES), spec=SPEC, made_by={})


def test_files_of_two_indexes(tmp_path):
    make()[1].save(tmp_path / "a")
    make(NAMES[:3])[1].save(tmp_path / "b")
    shutil.copy(tmp_path / "b" / "index.faiss", tmp_path / "a")
    with pytest.raises(DataError, match="holds 3 vectors of width 8, its lists 5 videos of width 8"):
        Index.load(tmp_path / "a")


def test_a_half_written_index_is_none(tmp_path, monkeypatch):
    def fail(vectors, videos):
        raise DataError("full")

    monkeypatch.setattr("framebank.store.indexes.index.digest_of", fail)
    with pytest.raises(DataError, match="full"):
        make()[1].save(tmp_path / "a")
    assert not list((tmp_path / "a").iterdir())
    with pytest.raises(DataError, match="is not an index; expected a folder made by `framebank index`"):
        Index.load(tmp_path / "a")


class Killed(BaseException):
    """From the first time on, nothing of the process reaches the disk."""


def killed_after(steps, monkeypatch):
    """Let so many changes of the file system happen, and none after them."""
    done = []

    def count(change):
        def counted(*arguments, **options):
            done.append(change)
            if len(done) > steps:
                raise Killed
            return change(*arguments, **options)

        return counted

    for name in ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync"):
        monkeypatch.setattr(os, name, count(getattr(os, name)))


@pytest.mark.parametrize("over", [True, False])
def test_a_kill_leaves_the_old_index_or_the_new(tmp_path, over):
    old, new = make()[1], make(NAMES[:3], seed=1)[1]
    found = []
    for steps in range(100):
        folder = tmp_path / str(steps)
        if over:
            old.save(folder)
        killed = True
        with pytest.MonkeyPatch.context() as patched:
            killed_after(steps, patched)
            try:
                new.save(folder)
                killed = False
            except Killed:
                pass
        try:
            found.append(len(Index.load(folder)))
        except DataError as error:
            assert "is not an index" in str(error)
            found.append(0)
        new.save(folder)  # whatever was left
        np.testing.assert_array_equal(Index.load(folder).vectors, new.vectors)
        assert sorted(path.name for path in folder.iterdir()) == ["ids.csv", "index.faiss", "spec.json"]
        if not killed:
            break
    assert not killed
    assert found == sorted(found, reverse=over)  # one way: never back to the other
    assert set(found) == {5 if over else 0, 3}
    assert found.count(3) > 3  # the moves to their places come after the new one counts


def test_an_index_is_not_replaced_while_classes_are_enrolled(tmp_path):
    make()[1].save(tmp_path)
    with changing(tmp_path), pytest.raises(DataError, match="another process is writing here"):
        make(seed=1)[1].save(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("index.faiss", "no"),
        ("spec.json", "{"),
        ("spec.json", "[]"),
        ("spec.json", "{}"),
        ("ids.csv", "id\na\n"),
        ("ids.csv", None),
    ],
)
def test_damaged_files(tmp_path, name, text):
    make()[1].save(tmp_path)
    (tmp_path / name).unlink() if text is None else (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as error:
        Index.load(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}: the index cannot be read (")
    assert "Error" not in str(error.value)
    assert "\n" not in str(error.value)


def test_another_schema(tmp_path):
    make()[1].save(tmp_path)
    about = json.loads((tmp_path / "spec.json").read_text())
    about["spec"]["schema_version"] = 7
    (tmp_path / "spec.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match="schema version 7"):
        Index.load(tmp_path)


def test_vectors_are_mapped_and_written_as_faiss_writes_them(tmp_path):
    _, index = make()
    index.save(tmp_path / "i")
    loaded = Index.load(tmp_path / "i")
    assert not loaded.own_vectors.flags.owndata
    assert not loaded.own_vectors.flags.writeable
    flat = faiss.IndexFlatIP(DIM)
    flat.add(index.own_vectors)
    assert (tmp_path / "i" / "index.faiss").read_bytes() == faiss.serialize_index(flat).tobytes()
    again = faiss.read_index(str(tmp_path / "i" / "index.faiss"))
    np.testing.assert_array_equal(again.reconstruct_n(0, 5), loaded.own_vectors)


def test_files_are_held_against_their_digest_once_and_whenever_they_change(tmp_path, monkeypatch):
    make()[1].save(tmp_path / "i")
    Index.load(tmp_path / "i")
    with monkeypatch.context() as patch:
        patch.setattr("framebank.store.indexes.index.digest_of", None)
        assert len(Index.load(tmp_path / "i")) == 5
        with pytest.raises(TypeError):
            Index.load(tmp_path / "i", anew=True)
    path = tmp_path / "i" / "index.faiss"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="of different indexes"):
        Index.load(tmp_path / "i")
