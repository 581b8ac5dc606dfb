"""Which of CPU and GPU searches: told by a faiss that claims GPUs, since most machines of the tests have none."""

import faiss
import numpy as np
import pytest

from framebank.store.indexes.nearest import NearestVectors
from framebank.store.indexes.scan import scan
from framebank.store.vectors import unit

VECTORS = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)


class Gpu:
    """What faiss gives for an index that it moved to a GPU: the index itself, which counts what it is asked."""

    def __init__(self, flat, place):
        self.flat, self.place, self.asked = flat, place, 0

    def add(self, vectors):
        self.flat.add(vectors)

    def search(self, queries, k):
        self.asked += 1
        return self.flat.search(queries, k)


@pytest.fixture
def gpus(monkeypatch):
    made = []

    def move(_, place, flat):
        made.append(Gpu(flat, place))
        return made[-1]

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 2, raising=False)
    monkeypatch.setattr(faiss, "StandardGpuResources", lambda: None, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", move, raising=False)
    return made


@pytest.mark.parametrize(("device", "place"), [("cuda", 0), ("cuda:1", 1)])
def test_the_gpu_that_is_named_searches_and_finds_the_same(gpus, device, place):
    searched = NearestVectors(VECTORS, device=device)
    for _ in range(2):
        for found, expected in zip(
            searched.search(VECTORS[:3], 4), NearestVectors(VECTORS).search(VECTORS[:3], 4), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert [(gpu.place, gpu.asked) for gpu in gpus] == [(place, 3)]  # it is moved once, and tried once


@pytest.mark.parametrize("device", ["cpu", "auto", "cuda:2"])
def test_the_cpu_searches_where_no_gpu_is_named_or_there(gpus, device):
    NearestVectors(VECTORS, device=device).search(VECTORS[:1], 1)
    assert gpus == []


def test_the_cpu_searches_where_the_gpu_runs_no_kernel(gpus, monkeypatch):
    def fail(*_):
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(Gpu, "search", fail)
    expected = np.argsort(-VECTORS[:2] @ VECTORS.T, axis=1)[:, :3]
    np.testing.assert_array_equal(NearestVectors(VECTORS, device="cuda").search(VECTORS[:2], 3)[1], expected)
    assert len(gpus) == 1


def test_the_cpu_searches_where_faiss_was_built_without_gpus(monkeypatch):
    monkeypatch.delattr(faiss, "get_num_gpus", raising=False)
    assert NearestVectors(VECTORS, device="cuda").on_gpu is None


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("count", [1, 3, 5, 70, 300])
@pytest.mark.parametrize("shared_from", [100, 1000])
def test_few_and_many_queries_find_the_same(monkeypatch, dtype, count, shared_from):
    monkeypatch.setattr("framebank.store.indexes.scan.AT_ONCE", 64)
    monkeypatch.setattr("framebank.store.indexes.nearest.SHARED_FROM", shared_from)
    monkeypatch.setattr("framebank.store.indexes.viewing.LEAST_A_SHARE", 100)
    rng = np.random.default_rng(3)
    vectors, queries = unit(rng.normal(size=(500, 8))).astype(dtype), unit(rng.normal(size=(count, 8)))
    scores, rows = NearestVectors(vectors).search(queries, 30)
    cosines = queries @ vectors.astype(np.float32).T
    best = np.argsort(-cosines, axis=1)[:, :30]
    np.testing.assert_array_equal(rows, best)
    np.testing.assert_allclose(scores, np.take_along_axis(cosines, best, axis=1), atol=1e-6)


@pytest.mark.parametrize("count", [1, 9])
def test_of_equal_vectors_the_first_come_first_and_missing_ones_are_row_minus_one(monkeypatch, count):
    monkeypatch.setattr("framebank.store.indexes.scan.AT_ONCE", 4)
    vectors = np.repeat(np.eye(2, dtype=np.float32), 5, axis=0)
    queries = np.repeat(np.array([[0.0, 1.0]], dtype=np.float32), count, axis=0)
    scores, rows = scan(queries, vectors, 7)
    assert rows.tolist() == [[5, 6, 7, 8, 9, 0, 1]] * count
    assert scores.tolist() == [[1, 1, 1, 1, 1, 0, 0]] * count
    scores, rows = scan(queries, vectors[:2], 3)
    assert rows.tolist() == [[0, 1, -1]] * count and np.isneginf(scores[:, 2]).all()


def test_some_rows_are_searched_and_no_others():
    vectors = np.random.default_rng(4).normal(size=(50, 8)).astype(np.float32)
    among = np.array([3, 4, 30, 41])
    scores, rows = NearestVectors(vectors).search_among(vectors[:2], 6, among)
    cosines = vectors[:2] @ vectors[among].T
    np.testing.assert_array_equal(rows[:, :4], among[np.argsort(-cosines, axis=1)])
    np.testing.assert_allclose(scores[:, :4], -np.sort(-cosines, axis=1), rtol=1e-5)
    assert (rows[:, 4:] == -1).all()
    own = np.array([[7, 8, 30], [9, -1, -1]])
    for k in (1, 2, 5):
        scores, each = NearestVectors(vectors).search_among(vectors[:2], k, own)
        best = own[0][np.argsort(-vectors[0] @ vectors[own[0]].T)]
        assert each[0].tolist() == [*best, -1, -1][:k] and each[1].tolist() == [9, -1, -1, -1, -1][:k]
        np.testing.assert_allclose(scores[0, :3], vectors[best[:k]] @ vectors[0], rtol=1e-5)


@pytest.mark.parametrize("count", [5, 40, 3000])
def test_float16_vectors_are_searched_as_they_are_rounded(count):
    rng = np.random.default_rng(5)
    exact = unit(rng.normal(size=(count, 24)))
    half, queries = exact.astype(np.float16), unit(rng.normal(size=(3, 24)))
    cosines = queries @ half.astype(np.float32).T
    best = np.argsort(-cosines, axis=1)[:, :5]
    scores, rows = NearestVectors(half).search(queries, 5)
    np.testing.assert_array_equal(rows, best)
    np.testing.assert_allclose(scores, np.take_along_axis(cosines, best, axis=1), atol=1e-6)
    assert np.abs(scores - np.take_along_axis(queries @ exact.T, best, axis=1)).max() < 2e-4
    for among in (np.arange(0, count, 2), np.arange(count - 3, count), np.arange(0, count, 9)):
        scores, rows = NearestVectors(half).search_among(queries, 4, among)
        left = among[np.argsort(-cosines[:, among], axis=1)][:, :4]
        np.testing.assert_array_equal(rows[:, : left.shape[1]], left)
        assert (rows[:, left.shape[1] :] == -1).all()
    each = np.array([[0, 1, 2], [4, 3, -1], [-1, -1, -1]])
    _, rows = NearestVectors(half).search_among(queries, 3, each)
    assert set(rows[0].tolist()) == {0, 1, 2} and set(rows[1].tolist()) == {3, 4, -1} and set(rows[2].tolist()) == {-1}


def test_threads_that_divide_float16_vectors_find_the_same(monkeypatch):
    half = np.random.default_rng(3).normal(size=(50, 8)).astype(np.float16)
    queries = half[:2].astype(np.float32)
    expected = NearestVectors(half).search(queries, 30)
    monkeypatch.setattr("framebank.store.indexes.nearest.DIVIDED_FROM", 10)
    monkeypatch.setattr("framebank.store.indexes.viewing.LEAST_A_SHARE", 10)
    monkeypatch.setattr("framebank.store.indexes.nearest.faiss.omp_get_max_threads", lambda: 3)
    for found, right in zip(NearestVectors(half).search(queries, 30), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-6)


def test_the_gpu_takes_float16_vectors(gpus):
    half = VECTORS.astype(np.float16)
    found = NearestVectors(half, device="cuda").search(VECTORS[:2], 3)
    np.testing.assert_array_equal(found[1], NearestVectors(half).search(VECTORS[:2], 3)[1])
    assert len(gpus) == 1


def test_many_rows_of_many_queries_are_copied_side_by_side():
    vectors = unit(np.random.default_rng(6).normal(size=(300, 8)))
    among = np.stack([np.arange(0, 40), np.arange(100, 140)])
    scores, rows = NearestVectors(vectors).search_among(vectors[[3, 120]], 2, among)
    assert rows[:, 0].tolist() == [3, 120]
    np.testing.assert_allclose(scores[:, 0], 1, rtol=1e-5)


@pytest.fixture
def rounding(monkeypatch):
    few = {"SHARED_FROM": 100, "ROUNDED_FROM": 100, "ROUNDED_AFTER": 2, "CANDIDATES": 40, "MOST_CANDIDATES": 80}
    for name, value in few.items():
        monkeypatch.setattr(f"framebank.store.indexes.nearest.{name}", value)
    monkeypatch.setattr("framebank.store.indexes.viewing.LEAST_A_SHARE", 50)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("width", [1, 7, 48])
def test_codes_tell_what_is_compared_and_the_answer_is_exact(rounding, dtype, width):
    rng = np.random.default_rng(6)
    vectors = rng.normal(size=(600, width)) + 5 * np.eye(width)[0]  # one column is far above the others, as CLIP has it
    vectors, queries = unit(vectors).astype(dtype), unit(rng.normal(size=(3, width)))
    searched = NearestVectors(vectors)
    for _ in range(4):
        scores, rows = searched.search(queries, 10)
        cosines = queries @ vectors.astype(np.float32).T
        np.testing.assert_allclose(scores, -np.sort(-cosines)[:, :10], atol=1e-6)
        np.testing.assert_allclose(np.take_along_axis(cosines, rows, axis=1), scores, atol=1e-6)
    assert searched._rounded is not None


def test_what_codes_cannot_tell_apart_is_found_among_all(rounding):
    searched = NearestVectors(np.full((500, 4), 0.5, dtype=np.float32))
    for _ in range(5):
        assert searched.search(searched.vectors[:1], 5)[1].tolist() == [[0, 1, 2, 3, 4]]
    assert searched._rounded is not None and searched._candidates == 80


def test_what_codes_take_for_equal_is_found_by_all_its_values(rounding):
    """Two far vectors make the steps so wide that the others have few codes; 40 of them may hold none of the best."""
    rng = np.random.default_rng(9)
    vectors = (np.ones(16) + 1e-3 * rng.normal(size=(500, 16))).astype(np.float32)
    vectors[0], vectors[1] = 40 * np.eye(16)[0], -40 * np.eye(16)[0]
    searched = NearestVectors(vectors)
    for query in unit(rng.normal(size=(12, 16))):
        found = searched.search(query[None], 5)[1]
        assert found.tolist() == scan(query[None], vectors, 5)[1].tolist()
    assert searched._rounded is not None


def test_vectors_that_are_no_numbers_get_no_codes(rounding):
    vectors = np.random.default_rng(8).normal(size=(200, 4)).astype(np.float32)
    vectors[3, 1] = np.nan
    searched = NearestVectors(vectors)
    for _ in range(5):
        found = searched.search(vectors[:1], 3)[1]
    finite = np.where(np.arange(200) == 3, -np.inf, vectors @ vectors[0])
    assert searched._rounded is None and found[0].tolist() == np.argsort(-finite)[:3].tolist()
