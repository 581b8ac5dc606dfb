import math

import pytest
import torch
import torch.nn.functional as F

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.folds import fold_numbers
from framebank.heads.classifiers.tip_adapter import ALPHAS, BETAS, WIDE_ALPHAS, WIDE_BETAS
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


def test_tip_adapter_keeps_what_is_best_on_the_validation_videos():
    pooled, target = videos(each=6)
    texts = ClassTexts.of_matrix(draw(5, 8, seed=7), logit_scale=1)  # they know nothing of the videos
    val = videos(each=6, seed=1)
    classifier = built("tip-adapter", texts=texts, fit=False)
    classifier.fit(pooled, target, val=val)

    def top1(alpha, beta):
        fixed = built("tip-adapter", texts=texts, fit=False, alpha=alpha, beta=beta, search=False)
        fixed.fit(pooled, target, val=val)
        probabilities = fixed(val[0].flatten(0, 1)).softmax(-1).unflatten(0, val[0].shape[:2]).mean(1)
        return (probabilities.argmax(1) == val[1]).float().mean().item()

    best = top1(float(classifier.alpha), float(classifier.beta))
    assert best > top1(0.0, 1.0)
    assert all(best >= top1(alpha, beta) - 1e-6 for alpha in WIDE_ALPHAS[::4] for beta in WIDE_BETAS[::3])


def test_without_wide_the_grid_is_that_of_ucf101_and_the_videos_of_the_cache_choose_nothing():
    pooled, target = videos(each=6)
    texts = ClassTexts.of_matrix(draw(5, 8, seed=7), logit_scale=20)
    classifier = built("tip-adapter", texts=texts, fit=False, alpha=0.7, beta=2.5, wide=False)
    classifier.fit(pooled, target, val=None)
    assert (classifier.alpha.item(), classifier.beta.item()) == (pytest.approx(0.7), 2.5)
    classifier.fit(pooled, target, val=videos(each=6, seed=1))
    assert any(classifier.alpha.item() == pytest.approx(alpha) for alpha in ALPHAS)
    assert any(classifier.beta.item() == pytest.approx(beta) for beta in BETAS)


def test_without_validation_videos_each_fold_is_judged_by_the_keys_of_the_others():
    """By the sum over the keys written out, without those of the video's own fold."""
    pooled, target = videos(each=6)
    texts = ClassTexts.of_matrix(draw(5, 8, seed=7), logit_scale=1)  # they know nothing of the videos
    classifier = built("tip-adapter", texts=texts, fit=False)
    classifier.fit(pooled, target, val=None)
    fold, views = fold_numbers(target), F.normalize(pooled.float(), dim=-1)  # (V,), (V, G, D)
    keys = F.normalize(pooled.float().mean(1), dim=-1)

    def top1(alpha, beta):
        right = 0
        for number, own in enumerate(views):
            scores = classifier.zero_shot(own)  # (G, C)
            for key, owner, other in zip(keys, target.tolist(), fold.tolist(), strict=True):
                if other != fold[number]:
                    scores[:, owner] += alpha * (-beta * (1 - own @ key)).exp()
            right += int(scores.softmax(-1).mean(0).argmax() == target[number])
        return right / len(target)

    best = top1(float(classifier.alpha), float(classifier.beta))
    assert classifier.alpha > 0 and best > top1(0.0, 1.0)
    assert all(best >= top1(alpha, beta) for alpha in WIDE_ALPHAS[::4] for beta in WIDE_BETAS[::3])


def test_videos_of_one_source_do_not_judge_one_another():
    """Each video has a copy of another class in the cache: a copy of the same source never scores it."""
    one, target = videos(each=4)
    pooled, target = torch.cat([one, one]), torch.cat([target, (target + 1) % 5])
    texts = ClassTexts.of_matrix(draw(5, 8, seed=7), logit_scale=1)
    groups = torch.arange(len(one)).repeat(2)
    fold = fold_numbers(target, groups)
    assert torch.equal(fold[: len(one)], fold[len(one) :])  # a copy never scores its own
    together, apart = (built("tip-adapter", texts=texts, fit=False) for _ in range(2))
    together.fit(pooled, target, val=None, groups=groups)
    apart.fit(pooled, target, val=None)
    assert (together.alpha, together.beta) != (apart.alpha, apart.beta)


def test_tip_adapter_falls_back_on_zero_shot_where_the_cache_is_wrong():
    val, target = videos(each=6, seed=1)
    texts = ClassTexts.of_matrix(draw(5, 8, seed=99), logit_scale=20)  # the directions of the classes themselves
    classifier = built("tip-adapter", texts=texts, fit=False)
    classifier.fit(val, (target + 1) % 5, val=(val, target))
    assert classifier.alpha == 0


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
