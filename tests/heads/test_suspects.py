"""Suspects: labels that were changed are found, by hand and on a small world; groups stay together."""

import numpy as np
import pytest

from framebank.heads.labelling.suspects import doubts, out_of_fold

pytestmark = pytest.mark.usefixtures("one_thread")


def world(count: int = 120, *, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (V, 16) around one axis for each class, and the classes (V,)."""
    rng = np.random.default_rng(seed)
    target = np.arange(count) % classes
    vectors = np.eye(16)[target] + 0.15 * rng.normal(size=(count, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), target


def test_by_hand() -> None:
    """The means of the own classes are 0.65 and 0.6; the third video says 0.7 for the first class, and is confident."""
    probabilities = np.array([[0.7, 0.3], [0.6, 0.4], [0.7, 0.3], [0.1, 0.9], [np.nan, np.nan]])
    best, share, are = doubts(probabilities, np.array([0, 0, 1, 1, 1]))
    assert best[:4].tolist() == [1, 1, 0, 0]
    assert share.tolist() == pytest.approx([0.3, 0.4, 0.7, 0.1, 0.0])
    assert are.tolist() == [False, False, True, False, False]


def test_changed_labels_are_found() -> None:
    vectors, target = world()
    changed = target.copy()
    wrong = np.array([3, 40, 77])
    changed[wrong] = (changed[wrong] + 1) % 4
    probabilities = out_of_fold(vectors, changed, np.arange(len(target)))
    assert probabilities.shape == (120, 4) and probabilities.sum(1) == pytest.approx(np.ones(120))
    best, share, are = doubts(probabilities, changed)
    assert sorted(np.argsort(-share)[:3].tolist()) == wrong.tolist()
    assert best[wrong].tolist() == target[wrong].tolist()
    assert (share[wrong] > 0.5).all() and (share > 0.5).sum() <= 5
    assert are[wrong].sum() >= 2 and not are[share <= 0.5].any()


def test_few_videos_at_once_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many are judged together that their cosines fit into memory."""
    vectors, target = world()
    whole = out_of_fold(vectors, target, np.arange(len(target)))
    monkeypatch.setattr("framebank.heads.labelling.suspects.CELLS", 300)  # three of 96
    np.testing.assert_allclose(out_of_fold(vectors, target, np.arange(len(target))), whole, atol=1e-6)


def test_a_source_whose_videos_all_have_the_wrong_label_is_not_its_own_witness() -> None:
    vectors, target = world()
    groups, changed = np.arange(120), target.copy()
    source = np.array([0, 4, 8, 12])  # four clips of one source, all of them with a wrong label
    vectors[source] = vectors[0]
    changed[source], groups[source] = 1, 0
    for together, found in ((groups, True), (np.arange(120), False)):
        _, share, _ = doubts(out_of_fold(vectors, changed, together), changed)
        assert bool((share[source] > 0.8).all()) == found


def test_a_class_of_one_source_is_not_judged() -> None:
    vectors, target = world()
    groups = np.where(target == 0, 0, np.arange(120))
    probabilities = out_of_fold(vectors, target, groups)
    assert (np.isnan(probabilities).all(1) == (target == 0)).all()
