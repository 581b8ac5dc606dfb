"""The losses between the videos of a batch, against their formulas written out entry by entry."""

import math

import pytest
import torch

from framebank.heads.losses.contrastive import contrastive
from framebank.heads.losses.supcon import supervised_contrastive
from framebank.tests.worlds.formulas import frames
from framebank.tests.worlds.loss import loss_of, step_of

TARGETS = [[0, 1, 2, 3], [0, 1, 0, 3], [2, 2, 2, 2], [5], [1, 1, 0, 0, 1]]

pytestmark = pytest.mark.usefixtures("one_thread")


def logits_of(size, *, seed=0):
    return 3 * frames(size, size, seed=seed).double()


def slow_contrastive(logits, labels):
    total, size = 0.0, len(labels)
    for scores in (logits.tolist(), logits.T.tolist()):
        for i in range(size):
            others = [math.exp(scores[i][j]) for j in range(size) if labels[j] != labels[i]]
            pairs = [scores[i][k] for k in range(size) if labels[k] == labels[i]]
            total += sum(-math.log(math.exp(s) / (math.exp(s) + sum(others))) for s in pairs) / len(pairs)
    return total / (2 * size)


def slow_supcon(embeddings, labels):
    unit = [row / row.norm() for row in embeddings]
    total, anchors = 0.0, 0
    for i in range(len(labels)):
        everyone = sum(math.exp(float(unit[i] @ unit[a]) / 0.1) for a in range(len(labels)) if a != i)
        pairs = [p for p in range(len(labels)) if p != i and labels[p] == labels[i]]
        if pairs:
            anchors += 1
            total -= sum(math.log(math.exp(float(unit[i] @ unit[p]) / 0.1) / everyone) for p in pairs) / len(pairs)
    return total / anchors if anchors else 0.0


@pytest.mark.parametrize("labels", TARGETS)
def test_contrastive_is_the_loop(labels):
    logits = logits_of(len(labels))
    assert float(contrastive(logits, torch.tensor(labels))) == pytest.approx(slow_contrastive(logits, labels))


@pytest.mark.parametrize("labels", TARGETS)
def test_supcon_is_the_loop(labels):
    embeddings = frames(len(labels), 8).double()
    found = supervised_contrastive(embeddings, torch.tensor(labels))
    assert float(found) == pytest.approx(slow_supcon(embeddings, labels))


def test_contrastive_of_two_classes_is_clip():
    logits = logits_of(4)
    expected = (logits.log_softmax(1).diagonal().mean() + logits.T.log_softmax(1).diagonal().mean()) / -2
    torch.testing.assert_close(contrastive(logits, torch.arange(4)), expected)


def test_contrastive_never_pushes_two_of_a_class_apart():
    labels = torch.tensor([0, 1, 0, 3, 1, 0])
    for seed in range(5):
        logits = logits_of(6, seed=seed).requires_grad_()
        (grad,) = torch.autograd.grad(contrastive(logits, labels), logits)
        same = labels[:, None] == labels
        assert (grad[same] < 0).all()
        assert (grad[~same] > 0).all()


def test_supcon_draws_a_far_pair_together():
    # the pair in question is the only one of its class: no other positive shares the aim
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.2]]).requires_grad_()
    (grad,) = torch.autograd.grad(supervised_contrastive(embeddings, torch.tensor([0, 0, 1])), embeddings)
    moved = embeddings - 0.01 * grad
    assert torch.cosine_similarity(moved[0], moved[1], dim=0) > 0


def test_a_batch_of_one_class_has_nothing_to_contrast():
    logits = logits_of(3).requires_grad_()
    value = contrastive(logits, torch.tensor([2, 2, 2]))
    (grad,) = torch.autograd.grad(value, logits)
    assert value == 0
    assert grad.abs().max() == 0


def test_no_pair_in_the_batch_gives_supcon_0_and_no_gradient():
    embeddings = frames(3, 8).requires_grad_()
    value = supervised_contrastive(embeddings, torch.tensor([0, 1, 2]))
    (grad,) = torch.autograd.grad(value, embeddings)
    assert value == 0
    assert grad.abs().max() == 0


@pytest.mark.parametrize("function", [contrastive, lambda x, labels: supervised_contrastive(x, labels)])
def test_order_of_the_batch_does_not_matter(function):
    logits, labels = logits_of(6), torch.tensor([0, 1, 0, 3, 1, 5])
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    moved = logits[order][:, order]
    torch.testing.assert_close(function(moved, labels[order]), function(logits, labels))


@pytest.mark.parametrize("function", [contrastive, supervised_contrastive])
def test_gradients(function):
    labels = torch.tensor([0, 1, 0, 3])
    assert torch.autograd.gradcheck(lambda x: function(x, labels), (logits_of(4).requires_grad_(),))


def test_they_are_given_what_the_step_says():
    step = step_of([0, 1, 0, 3])
    assert float(loss_of("contrastive")(step)) == pytest.approx(
        slow_contrastive(step.paired.detach(), [0, 1, 0, 3]), rel=1e-4
    )
    assert float(loss_of("supcon")(step)) == pytest.approx(slow_supcon(step.pooled.detach(), [0, 1, 0, 3]), rel=1e-4)


def test_paired_is_the_cosine_to_a_text_of_the_class():
    step = step_of([0, 1, 0, 3], seed=3)
    texts = step.texts.draw(step.target, generator=torch.Generator().manual_seed(3))
    scale = step.model.classifier.logit_scale
    for i, video in enumerate(step.pooled):
        for k, text in enumerate(texts):
            cosine = torch.cosine_similarity(video, text, dim=0)
            assert float(step.paired[i, k].detach()) == pytest.approx(float((scale * cosine).detach()), rel=1e-4)
