"""Retrieval figures by hand."""

import numpy as np
import pytest

from framebank.heads.evaluation.retrieval import dual_softmax, moment_figures, rank_figures
from framebank.store import Span


def test_ranks_by_hand() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.9, 0.8], [0.5, 0.5, 0.5]])
    relevant = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 0]], dtype=bool)
    found = rank_figures(scores, relevant)  # ranks 1, 2 and 2; of equal scores, the first counts as better
    assert found.recalls == pytest.approx((1 / 3, 1.0, 1.0)) and found.median_rank == 2
    assert found.map == pytest.approx((1 + (1 / 2 + 2 / 3) / 2 + 1 / 2) / 3)
    assert found.to_dict()["R@1"] == found.recalls[0]
    with pytest.raises(ValueError, match="answer"):
        rank_figures(scores, np.zeros_like(relevant))


def test_a_hub_counts_less_with_the_dual_softmax() -> None:
    """The first video is nearest to both texts, but nearer to the first."""
    scores = np.array([[0.9, 0.3], [0.6, 0.5]])
    relevant = np.eye(2, dtype=bool)
    assert rank_figures(scores, relevant).recalls[0] == 0.5
    assert rank_figures(dual_softmax(scores), relevant).recalls[0] == 1.0
    assert dual_softmax(np.array([[0.5, 0.2]])).tolist() == [[0.5, 0.2]]  # of one query, nothing changes


def test_moments_by_hand() -> None:
    truth = [[Span("a", 0.0, 4.0)], [Span("b", 2.0, 4.0), Span("b", 8.0, 9.0)], [Span("c", 0.0, 1.0)]]
    found = [[Span("a", 0.0, 4.0)], [Span("b", 3.0, 4.0), Span("b", 8.0, 9.0)], []]
    figures = moment_figures(found, truth)
    assert figures.queries == 3 and figures.recalls == pytest.approx((2 / 3, 2 / 3, 1 / 3))
    second = (1 + 9 * (1 / 2) / 2) / 10  # at an IoU of 0.5 both are right, above it the one of rank 2
    assert figures.map == pytest.approx((1 + second + 0) / 3)
