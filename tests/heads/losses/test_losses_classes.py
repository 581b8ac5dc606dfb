"""The losses over classes beyond cross-entropy: of several labels, of a classifier of their own, of hidden texts."""

import math
from dataclasses import replace

import pytest
import torch

from framebank.heads.losses.video_ce import VideoCe
from framebank.tests.worlds.formulas import gelu, linear
from framebank.tests.worlds.loss import DIM, NUM_CLASSES, gradients, loss_of, step_of

SEVERAL = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 1]])

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_bce_by_hand(smoothing):
    step = step_of(SEVERAL)
    terms = []
    for scores, labels in zip(step.logits.tolist(), SEVERAL.tolist(), strict=True):
        for score, label in zip(scores, labels, strict=True):
            chance, aim = 1 / (1 + math.exp(-score)), (1 - smoothing) * label + smoothing / 2
            terms.append(-aim * math.log(chance) - (1 - aim) * math.log(1 - chance))
    found = loss_of("bce", label_smoothing=smoothing)(step)
    assert float(found) == pytest.approx(sum(terms) / len(terms), rel=1e-4)


def test_bce_judges_each_class_by_itself():
    step = step_of(SEVERAL, classifier="linear")
    logits = step.logits.detach().requires_grad_()
    step.logits = logits
    (grad,) = torch.autograd.grad(loss_of("bce")(step), logits)
    torch.testing.assert_close(grad, (logits.detach().sigmoid() - SEVERAL) / SEVERAL.numel())


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_soft_kl_by_hand(smoothing):
    step = step_of(SEVERAL)
    total = 0.0
    for scores, labels in zip(step.logits.tolist(), SEVERAL.tolist(), strict=True):
        everything = sum(math.exp(score) for score in scores)
        for score, label in zip(scores, labels, strict=True):
            aim = (1 - smoothing) * label / sum(labels) + smoothing / NUM_CLASSES
            total += aim * (math.log(aim) - math.log(math.exp(score) / everything)) if aim else 0
    assert float(loss_of("soft-kl", label_smoothing=smoothing)(step)) == pytest.approx(total / 3, rel=1e-4)


def test_soft_kl_is_0_where_the_labels_share_the_softmax():
    step = step_of(SEVERAL)
    step.logits = torch.where(SEVERAL.bool(), 3.0, -100.0)
    assert float(loss_of("soft-kl")(step)) == pytest.approx(0, abs=1e-6)


def test_video_ce_by_hand():
    step, loss = step_of([0, 1, 0, 3]), loss_of("video-ce", label_smoothing=0.2)
    total = 0.0
    for video, label in zip(step.pooled, [0, 1, 0, 3], strict=True):
        scores = linear(loss.classifier.linear, video / video.square().mean().sqrt()).tolist()
        log_all = math.log(sum(math.exp(score) for score in scores))
        total += sum((0.8 * (k == label) + 0.05) * (log_all - score) for k, score in enumerate(scores))
    assert float(loss(step)) == pytest.approx(total / 4, rel=1e-4)


def test_weighted_ce_by_hand():
    step = step_of([0, 1, 0, 3])
    step.frequency = torch.tensor([0.5, 0.3, 0.0, 0.2])
    weights = {0: 1 / (3 * 0.5), 1: 1 / (3 * 0.3), 3: 1 / (3 * 0.2)}
    total = 0.0
    for scores, label in zip(step.logits.tolist(), [0, 1, 0, 3], strict=True):
        total += weights[label] * (math.log(sum(math.exp(score) for score in scores)) - scores[label])
    assert float(loss_of("weighted-ce")(step)) == pytest.approx(total / 4, rel=1e-4)


def test_video_ce_reads_no_text():
    step, loss = step_of([0, 1, 0, 3]), loss_of("video-ce")
    loss(step).backward()
    assert not gradients(step.model.classifier)
    assert gradients(step.model.head)
    assert gradients(loss) == {"classifier.linear.weight", "classifier.linear.bias"}


def test_video_ce_starts_with_every_class_as_likely():
    assert float(VideoCe(DIM, NUM_CLASSES)(step_of([0, 1, 0, 3]))) == pytest.approx(math.log(NUM_CLASSES))


def slow_masked_text(step, loss, hidden):
    texts, total = step.texts, 0.0
    for video, (label, place) in enumerate(zip(step.target.tolist(), hidden, strict=True)):
        own = [texts.rows[label, row] for row in range(texts.counts[label])]
        rest = [row for number, row in enumerate(own) if number != place]
        rest = sum(rest) / len(rest) if rest else torch.zeros(DIM)
        seen = torch.cat([step.pooled[video] / step.pooled[video].norm(), rest])
        answer = linear(loss.predict[2], gelu(linear(loss.predict[0], seen)))
        answer = answer / answer.norm()
        others = [
            math.exp(float(answer @ texts.rows[other, row]) / 0.07)
            for other in range(len(texts))
            if other != label
            for row in range(texts.counts[other])
        ]
        right = math.exp(float(answer @ own[place]) / 0.07)
        total -= math.log(right / (right + sum(others)))
    return total / len(hidden)


@pytest.mark.parametrize("seed", range(4))
def test_masked_text_by_hand(seed):
    target = [0, 1, 0, 3, 2]
    step, loss = step_of(target, seed=seed), loss_of("masked-text")
    share = torch.rand(5, generator=torch.Generator().manual_seed(seed))
    hidden = (share * step.texts.counts[step.target]).long().tolist()
    assert hidden[1] == 0  # its class has one text
    assert float(loss(step)) == pytest.approx(slow_masked_text(step, loss, hidden), rel=1e-4)


def test_masked_text_teaches_the_head_and_its_own_layers():
    step, loss = step_of([0, 1, 0, 3]), loss_of("masked-text")
    loss(step).backward()
    assert gradients(step.model.head)
    assert gradients(loss) == {name for name, _ in loss.named_parameters()}
    assert not gradients(step.model.classifier)


def test_masked_text_does_not_read_the_hidden_text_nor_what_lies_beyond_a_class():
    loss, step = loss_of("masked-text"), step_of([1, 1])  # one text, which is hidden: nothing of it may be read
    predicted = []
    loss.predict.register_forward_hook(lambda module, seen, answer: predicted.append(answer.detach()))
    value = loss(step)
    rows = step.texts.rows.clone()
    rows[1, 0] = rows[1, 0].flip(0)
    moved = step_of([1, 1])
    moved._texts = replace(step.texts, rows=rows)
    assert not torch.equal(loss(moved), value)
    assert torch.equal(*predicted)
    rows = step.texts.rows.clone()
    rows[1, 1:] = 7.0
    padded = step_of([3, 3])
    plain = loss(padded)
    padded = step_of([3, 3])
    padded._texts = replace(step.texts, rows=rows)
    assert torch.equal(loss(padded), plain)
