"""Choosing: which candidate is taken, on logits whose cross-entropies can be worked out by hand."""

import math

import pytest
import torch

from framebank.heads.training.candidates import candidates_of
from framebank.heads.training.choosing import JudgedCandidate, calibrated_losses, choose, texts_tell
from framebank.heads.training.recipe import Recipe

BASE = Recipe(head="mean", classifier="linear", loss="ce", val_fraction=0.0)
KNOWN = {one.name: one for one in candidates_of(BASE, num_videos=40, num_frames=8, has_texts=True)}


def judged(name: str, margins: list[float]) -> JudgedCandidate:
    """Two classes: the true one of each video, the first, leads by its margin."""
    logits = torch.tensor([[margin, 0.0] for margin in margins])
    return JudgedCandidate.of(KNOWN[name], KNOWN[name].recipes[0], logits, torch.zeros(len(margins), dtype=torch.long))


def test_losses_are_those_of_the_best_scale():
    """Three of four are right by the same margin m: at the best scale s the true class has sigmoid(s m) = 3/4."""
    for margin in (0.1, 1.0, 30.0):
        logits = torch.tensor([[margin, 0.0]] * 3 + [[0.0, margin]])
        losses = calibrated_losses(logits, torch.zeros(4, dtype=torch.long))
        assert losses[:3].tolist() == pytest.approx([-math.log(3 / 4)] * 3, abs=0.05)
        assert float(losses[3]) == pytest.approx(-math.log(1 / 4), abs=0.1)
        assert float(losses.mean()) == pytest.approx(0.5623, abs=1e-3)  # -(3/4 ln 3/4 + 1/4 ln 1/4)


def test_losses_do_not_depend_on_how_large_the_logits_are():
    logits, target = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 3
    logits[torch.arange(50), target] += 1.0
    found = [calibrated_losses(logits * scale, target).mean() for scale in (0.1, 1.0, 10.0)]
    assert float(max(found) - min(found)) < 1e-3


def test_lda_stays_where_two_videos_alone_speak_for_another():
    """Knn is right in one video more, and surely wrong in the other: its loss is not lower."""
    lda, knn = judged("lda", [3.0] * 18 + [-0.5, -0.5]), judged("knn", [3.0] * 18 + [3.0, -6.0])
    assert knn.top1 > lda.top1
    best, why = choose([lda, knn], num_classes=2)
    assert best is lda
    assert why.startswith("no other way has a cross-entropy that is lower")


def test_a_linear_classifier_is_taken_in_place_of_neighbours_that_are_as_good():
    lda, knn = judged("lda", [1.0] * 75 + [-1.0] * 25), judged("knn", [3.0] * 90 + [-1.0] * 10)
    assert choose([lda, knn], num_classes=2)[0] is knn
    level = judged("linear", [3.0] * 88 + [-1.0, -1.0, 3.0] + [-1.0] * 9)  # wrong in two, right in another
    best, why = choose([lda, level, knn], num_classes=2)
    assert best is level
    assert "of equals the linear classifier is taken" in why
    below = judged("linear", [1.0] * 75 + [-1.0] * 25)
    assert choose([lda, below, knn], num_classes=2)[0] is knn


def test_texts_are_taken_where_they_are_surer_and_not_more_often_right():
    lda = judged("lda", [1.0, 0.5, 2.0, 1.0] * 9 + [-2.0] * 4)
    texts = judged("text-residual", [3.0, 3.5, 3.0, 4.0] * 9 + [-0.2] * 4)
    assert texts.top1 == lda.top1
    zero_shot = judged("zero-shot", [1.0] * 30 + [-1.0] * 10)
    best, why = choose([lda, zero_shot, texts], num_classes=2)
    assert best is texts
    assert "text-residual reads the texts, and has a cross-entropy of" in why


def test_texts_that_tell_no_classes_apart_are_never_taken():
    """text-residual learns from the videos alone then; zero-shot is right in 24 of 40, which guessing may be too."""
    lda, texts = judged("lda", [1.0] * 30 + [-1.0] * 10), judged("text-residual", [3.0] * 40)
    guessing = judged("zero-shot", [1.0] * 24 + [-1.0] * 16)
    assert not texts_tell([lda, guessing, texts], num_classes=2)
    assert texts_tell([judged("zero-shot", [1.0] * 27 + [-1.0] * 13)], num_classes=2)
    assert choose([lda, guessing, texts], num_classes=2)[0] is lda


def test_without_lda_the_plain_way_of_least_loss_is_kept():
    linear, ridge = judged("linear", [0.5, 1.0, -0.6, 0.4]), judged("ridge", [1.0, 1.0, -0.1, 1.0])
    assert choose([linear, ridge], num_classes=2)[0] is ridge
    assert choose([linear], num_classes=2) == (linear, "linear alone was judged")
