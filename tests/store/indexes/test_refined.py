"""Refined: the search in one call of faiss finds what the search in two finds."""

from pathlib import Path

import faiss
import numpy as np
import pytest

from framebank.store.indexes.lists import CANDIDATES, CODED_FROM
from framebank.store.indexes.nearest import NearestVectors
from framebank.store.indexes.structure import LEAST_A_LIST, Structure, build, read_structure
from framebank.store.vectors import unit

NPROBE = CODED_FROM // CANDIDATES
SETTINGS = [("ivfpq", 1), ("ivfpq", 6), ("sq8", 2), ("ivf", 1), ("ivf", 3)]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng, count = np.random.default_rng(1), CODED_FROM * LEAST_A_LIST
    centres = rng.normal(size=(400, 24))
    made: np.ndarray = unit(centres[rng.integers(0, 400, count)] + 0.3 * rng.normal(size=(count, 24)))
    return made


@pytest.fixture(scope="module")
def made(vectors: np.ndarray) -> dict[str, Structure]:
    return {kind: build(vectors, kind) for kind in ("ivfpq", "sq8", "ivf")}


def in_two(structure: Structure, vectors: NearestVectors, queries: np.ndarray, k: int) -> np.ndarray:
    """Return the scores (Q, k) of the search that finds candidates first."""
    candidates = structure.candidates(queries, k * structure.settings["factor"])
    return vectors.search_among(queries, k, candidates)[0]


@pytest.mark.parametrize(("kind", "factor"), SETTINGS)
@pytest.mark.parametrize("queries", [1, 70])
def test_it_finds_the_same(
    kind: str, factor: int, queries: int, made: dict[str, Structure], vectors: np.ndarray
) -> None:
    structure, flat = made[kind].set_to(nprobe=NPROBE, factor=factor), NearestVectors(vectors)
    refined = structure._refined(flat)
    assert refined is not None
    found = refined.search(vectors[:queries], 5)
    assert found is not None
    scores, rows = found
    np.testing.assert_allclose(scores, np.einsum("qkd,qd->qk", vectors[rows], vectors[:queries]), atol=1e-6)
    np.testing.assert_allclose(scores, in_two(structure, flat, vectors[:queries], 5), atol=1e-6)
    np.testing.assert_array_equal(structure.search(flat, vectors[:queries], 5)[1], rows)


def test_what_it_cannot_do_is_done_in_two(made: dict[str, Structure], vectors: np.ndarray) -> None:
    few, flat = made["sq8"].set_to(nprobe=NPROBE, factor=2), NearestVectors(vectors)
    assert few.set_to(nprobe=NPROBE + 1, factor=2)._refined(flat) is None  # the products with all centres find them
    assert few._refined(NearestVectors(vectors.astype(np.float16))) is None
    moved = Structure("sq8", few.base, few.settings, np.arange(len(vectors))[::-1].copy())
    assert moved._refined(flat) is None
    nothing = np.zeros((2, vectors.shape[1]), np.float32)  # all lists are as far
    refined = few._refined(flat)
    assert refined is not None and refined.search(nothing, 5) is None
    assert (few.search(flat, nothing, 5)[1] >= 0).all()


def test_other_vectors_are_compared_with_after_a_change(made: dict[str, Structure], vectors: np.ndarray) -> None:
    structure = made["ivfpq"].set_to(nprobe=NPROBE, factor=4)
    now = structure.search(NearestVectors(vectors), vectors[:3], 1)[0]
    half = structure.search(NearestVectors(0.5 * vectors), vectors[:3], 1)[0]
    np.testing.assert_allclose(half, 0.5 * now, atol=1e-6)


@pytest.mark.parametrize("kind", ["ivfpq", "sq8", "ivf"])
def test_a_structure_that_was_read_finds_the_same_and_is_written_as_it_was(
    kind: str, made: dict[str, Structure], vectors: np.ndarray, tmp_path: Path
) -> None:
    structure, flat = made[kind].set_to(nprobe=NPROBE, factor=3), NearestVectors(vectors)
    before = faiss.serialize_index(structure.base)
    scores = structure.search(flat, vectors[:9], 5)[0]
    structure.write(tmp_path / "near.faiss")
    np.testing.assert_array_equal(faiss.serialize_index(structure.base), before)
    read = read_structure(tmp_path / "near.faiss", kind, structure.settings, None)
    np.testing.assert_array_equal(read.search(flat, vectors[:9], 5)[0], scores)
