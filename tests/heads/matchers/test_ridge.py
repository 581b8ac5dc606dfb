import math

import pytest
import torch
import torch.nn.functional as F

from framebank.heads.classifiers.folds import fold_numbers
from framebank.heads.classifiers.least_squares import least_squares
from framebank.heads.classifiers.ridge import PENALTIES, SCALES
from framebank.heads.classifiers.targets import held_out
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.store import DataError
from framebank.tests.worlds.classifier import built, draw, videos

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


@torch.no_grad()
@pytest.mark.parametrize("each", [1, 8])  # fewer rows than channels, and more
@pytest.mark.parametrize("standardise", [False, True])
def test_ridge_by_the_normal_equations(each, standardise):
    pooled, target = videos(each=each, groups=1, dim=8)
    classifier = built("ridge", fit=False, penalty=0.3, standardise=standardise)
    classifier.fit(pooled, target, val=None)
    rows = F.normalize(pooled[:, 0].double(), dim=-1)
    mean, spread = rows.mean(0), rows.std(0, correction=0)
    spread = spread if standardise else spread.square().mean().sqrt()
    x = (rows - mean) / spread
    query = F.normalize(draw(4, 8, seed=3).double(), dim=-1)
    ratios = []
    for c in range(5):
        y = torch.where(target == c, 1.0, -1.0).double()
        # a column of ones for the bias, which is not penalised
        full = torch.cat([x, torch.ones(len(x), 1, dtype=torch.double)], dim=1)
        penalty = 0.3 * len(x) * torch.eye(9, dtype=torch.double)
        penalty[8, 8] = 0
        solved = torch.linalg.solve(full.T @ full + penalty, full.T @ y)
        expected = (query - mean) / spread @ solved[:8] + solved[8]
        ratios.append(classifier(query.float())[:, c].double() / expected)
    ratios = torch.stack(ratios)
    torch.testing.assert_close(ratios, ratios[0, 0].expand_as(ratios), rtol=1e-3, atol=1e-3)  # one scale for all
    if each == 1:
        assert ratios[0, 0].item() == pytest.approx(10, rel=1e-3)  # nothing to choose a scale by


def test_ridge_chooses_on_the_validation_videos():
    pooled, target = videos(each=4)
    noisy = torch.cat([pooled, draw(len(target), 2, 8, seed=8)], dim=-1)
    good = built("ridge", fit=False, dim=16)
    good.fit(noisy, target, val=(noisy, target))  # told that what it learns is right
    wrong = built("ridge", fit=False, dim=16)
    wrong.fit(noisy, target, val=(noisy, target.roll(1)))  # told that nothing it learns is right
    assert good.weight.norm() > 3 * wrong.weight.norm()


@torch.no_grad()
def test_ridge_without_validation_videos_chooses_by_folds_of_its_own():
    pooled, target = videos(each=10)
    pooled = pooled + draw(*pooled.shape, seed=3)
    fold, rows = fold_numbers(target), F.normalize(pooled.double(), dim=-1)
    answers = (2 * F.one_hot(target, 5).double() - 1).repeat_interleave(pooled.shape[1], dim=0)
    held = [(fold == number).repeat_interleave(pooled.shape[1]) for number in range(5)]
    parts = least_squares(rows.flatten(0, 1), answers, held)
    top1, losses = [], []
    for penalty in PENALTIES:
        logits = torch.zeros(len(target), 5, dtype=torch.double)
        for number in range(5):
            solved = next(parts[number].solve((penalty,), standardise=True))
            logits[fold == number] = F.linear(rows[fold == number], *solved).mean(1)
        top1.append(float((logits.argmax(1) == target).double().mean()))
        losses.append(min(float(F.cross_entropy(scale * logits, target)) for scale in SCALES))
    error = math.sqrt(max(top1) * (1 - max(top1)) / len(target))
    near = [place for place, value in enumerate(top1) if value >= max(top1) - error]
    best = PENALTIES[min(near, key=lambda place: losses[place])]
    chosen, same = (built("ridge", fit=False, penalty=own, standardise=True) for own in (0.0, best))
    chosen.fit(pooled, target, val=None)
    same.fit(pooled, target, val=None)
    assert torch.equal(chosen.weight, same.weight)
    assert top1.index(max(top1)) != PENALTIES.index(best)  # top-1 alone would have chosen another


@torch.no_grad()
@pytest.mark.parametrize("each", [2, 6])
def test_ridge_tries_with_and_without_the_spread(each):
    pooled, target = videos(each=each, groups=1)
    noise = 0.01 * draw(len(target), 1, 400, seed=8)  # quiet channels, which a spread of one makes loud
    noisy = torch.cat([F.normalize(pooled, dim=-1), noise], dim=-1)
    chosen, without = (built("ridge", fit=False, dim=408, standardise=own) for own in (None, False))
    for classifier in (chosen, without):
        classifier.fit(noisy, target, val=None)
    assert not chosen.standardised
    assert torch.equal(chosen.weight, without.weight)
    loud = torch.cat([F.normalize(pooled, dim=-1), 100 * draw(len(target), 1, 1, seed=8)], dim=-1)
    chosen, scaled = (built("ridge", fit=False, dim=9, standardise=own) for own in (None, True))
    for classifier in (chosen, scaled):
        classifier.fit(loud, target, val=None)
    assert chosen.standardised
    assert torch.equal(chosen.weight, scaled.weight)


def test_ridge_of_one_video_a_class_has_no_spread():
    pooled, target = videos(each=1, groups=1)
    chosen, without = (built("ridge", fit=False, standardise=own) for own in (None, False))
    for classifier in (chosen, without):
        classifier.fit(pooled, target, val=None)
    assert torch.equal(chosen.weight, without.weight)


def test_ridge_takes_a_channel_that_never_changes():
    pooled, target = videos(groups=1)
    pooled = torch.cat([F.normalize(pooled, dim=-1), torch.ones(len(target), 1, 1)], dim=-1)
    classifier = built("ridge", fit=False, dim=9, standardise=True)
    classifier.fit(pooled, target, val=None)
    assert classifier.weight.isfinite().all()
    assert (classifier.weight[:, 8] == 0).all()


@torch.no_grad()
def test_ridge_of_a_chosen_penalty_is_that_of_the_penalty_given():
    pooled, target = videos(each=8)
    val = videos(each=8, seed=1)
    chosen = built("ridge", fit=False, standardise=True)
    chosen.fit(pooled, target, val=val)

    def top1(classifier):
        logits = classifier(val[0].flatten(0, 1)).unflatten(0, val[0].shape[:2]).mean(1)
        return float((logits.argmax(1) == val[1]).double().mean())

    equals = []
    for penalty in PENALTIES:
        given = built("ridge", fit=False, penalty=penalty, standardise=True)
        given.fit(pooled, target, val=val)
        assert top1(chosen) >= top1(given)
        if top1(given) == top1(chosen):
            equals.append(given)
    assert torch.equal(equals[-1].weight, chosen.weight)  # the greatest of equals


def test_ridge_refuses_a_penalty_below_zero():
    with pytest.raises(DataError, match=r"penalty is -1\.0; expected more than 0, or 0 to have it chosen"):
        built("ridge", penalty=-1.0)


def test_ridge_is_trained_further(world):
    recipe = Recipe(head="mean", classifier="ridge", loss="ce", epochs=3, lr=1e-2, weight_decay=0.0)
    job = TrainingJob(world.store, world.manifest.split("train"), recipe, prompts=None, device=CPU)
    start = job.model.classifier.weight.detach().clone()
    losses = [epoch.loss for epoch in job.epochs()]
    assert losses[-1] < losses[0]
    assert F.cosine_similarity(start.flatten(), job.model.classifier.weight.flatten(), dim=0) > 0.9


@torch.no_grad()
def test_ridge_divides_no_group_where_it_holds_out():
    """Noise, each video four times, which are a group: a held copy of what was learned would make it look certain."""
    groups = torch.arange(20).repeat_interleave(4)
    rows, labels = draw(20, 2, 40)[groups], (torch.arange(20) // 10)[groups]
    held = held_out(labels, groups)
    assert {int(group) for group in groups[held]}.isdisjoint(groups[~held].tolist())
    assert [int((labels[held] == number).sum()) for number in range(2)] == [8, 8]
    grouped, single = (built("ridge", fit=False, num_classes=2, dim=40) for _ in range(2))
    grouped.fit(rows, labels, val=None, groups=groups)
    single.fit(rows, labels, val=None, groups=torch.arange(len(labels)))
    assert grouped.weight.norm() < 0.5 * single.weight.norm()


def test_no_group_that_is_all_of_a_class_is_held_out():
    target, groups = torch.tensor([0] * 6 + [1] * 6), torch.tensor([0] * 6 + [1, 1, 2, 2, 3, 3])
    held = held_out(target, groups)
    assert (held[:6].sum().item(), held[6:].sum().item()) == (0, 2)
    assert held_out(target, torch.zeros(12, dtype=torch.long)).sum() == 0
