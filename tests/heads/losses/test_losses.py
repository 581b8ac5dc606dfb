import math
from types import SimpleNamespace

import pytest
import torch

from framebank.heads.losses.cross_entropy import CrossEntropy
from framebank.heads.losses.kl import symmetric_kl


def logits_of(size, *, seed=0):
    return 3 * torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_kl(logits, labels):
    """ActionCLIP's loss, entry by entry: mean over entries times B, of videos and of texts, halved."""
    size = len(labels)
    total = 0.0
    for scores in (logits.tolist(), logits.T.tolist()):
        for i in range(size):
            truth = [math.exp(10.0 * (labels[i] == labels[k])) for k in range(size)]
            found = [math.exp(scores[i][k]) for k in range(size)]
            for k in range(size):
                t, p = truth[k] / sum(truth), found[k] / sum(found)
                total += t * (math.log(t) - math.log(p)) / size**2
    return total * size / 2


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 1, 0, 3], [2, 2, 2, 2], [5], [1, 1, 0, 0, 1]])
def test_symmetric_kl_is_the_loop(labels):
    logits = logits_of(len(labels))
    assert float(symmetric_kl(logits, torch.tensor(labels))) == pytest.approx(slow_kl(logits, labels))


def test_target_of_one_positive_in_128():
    # with this target the loss has its minimum, 0, where the probabilities are e^10 / (e^10 + 127) = 0.9943
    logits = 10.0 * torch.eye(128, dtype=torch.float64)
    assert logits.softmax(1)[0, 0].item() == pytest.approx(0.9943, abs=5e-5)
    assert float(symmetric_kl(logits, torch.arange(128))) == pytest.approx(0, abs=1e-12)
    assert float(symmetric_kl(logits + 1e-3 * logits_of(128), torch.arange(128))) > 0


def test_positives_of_one_class_share_the_target():
    logits = 10.0 * torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.float64)
    assert float(symmetric_kl(logits, torch.tensor([7, 7, 1]))) == pytest.approx(0, abs=1e-12)


def test_duplicates_are_not_negatives():
    logits, labels = logits_of(4), torch.tensor([0, 1, 0, 1])
    assert abs(float(symmetric_kl(logits, labels) - symmetric_kl(logits, torch.arange(4)))) > 0.1
    assert torch.equal(symmetric_kl(logits, torch.tensor([4, 9, 2, 7])), symmetric_kl(logits, torch.arange(4)))


def test_videos_and_texts_count_alike():
    logits, labels = logits_of(5), torch.tensor([0, 1, 0, 3, 3])
    torch.testing.assert_close(symmetric_kl(logits.T, labels), symmetric_kl(logits, labels))


def test_order_of_the_batch_does_not_matter():
    logits, labels = logits_of(6), torch.tensor([0, 1, 0, 3, 1, 5])
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(symmetric_kl(logits[order][:, order], labels[order]), symmetric_kl(logits, labels))


def test_gradient():
    labels = torch.tensor([0, 1, 0, 3])
    logits = logits_of(4).requires_grad_()
    assert torch.autograd.gradcheck(lambda scores: symmetric_kl(scores, labels), (logits,))


def test_cross_entropy_by_hand():
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    step = SimpleNamespace(logits=logits, labels=torch.eye(2))
    expected = (-math.log(3 / 4) - math.log(1 / 2)) / 2
    assert float(CrossEntropy(4, 2)(step)) == pytest.approx(expected)
    smoothed = CrossEntropy(4, 2, label_smoothing=0.2)(step)
    by_hand = (-0.9 * math.log(3 / 4) - 0.1 * math.log(1 / 4) - math.log(1 / 2)) / 2
    assert float(smoothed) == pytest.approx(by_hand)


def test_cross_entropy_of_mixed_videos():
    logits = torch.tensor([[math.log(3.0), 0.0]])
    step = SimpleNamespace(logits=logits, labels=torch.tensor([[0.7, 0.3]]))
    assert float(CrossEntropy(4, 2)(step)) == pytest.approx(-0.7 * math.log(3 / 4) - 0.3 * math.log(1 / 4))
