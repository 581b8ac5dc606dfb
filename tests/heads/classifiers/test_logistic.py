"""Logistic regression: the minimum in every basis, and what the folds choose."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.classifiers.logistic import PENALTIES, PENALTY, LogisticClassifier
from framebank.store import DataError

CLASSES = 3
pytestmark = pytest.mark.usefixtures("one_thread")


def world(videos: int, *, tell: float, noise: tuple[float, float], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Videos (V, 1, D): 8 channels tell the classes apart by `tell`, 60 do not. `noise` is that of both."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.arange(videos) % CLASSES
    signal = tell * F.one_hot(target, 8) + noise[0] * torch.randn(videos, 8, generator=generator)
    other = noise[1] * torch.randn(videos, 60, generator=generator)
    return torch.cat([signal, other], 1)[:, None], target


def fitted(pooled: Tensor, target: Tensor, **options: object) -> LogisticClassifier:
    made = LogisticClassifier(pooled.shape[-1], CLASSES, **options)
    made.fit(pooled, target, val=None)
    return made


@pytest.mark.parametrize("videos", [30, 200])
@pytest.mark.parametrize("standardise", [False, True])
def test_few_rows_and_many_have_the_minimum(videos: int, standardise: bool) -> None:
    """At the minimum the slope of the cross-entropies is that of the penalty, which is of the weights as fitted."""
    pooled, target = world(videos, tell=1.0, noise=(0.3, 1.0))
    made = fitted(pooled, target, penalty=0.3, standardise=standardise)
    rows = F.normalize(pooled[:, 0], dim=-1).double()
    spread = rows.std(0, correction=0)
    scale = spread.square().mean().sqrt() / spread if standardise else torch.ones_like(spread)
    weight, bias = made.weight.double(), made.bias.double()
    slope = (F.linear(rows, weight, bias).softmax(-1) - F.one_hot(target, CLASSES)).T  # (C, V)
    inner = 0.3 * weight / scale + slope @ ((rows - rows.mean(0)) * scale)
    assert inner.abs().max() < 1e-4
    assert slope.sum(1).abs().max() < 1e-4


def test_folds_choose_the_spread_where_it_helps_and_leave_it_where_it_harms() -> None:
    small = world(60, tell=0.1, noise=(0.02, 1.0))  # what tells is small beside what does not
    large = world(60, tell=2.0, noise=(1.0, 0.05))  # what does not tell is small
    for (pooled, target), expected in ((small, True), (large, False)):
        made = fitted(pooled, target, penalty=0.0)
        assert made.chosen_options["standardise"] is expected
        assert made.chosen_options["penalty"] in PENALTIES
        again = fitted(pooled, target, **made.chosen_options)
        assert torch.equal(again.weight, made.weight)


def test_validation_videos_choose_where_there_are_any() -> None:
    """Validation videos whose labels are drawn by lot ask for the greatest penalty; the folds do not."""
    pooled, target = world(60, tell=2.0, noise=(1.0, 0.05))
    lots = target[torch.randperm(60, generator=torch.Generator().manual_seed(1))]
    made = LogisticClassifier(pooled.shape[-1], CLASSES, penalty=0.0)
    made.fit(pooled, target, val=(pooled, lots))
    assert made.chosen_options["penalty"] == PENALTIES[0] > fitted(pooled, target, penalty=0.0).chosen[0]


def test_one_video_of_each_class_leaves_nothing_to_choose_by() -> None:
    pooled, target = world(3, tell=1.0, noise=(0.1, 0.1))
    assert fitted(pooled, target, penalty=0.0).chosen_options == {"penalty": PENALTY, "standardise": False}


def test_what_is_no_penalty_is_one_sentence() -> None:
    with pytest.raises(DataError, match=r"penalty is -1\.0"):
        LogisticClassifier(4, CLASSES, penalty=-1.0)
