"""Thresholds of several labels: where they lie, and what holds those of rare labels."""

import numpy as np
import pytest
import torch

from framebank.heads.confidence import thresholds as module
from framebank.heads.confidence.scaling import Scaling
from framebank.heads.confidence.thresholds import LabelThresholds, fit_thresholds
from framebank.store import DataError


def world(count: int, *, seed: int = 0, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (V, C) and labels (V, C) drawn by them; the logits of the first class are then 2 too low."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, classes, generator=generator, dtype=torch.double) - 1
    target = (torch.rand(count, classes, generator=generator) < logits.sigmoid()).long()
    return logits - torch.tensor([2.0] + [0.0] * (classes - 1)), target


def f1(logits: torch.Tensor, target: torch.Tensor, values: float | tuple[float, ...]) -> np.ndarray:
    """F1 of each class above its threshold, (C,)."""
    given, hits = (logits.sigmoid() > torch.tensor(values)).numpy(), target.numpy() > 0
    found: np.ndarray = 2 * (given & hits).sum(0) / (given.sum(0) + hits.sum(0))
    return found


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right labels at 0.9 and 0.6 and a wrong one at 0.8: above 0.3 the F1 is 4/5, above 0.85 it is 2/3."""
    monkeypatch.setattr(module, "HOLD", 0.0)
    scores = torch.full((20, 1), 0.1, dtype=torch.double)
    scores[:4, 0] = torch.tensor([0.9, 0.8, 0.6, 0.3])
    target = torch.zeros(20, 1, dtype=torch.long)
    target[[0, 2]] = 1
    assert fit_thresholds(scores.logit(), target).values == pytest.approx([0.45])
    assert fit_thresholds(scores.logit(), target, precision=0.9).values == pytest.approx([0.85])
    target[0] = 0  # the surest label is a wrong one now
    assert fit_thresholds(scores.logit(), target, precision=0.9).values == (1.0,)


def test_a_class_that_is_told_too_rarely_gets_a_lower_threshold() -> None:
    found = fit_thresholds(*world(400))
    assert found.videos == 400
    assert found.values[0] < min(found.values[1:])
    logits, target = world(2000, seed=1)
    assert f1(logits, target, found.values)[0] > f1(logits, target, 0.5)[0] + 0.03


def test_the_wanted_precision_is_met_on_other_videos() -> None:
    found = fit_thresholds(*world(600), precision=0.9)
    logits, target = world(4000, seed=1)
    given = logits.sigmoid() > torch.tensor(found.values)
    precision = float(target[given].double().mean())
    assert 0.87 < precision < 0.93


def test_a_rare_label_is_held_to_all_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, target = world(300)
    logits[:, 3] = torch.linspace(-6, -3, 300, dtype=torch.double)
    target[:, 3] = torch.arange(300) == 0  # one video has it, the least likely of all
    held = fit_thresholds(logits, target).values
    assert int((logits[:, 3].sigmoid() > held[3]).sum()) < 10
    monkeypatch.setattr(module, "HOLD", 1e-9)
    alone = fit_thresholds(logits, target).values
    assert int((logits[:, 3].sigmoid() > alone[3]).sum()) == 300  # by itself it is given to every video


def test_a_temperature_changes_no_label() -> None:
    found = fit_thresholds(*world(100))
    logits, _ = world(50, seed=2)
    scaling = Scaling(2.5, 100)
    before = logits.sigmoid().numpy() > found.under(None)
    after = scaling.apply(logits, multi_label=True).sigmoid().numpy() > found.under(scaling)
    assert np.array_equal(before, after)
    assert LabelThresholds((1.0,), 20).under(scaling).tolist() == [1.0]  # never


def test_what_is_read_is_checked() -> None:
    said = fit_thresholds(*world(50), precision=0.8).to_dict()
    assert LabelThresholds.read(said, num_classes=4, where="run").to_dict() == said
    for wrong, told in (
        ({"version": 2}, "1, which this framebank knows"),
        ({"values": [0.5]}, "a probability for each of the 4 classes"),
        ({"values": [0.5, 0.5, 0.5, 1.5]}, "a probability for each of the 4 classes"),
    ):
        with pytest.raises(DataError, match=told):
            LabelThresholds.read({**said, **wrong}, num_classes=4, where="run")


def test_too_few_videos_are_refused() -> None:
    logits, target = world(50)
    with pytest.raises(DataError, match="there are 19 validation videos to fit thresholds by; expected 20 or more"):
        fit_thresholds(logits[:19], target[:19])
    with pytest.raises(DataError, match="no validation video has a label"):
        fit_thresholds(logits, torch.zeros_like(target))
