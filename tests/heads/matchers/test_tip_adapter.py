import math

import pytest
import torch
import torch.nn.functional as F

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers import tip_adapter
from framebank.heads.classifiers.tip_adapter import ALPHAS, BETAS, TipAdapter
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.tests.worlds.classifier import built, draw, videos
from framebank.tests.worlds.heads import DIM, prompts_of, texts_of

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("name", ["tip-adapter", "tip-adapter-f"])
@torch.no_grad()
def test_tip_adapter_by_the_formula(name):
    pooled, target = videos(each=3, groups=2)
    texts = ClassTexts.of_matrix(draw(5, 8, seed=7), logit_scale=100)
    classifier = built(name, texts=texts, fit=False, alpha=1.17, beta=5.5, search=False)
    classifier.fit(pooled, target, val=None)
    for x, logits in zip(draw(6, 8, seed=3), classifier(draw(6, 8, seed=3)), strict=True):
        expected = [100 * float(F.cosine_similarity(x, texts.matrix[0, c], dim=0)) for c in range(5)]
        for views, label in zip(pooled, target.tolist(), strict=True):
            affinity = float(F.cosine_similarity(x, views.mean(0), dim=0))
            expected[label] += 1.17 * math.exp(-5.5 * (1 - affinity))
        torch.testing.assert_close(logits, torch.tensor(expected), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["tip-adapter", "tip-adapter-f"])
@pytest.mark.parametrize("scoring", ["probabilities", "embeddings"])
def test_tip_adapter_of_alpha_zero_is_zero_shot(name, scoring):
    texts = texts_of(prompts_of(), scoring=scoring)
    classifier = built(name, 4, DIM, texts=texts, fit=False, alpha=0.0, search=False)
    classifier.fit(*videos(4, dim=DIM), val=None)
    x = draw(6, DIM)
    assert torch.equal(classifier(x), built("text", 4, DIM, texts=texts)(x))


def test_without_wide_it_keeps_what_is_best_on_the_validation_videos():
    pooled, target = videos(each=6)
    texts = ClassTexts.of_matrix(draw(5, 8, seed=7), logit_scale=1)  # they know nothing of the videos
    val = videos(each=6, seed=1)
    classifier = built("tip-adapter", texts=texts, fit=False, wide=False)
    classifier.fit(pooled, target, val=val)

    def top1(alpha, beta):
        fixed = built("tip-adapter", texts=texts, fit=False, alpha=alpha, beta=beta, search=False)
        fixed.fit(pooled, target, val=val)
        probabilities = fixed(val[0].flatten(0, 1)).softmax(-1).unflatten(0, val[0].shape[:2]).mean(1)
        return (probabilities.argmax(1) == val[1]).float().mean().item()

    best = top1(float(classifier.alpha), float(classifier.beta))
    assert best > top1(0.0, 1.0)
    assert all(best >= top1(alpha, beta) - 1e-6 for alpha in ALPHAS[::4] for beta in BETAS[::5])


def test_without_wide_the_grid_is_that_of_ucf101_and_the_videos_of_the_cache_choose_nothing():
    pooled, target = videos(each=6)
    texts = ClassTexts.of_matrix(draw(5, 8, seed=7), logit_scale=20)
    classifier = built("tip-adapter", texts=texts, fit=False, alpha=0.7, beta=2.5, wide=False)
    classifier.fit(pooled, target, val=None)
    assert (classifier.alpha.item(), classifier.beta.item()) == (pytest.approx(0.7), 2.5)
    classifier.fit(pooled, target, val=videos(each=6, seed=1))
    assert any(classifier.alpha.item() == pytest.approx(alpha) for alpha in ALPHAS)
    assert any(classifier.beta.item() == pytest.approx(beta) for beta in BETAS)


def test_a_fold_is_scored_by_the_keys_of_the_others():
    """By the sum over the keys written out. A class that lacks keys counts as if it had all of them."""
    pooled, target = videos(each=3)
    classifier = built("tip-adapter", fit=False, search=False)
    classifier.fit(pooled, target, val=None)
    keys = F.normalize(pooled.float().mean(1), dim=-1)
    fold = torch.arange(len(target)) % 4
    near, scale = classifier._without_own(classifier._near(keys), fold, fold)
    scores = scale * classifier._sum(near, 2.5)
    for number, own in enumerate(keys):
        expected = torch.zeros(5)
        for label in range(5):
            others = [
                key for key, owner, f in zip(keys, target, fold, strict=True) if owner == label and f != fold[number]
            ]
            mean = sum(math.exp(-2.5 * (1 - float(own @ key))) for key in others) / max(len(others), 1)
            expected[label] = int((target == label).sum()) * mean
        torch.testing.assert_close(scores[number], expected, rtol=1e-4, atol=1e-5)


def test_of_what_is_not_surely_worse_the_nearest_to_the_start_is_chosen():
    classifier = built("tip-adapter", fit=False, search=False)  # 3 and 1
    pairs = [(50.0, 50.0), (10.0, 2.0), (3.0, 1.0)]
    right = torch.ones(3, 100)
    right[1, :1] = 0  # one video more or less says nothing
    right[2, :20] = 0
    assert classifier._chosen(pairs, right) == (10.0, 2.0)
    right[1, :9] = 0
    assert classifier._chosen(pairs, right) == (50.0, 50.0)
    assert built("tip-adapter", fit=False, wide=False)._chosen(pairs, torch.ones(3, 100)) == (3.0, 1.0)  # least alpha


def test_without_validation_videos_the_folds_choose():
    """The texts know nothing of the videos, and only a high alpha lets the cache outvote them."""
    pooled, target = videos(each=6)
    texts = ClassTexts.of_matrix(draw(5, 8, seed=7), logit_scale=60)
    chosen, kept = (built("tip-adapter", texts=texts, fit=False, wide=wide) for wide in (True, False))
    x, truth = videos(each=6, seed=1)
    right = []
    for classifier in (chosen, kept):
        classifier.fit(pooled, target, val=None)
        right.append(float((classifier(x.mean(1)).argmax(1) == truth).float().mean()))
    assert chosen.alpha > 3 and (kept.alpha, kept.beta) == (3, 1)
    assert right[0] > right[1]
    assert chosen.chosen_options == {"alpha": float(chosen.alpha), "beta": float(chosen.beta), "search": False}


@pytest.mark.parametrize("wide", [True, False])
@torch.no_grad()
def test_every_pair_is_judged_by_its_own_scores_in_parts_and_with_views(monkeypatch, wide):
    """One product with the keys serves all pairs, and videos are judged some at a time: nothing changes by that."""
    monkeypatch.setattr(tip_adapter, "PART", 7)
    pooled, target = videos(each=6, groups=2)
    val, truth = videos(each=5, groups=2, seed=1)
    texts = ClassTexts.of_matrix(draw(5, 8, seed=7), logit_scale=20)
    judged = []
    monkeypatch.setattr(TipAdapter, "_chosen", lambda classifier, pairs, right: judged.append((pairs, right)) or (3, 1))
    built("tip-adapter", texts=texts, fit=False, wide=wide).fit(pooled, target, val=(val, truth))
    pairs, right = judged[0]
    assert right.shape == (len(pairs), len(truth)) and 0 < right.mean() < 1
    for place in range(0, len(pairs), 13):
        fixed = built("tip-adapter", texts=texts, fit=False, search=False, alpha=pairs[place][0], beta=pairs[place][1])
        fixed.fit(pooled, target, val=None)
        probabilities = fixed(val.flatten(0, 1)).softmax(-1).unflatten(0, val.shape[:2]).mean(1)
        assert torch.equal(right[place], (probabilities.argmax(1) == truth).float())


def test_videos_of_one_source_do_not_judge_one_another(monkeypatch):
    """Each video has a copy of another class in the cache: a copy of the same source never scores it."""
    one, target = videos(each=4)
    pooled, target = torch.cat([one, one]), torch.cat([target, (target + 1) % 5])
    groups, judged = torch.arange(len(one)).repeat(2), []
    without_own = TipAdapter._without_own

    def asked(classifier, near, fold, of_keys):
        judged.append((fold, of_keys))
        return without_own(classifier, near, fold, of_keys)

    monkeypatch.setattr(TipAdapter, "_without_own", asked)
    built("tip-adapter", fit=False).fit(pooled, target, val=None, groups=groups)
    fold, of_keys = judged[0]
    assert len(of_keys) == len(target) and torch.equal(of_keys[: len(one)], of_keys[len(one) :])
    assert len(fold.unique()) > 1


def test_tip_adapter_falls_back_on_zero_shot_where_the_cache_is_wrong():
    val, target = videos(each=6, seed=1)
    texts = ClassTexts.of_matrix(draw(5, 8, seed=99), logit_scale=20)  # the directions of the classes themselves
    for wide in (True, False):
        classifier = built("tip-adapter", texts=texts, fit=False, wide=wide)
        classifier.fit(val, (target + 1) % 5, val=(val, target))
        asked = val.flatten(0, 1)
        right = [
            (scores.argmax(1) == target.repeat_interleave(val.shape[1])).float().mean()
            for scores in (classifier(asked), classifier.zero_shot(asked))
        ]
        assert right[0] >= right[1] - 0.05 and classifier.alpha < 3
        assert wide or classifier.alpha == 0


@pytest.mark.parametrize(("each", "search"), [(1, True), (3, False)])
def test_with_one_video_a_class_or_without_search_it_keeps_what_it_was_given(each, search):
    classifier = built("tip-adapter", fit=False, alpha=0.7, beta=2.5, search=search)
    classifier.fit(*videos(each=each), val=None)
    assert (classifier.alpha.item(), classifier.beta.item()) == (pytest.approx(0.7), 2.5)


@pytest.mark.parametrize("name", ["tip-adapter", "tip-adapter-f"])
def test_a_cache_refuses_other_classes(name):
    classifier = built(name)
    with pytest.raises(ValueError, match="the cache holds videos of its own 5 classes and cannot serve 3"):
        classifier.set_texts(ClassTexts.of_matrix(draw(3, 8)))
    classifier.set_texts(ClassTexts.of_matrix(draw(4, 5, 8)))  # other templates of its own
    assert classifier(draw(2, 8)).shape == (2, 5)


def test_only_the_keys_of_tip_adapter_f_are_learned(world):
    options = {"search": False}
    recipe = Recipe(head="mean", classifier="tip-adapter-f", classifier_options=options, loss="ce", epochs=2, lr=1e-2)
    job = TrainingJob(world.store, world.manifest.split("train"), recipe, prompts=world.prompts, device=CPU)
    learned = [name for name, p in job.model.named_parameters() if p.requires_grad]
    assert learned == ["classifier.cache.keys"]
    before = {name: value.clone() for name, value in job.model.state_dict().items()}
    losses = [epoch.loss for epoch in job.epochs()]
    changed = {name for name, value in job.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"classifier.cache.keys"}
    assert losses[1] < losses[0]
