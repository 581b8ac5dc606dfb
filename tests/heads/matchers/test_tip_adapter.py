import math

import pytest
import torch
import torch.nn.functional as F

from framebank.heads.class_texts import ClassTexts
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
    classifier = built(name, texts=texts, fit=False, alpha=1.17, beta=5.5)
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
    classifier = built(name, 4, DIM, texts=texts, fit=False, alpha=0.0)
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
    assert all(best >= top1(alpha, beta) - 1e-6 for alpha in (0.0, 0.3, 1.5, 3.0) for beta in (0.35, 3.5, 7.0))


def test_tip_adapter_falls_back_on_zero_shot_where_the_cache_is_wrong():
    val, target = videos(each=6, seed=1)
    texts = ClassTexts.of_matrix(draw(5, 8, seed=99), logit_scale=20)  # the directions of the classes themselves
    classifier = built("tip-adapter", texts=texts, fit=False)
    classifier.fit(val, (target + 1) % 5, val=(val, target))
    assert classifier.alpha == 0


def test_tip_adapter_without_validation_videos_keeps_what_it_was_given():
    classifier = built("tip-adapter", fit=False, alpha=0.7, beta=2.5)
    classifier.fit(*videos(), val=None)
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
