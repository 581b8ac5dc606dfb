import numpy as np
import pytest
import torch

from framebank.heads.confidence.conformal import label_sets
from framebank.heads.confidence.scaling import Scaling, fit_scaling
from framebank.heads.confidence.worth import confidence_of, coverage, ece_by_chance, reliability
from framebank.store import DataError


def world(count: int, *, classes: int = 5, sharpness: float = 1.0, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (V, C) and classes (V,) drawn by their softmax; the logits are then made sharper."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, classes, generator=generator, dtype=torch.double)
    target = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return logits * sharpness, target


@pytest.mark.parametrize("sharpness", [0.3, 3.0])
def test_the_temperature_undoes_what_made_logits_sharp(sharpness: float):
    found = fit_scaling(*world(2000, sharpness=sharpness))
    assert found.temperature == pytest.approx(sharpness, rel=0.1)
    logits, target = world(4000, sharpness=sharpness, seed=1)
    before, after = (confidence_of(each.softmax(1).numpy(), target.numpy()) for each in (logits, found.apply(logits)))
    assert after["ece"] < before["ece"] / 4
    assert after["nll"] < before["nll"] and after["brier"] < before["brier"]
    assert (found.apply(logits).argmax(1) == logits.argmax(1)).all()


def test_a_temperature_stays_one_where_none_is_clearly_better():
    assert fit_scaling(*world(200)).temperature == 1.0


def test_few_videos_that_are_all_right_do_not_make_a_run_sure_of_everything():
    logits = 2 * torch.eye(4).repeat(8, 1)
    found = fit_scaling(logits, logits.argmax(1))
    assert 0.2 < found.temperature < 0.6
    with pytest.raises(DataError, match="there are 4 validation videos"):
        fit_scaling(logits[:4], logits[:4].argmax(1))


def test_a_scale_for_each_class():
    logits, target = world(800)
    skewed = logits + torch.tensor([2.0, 0, 0, 0, 0], dtype=torch.double)  # the first class is told too often
    plain, each = fit_scaling(skewed, target), fit_scaling(skewed, target, by_class=True)
    others, truth = world(800, seed=2)
    others = others + torch.tensor([2.0, 0, 0, 0, 0], dtype=torch.double)
    losses = [confidence_of(one.apply(others).softmax(1).numpy(), truth.numpy())["nll"] for one in (plain, each)]
    assert losses[1] < losses[0] - 0.05
    assert each.biases[0] < -1
    assert each.without_classes() == Scaling(each.temperature, 800)


def test_several_labels_are_scaled_one_by_one():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(1000, 3, generator=generator, dtype=torch.double)
    target = (torch.rand(1000, 3, generator=generator) < logits.sigmoid()).long()
    found = fit_scaling(4 * logits, target)
    assert found.temperature == pytest.approx(4, rel=0.15)
    assert torch.equal(found.apply(logits, multi_label=True), logits / found.temperature)
    assert found.scores == ()


def test_what_is_kept_is_read_again_and_a_constant_changes_nothing():
    logits, target = world(100, sharpness=3)
    found = fit_scaling(logits, target, by_class=True)
    assert found.apply(logits + 7).softmax(1).numpy() == pytest.approx(found.apply(logits).softmax(1).numpy())
    assert Scaling.read(found.to_dict(), num_classes=5, where="run") == found


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 2}, "version is 2"),
        ({"temperature": 0.0}, "temperature"),
        ({"scales": [1.0]}, "scales"),
        ({"classes": [9], "scores": [0.5]}, "classes"),
        ({"classes": [], "scores": [0.5]}, "classes"),
    ],
)
def test_a_scaling_that_does_not_fit_is_refused(change, told):
    with pytest.raises(DataError, match=told):
        Scaling.read({**Scaling(1.0, 30).to_dict(), **change}, num_classes=5, where="run")


def test_worth_by_hand():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    targets = np.array([0, 1, 1, 0])
    found = confidence_of(scores, targets, bins=2)
    # The less sure two (0.6, 0.7) are right both, of the surer (0.8, 0.9) one is.
    assert [row["accuracy"] for row in found["reliability"]] == [1.0, 0.5]
    assert found["ece"] == pytest.approx((abs(1 - 0.65) + abs(0.5 - 0.85)) / 2)
    assert found["brier"] == pytest.approx(np.mean([0.02, 1.28, 0.18, 0.32]))
    assert found["nll"] == pytest.approx(-np.mean(np.log([0.9, 0.2, 0.7, 0.6])))
    assert found["aurc"] == pytest.approx(np.mean([0, 1 / 2, 1 / 3, 1 / 4]))
    half = next(row for row in found["coverage"] if row["coverage"] == 0.5)
    assert (half["accuracy"], half["abstain_below"]) == (0.5, 0.8)


def test_the_error_by_chance_is_that_of_answers_drawn_by_their_own_probabilities():
    errors, chances = [], []
    for seed in range(40):
        logits, target = world(120, seed=seed)
        found = confidence_of(logits.softmax(1).numpy(), target.numpy())
        errors.append(found["ece"])
        chances.append(found["ece_by_chance"])
    assert np.mean(chances) == pytest.approx(np.mean(errors), rel=0.06)
    assert 0.07 < np.mean(chances) < 0.15
    assert ece_by_chance(np.full(10_000, 0.9)) < 0.01  # many videos leave little to chance
    one = ece_by_chance(np.array([0.5]))  # |1 - 0.5| or |0 - 0.5|
    assert one == 0.5


def test_bins_hold_equally_many_videos_and_none_is_lost():
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(100), rng.random(100) < 0.5
    rows = reliability(confidence, correct)
    assert sum(row["videos"] for row in rows) == 100
    assert {row["videos"] for row in rows} == {6, 7}
    assert [row["confidence"] for row in rows] == sorted(row["confidence"] for row in rows)
    assert len(reliability(confidence[:3], correct[:3])) == 3
    assert coverage(confidence, correct)[0]["accuracy"] == correct.mean()


def test_sets_cover_what_was_asked_for():
    """Over 100 draws of validation and test videos, and in each class where that was asked for."""
    logits, target = world(2000, seed=3)
    p, y = logits.softmax(1).numpy(), target.numpy()
    rng = np.random.default_rng(0)
    plain, by_class = [], []
    for _ in range(100):
        order = rng.permutation(2000)
        val, test = order[:500], order[500:]
        known = 1 - p[val, y[val]]
        held = label_sets(p[test], level=0.9, known=known)
        plain.append(held[np.arange(1500), y[test]].mean())
        held = label_sets(p[test], level=0.9, known=known, classes=y[val])
        own = held[np.arange(1500), y[test]]
        by_class.append([own[y[test] == place].mean() for place in range(5)])
    assert np.mean(plain) == pytest.approx(0.9, abs=0.01)
    assert np.mean(by_class, axis=0) == pytest.approx(0.9, abs=0.02)


def test_a_sure_run_has_sets_that_are_not_empty():
    """1 - p is about 4e-7 of each video: it must not be rounded to less than it is."""
    logits = 16 * torch.eye(4, dtype=torch.double).repeat(10, 1)
    target = logits.argmax(1)
    found = fit_scaling(logits, target)
    p = found.apply(logits).softmax(1).numpy()
    assert found.scores == pytest.approx(1 - p.max(1), rel=1e-12)
    held = label_sets(p, level=0.9, known=found.scores)
    assert held[np.arange(40), target.numpy()].all() and held.sum() == 40
    # An earlier version rounded: such a run is read, and its sets are not empty either.
    rounded = {**found.to_dict(), "scores": [round(score, 6) for score in found.scores]}
    old = Scaling.read(rounded, num_classes=4, where="run")
    assert label_sets(p, level=0.9, known=old.scores).sum() == 40


@pytest.mark.usefixtures("one_thread")
def test_sets_of_a_scaling_by_class_cover_what_was_asked_for():
    """Over 20 draws of 100 validation videos of 20 classes; the scores of the fit itself cover 85 %."""
    covered = []
    for seed in range(20):
        logits, target = world(1100, classes=20, seed=seed)
        found = fit_scaling(logits[:100], target[:100], by_class=True)
        held = label_sets(found.apply(logits[100:]).softmax(1).numpy(), level=0.9, known=found.scores)
        covered.append(held[np.arange(1000), target[100:].numpy()].mean())
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02)


def test_a_set_by_hand_and_too_few_videos():
    p = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]])
    known = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.9, 0.95]  # of 9, level 0.7: the 7th
    assert label_sets(p, level=0.7, known=known).tolist() == [[True, False, False], [True, True, False]]
    # The second and third class have too few videos, and are in every set.
    assert label_sets(p, level=0.7, known=known, classes=[0] * 9)[:, 1:].all()
    with pytest.raises(DataError, match="scores of 9 validation videos to make sets by; expected 19 or more for 95 %"):
        label_sets(p, level=0.95, known=known)
    with pytest.raises(DataError, match="scores of 0 validation videos"):
        label_sets(p, level=0.9, known=())
    with pytest.raises(DataError, match="between 0 and 1"):
        label_sets(p, level=1.0, known=known)
