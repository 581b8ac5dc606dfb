import pytest
import torch

from framebank.heads.classifiers.knn import KnnClassifier
from framebank.heads.metrics import measure
from framebank.heads.predictions import Predictions
from framebank.heads.ranking import best_class, nearest_rows, rank_classes, rank_of_target


@pytest.mark.parametrize("levels", [1, 2, 4, 1000])
def test_best_rank_and_order_agree_whatever_is_equal(levels):
    generator = torch.Generator().manual_seed(levels)
    scores = torch.randint(levels, (300, 12), generator=generator).float()
    target = torch.randint(12, (300,), generator=generator)
    order, rank = rank_classes(scores), rank_of_target(scores, target)
    assert torch.equal(best_class(scores), order[:, 0])
    assert torch.equal(order.gather(1, rank[:, None])[:, 0], target)
    assert torch.equal(rank == 0, best_class(scores) == target)
    by_hand = [sorted(range(12), key=lambda c: (-row[c], c)) for row in scores.tolist()]
    assert order.tolist() == by_hand


@pytest.mark.parametrize("num_classes", [1, 2, 5, 7, 101])
def test_a_constant_scorer_is_worth_what_always_the_first_class_is(num_classes):
    targets = torch.arange(num_classes).repeat(3).numpy()
    names = tuple(f"class {number}" for number in range(num_classes))
    constant = torch.full((len(targets), num_classes), 1 / num_classes).numpy()
    first = torch.zeros(len(targets), num_classes)
    first[:, 0] = 1
    ids = tuple(map(str, range(len(targets))))
    of_constant, of_first = (measure(Predictions(ids, s, targets, names)) for s in (constant, first.numpy()))
    assert of_constant == of_first
    assert of_constant["top1"] == pytest.approx(1 / num_classes)
    assert of_constant["mean_class_accuracy"] == pytest.approx(1 / num_classes)
    assert of_constant["top5"] == pytest.approx(min(1, 5 / num_classes))
    assert [row[0] for row in of_constant["confusion"]] == [3] * num_classes


def test_top5_is_never_below_top1():
    generator = torch.Generator().manual_seed(0)
    for levels in (1, 2, 3):
        scores = torch.randint(levels, (200, 101), generator=generator).float().numpy()
        targets = torch.randint(101, (200,), generator=generator).numpy()
        found = measure(Predictions(tuple(map(str, range(200))), scores, targets, tuple(map(str, range(101)))))
        assert found["top5"] >= found["top1"]


@pytest.mark.parametrize("levels", [1, 3, 1000])
@pytest.mark.parametrize("k", [1, 4, 40, 200])
def test_the_nearest_of_equals_are_the_first(levels, k):
    cosines = torch.randint(levels, (50, 40), generator=torch.Generator().manual_seed(k)).float()
    values, places = nearest_rows(cosines, k)
    expected = rank_classes(cosines)[:, :k]
    assert torch.equal(places, expected)
    assert torch.equal(values, cosines.gather(1, expected))


def test_no_row_has_no_nearest():
    values, places = nearest_rows(torch.zeros(3, 0), 4)
    assert values.shape == places.shape == (3, 0)


def test_one_neighbour_of_equal_ones_is_the_first_of_the_training_videos():
    rows = torch.tensor([[1.0, 0.0]]).repeat(100, 1)[:, None]  # (V, G, D), the same video 100 times
    target = torch.arange(100).flip(0)
    knn = KnnClassifier(2, 100, k=1)
    knn.fit(rows, target, val=None)
    assert best_class(knn(torch.tensor([[1.0, 0.0]]))).tolist() == [99]
