"""Structures: what they find, what a filter costs them, and that they follow their vectors without training again."""

from pathlib import Path

import numpy as np
import pytest

from framebank.store import DataError
from framebank.store.indexes.nearest import NearestVectors
from framebank.store.indexes.structure import TYPES, Structure, build, read_structure
from framebank.store.indexes.tuning import Target, choose, cosines_at, queries_of, recall_of, retune
from framebank.store.vectors import unit

WIDTH = 32


def clustered(count: int, *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(12, WIDTH))
    return unit(centres[rng.integers(0, 12, count)] + 0.6 * rng.normal(size=(count, WIDTH)))


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return clustered(1500)


@pytest.fixture(scope="module")
def made(vectors: np.ndarray) -> dict[str, Structure]:
    found = {kind: choose(vectors, Target(kind))[0] for kind in TYPES}
    return {kind: structure for kind, structure in found.items() if structure}


def recall(structure: Structure, vectors: np.ndarray) -> float:
    flat, queries = NearestVectors(vectors), queries_of(vectors, seed=3, count=50)
    return recall_of(structure.search(flat, queries, 10)[0], flat.search(queries, 10)[0])


@pytest.mark.parametrize("kind", TYPES)
def test_it_finds_the_neighbours_with_their_own_cosines(
    kind: str, made: dict[str, Structure], vectors: np.ndarray
) -> None:
    structure = made[kind]
    assert recall(structure, vectors) > 0.9
    scores, rows = structure.search(NearestVectors(vectors), vectors[:5], 3)
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4]
    for query, own_scores, own_rows in zip(vectors, scores, rows, strict=False):
        np.testing.assert_allclose(own_scores, vectors[own_rows] @ query, atol=1e-6)


@pytest.mark.parametrize("kind", TYPES)
def test_float16_vectors_find_the_same(kind: str, vectors: np.ndarray) -> None:
    half = vectors.astype(np.float16)
    structure, measured = choose(half, Target(kind))
    assert structure and measured.recall >= 0.95 and recall(structure, half) > 0.9
    scores, rows = structure.search(NearestVectors(half), vectors[:5], 3)
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4]
    for query, own_scores, own_rows in zip(vectors, scores, rows, strict=False):
        np.testing.assert_allclose(own_scores, half[own_rows].astype(np.float32) @ query, atol=1e-6)


def test_it_compares_as_few_candidates_as_reach_the_recall(vectors: np.ndarray) -> None:
    low, high = (choose(vectors, Target("ivfpq", recall=share))[0] for share in (0.5, 0.99))
    assert low and high
    assert low.settings["factor"] <= high.settings["factor"] and low.settings["nprobe"] <= high.settings["nprobe"]
    fewer = high.set_to(nprobe=high.settings["nprobe"], factor=max(1, high.settings["factor"] - 1))
    queries = queries_of(vectors)
    truth = NearestVectors(vectors).search(queries, 10)[0]
    if high.settings["factor"] > 1:
        assert recall_of(fewer.search(NearestVectors(vectors), queries, 10)[0], truth) < 0.99
    found = high.candidates(queries, 10 * high.settings["factor"])  # a true neighbour among them is found
    compared = high.search(NearestVectors(vectors), queries, 10)[0]
    assert recall_of(cosines_at(vectors, queries, found), truth) == pytest.approx(recall_of(compared, truth))


@pytest.mark.parametrize("kind", TYPES)
def test_rows_that_are_the_same_are_each_a_true_neighbour(kind: str) -> None:
    repeated = np.tile(clustered(100), (20, 1))  # a film that shows each of its clips twenty times
    structure, measured = choose(repeated, Target(kind, recall=0.99))
    assert structure and measured.recall >= 0.99


def test_lists_that_were_learned_are_not_learned_again(vectors: np.ndarray) -> None:
    first = build(vectors, "sq8")
    second = build(vectors, "ivf", centroids=first.centroids)
    np.testing.assert_array_equal(first.centroids, second.centroids)
    assert second.base.ntotal == len(vectors) and build(vectors, "hnsw").centroids is None


@pytest.mark.parametrize("kind", TYPES)
def test_it_passes_over_what_a_filter_leaves_out(kind: str, made: dict[str, Structure], vectors: np.ndarray) -> None:
    among = np.arange(len(vectors)) % 3 == 1
    _, rows = made[kind].search(NearestVectors(vectors), vectors[:20], 10, among=among)
    assert (rows >= 0).all()
    assert among[rows].all()


@pytest.mark.parametrize("kind", TYPES)
def test_it_follows_vectors_that_left_moved_and_joined(
    kind: str, made: dict[str, Structure], vectors: np.ndarray, tmp_path: Path
) -> None:
    kept = np.random.default_rng(1).permutation(len(vectors))[:1300]
    now = np.concatenate([clustered(40, seed=9), vectors[kept]])
    table = np.full(len(vectors), -1)
    table[kept] = 40 + np.arange(1300)
    followed = made[kind].followed(table, now, np.arange(40))
    assert followed is not None
    assert recall(followed, now) > 0.85
    _, rows = followed.search(NearestVectors(now), now[:60], 1)
    assert np.count_nonzero(rows[:, 0] == np.arange(60)) > 55
    followed.write(tmp_path / "near.faiss")
    read = read_structure(tmp_path / "near.faiss", kind, followed.settings, followed.places)
    np.testing.assert_array_equal(read.search(NearestVectors(now), now[:60], 1)[1], rows)
    assert len(made[kind].search(NearestVectors(vectors), vectors[:1], 5)[1][0]) == 5  # the old one is as it was


def test_it_is_made_again_once_a_third_is_gone(made: dict[str, Structure], vectors: np.ndarray) -> None:
    table = np.where(np.arange(len(vectors)) < 900, np.arange(len(vectors)), -1)
    assert made["ivf"].followed(table, vectors[:900], np.arange(0)) is None
    tuned, measured = retune(made["ivf"].set_to(nprobe=1, factor=1), vectors, Target("ivf", recall=0.99))
    assert tuned is not None
    assert measured.recall >= 0.99


def test_the_types_are_tried_by_their_bytes() -> None:
    rows = unit(np.random.default_rng(0).normal(size=(2000, 128)))
    sizes = [build(rows, kind).num_bytes for kind in TYPES]
    assert sizes == sorted(sizes)


def test_auto_is_exact_within_its_budget_and_else_the_smallest_that_reaches_the_recall(vectors: np.ndarray) -> None:
    exact, measured = choose(vectors, Target("auto", budget=1000))
    assert exact is None
    assert (measured.type, measured.recall, measured.bytes) == ("flat", 1.0, vectors.nbytes)
    hasty, told = choose(vectors, Target("auto", budget=1e-9, recall=0.9))
    assert told.recall >= 0.9
    assert told.type == (hasty.kind if hasty else "flat")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"type": "lsh"}, "the type of an index is 'lsh'; expected one of auto, flat, ivfpq, sq8, hnsw, ivf"),
        ({"recall": 0.0}, "the recall is 0; expected a share above 0"),
        ({"budget": -1.0}, "the budget is -1 s; expected a time above 0, such as 50ms"),
    ],
)
def test_wrong_wishes(given: dict[str, float], told: str) -> None:
    with pytest.raises(DataError, match=told):
        Target(**given)  # type: ignore[arg-type]


def test_few_vectors(tmp_path: Path) -> None:
    few = clustered(5)
    for kind in ("sq8", "ivf", "hnsw"):
        _, rows = build(few, kind).search(NearestVectors(few), few[:2], 5)
        assert sorted(rows[0].tolist()) == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="the type ivfpq needs 256 vectors; there are 5: use flat"):
        choose(few, Target("ivfpq"))
    (tmp_path / "near.faiss").write_bytes(b"IxFI" + bytes(40))
    with pytest.raises(DataError, match=r"near\.faiss: "):
        read_structure(tmp_path / "near.faiss", "ivf", {"nprobe": 1}, None)
