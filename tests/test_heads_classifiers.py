import inspect
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from framebank.heads import CLASSIFIERS
from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers import Fitted
from framebank.heads.classifiers.ridge import PENALTIES
from framebank.heads.classifiers.targets import held_out, label_matrix
from framebank.heads.evaluate import evaluate_run
from framebank.heads.job import TrainingJob
from framebank.heads.model import build_model
from framebank.heads.recipe import Recipe
from framebank.heads.run import Run
from framebank.store import DataError
from framebank.tests.heads_world import CLASSES, DIM, SPEC, prompts_of, texts_of, write_groups

CPU = torch.device("cpu")
FITTED = [name for name, build in CLASSIFIERS.items() if hasattr(build, "fit")]

pytestmark = pytest.mark.usefixtures("one_thread")
every_classifier = pytest.mark.parametrize("name", CLASSIFIERS)
every_fitted = pytest.mark.parametrize("name", FITTED)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def videos(num_classes=5, *, each=6, groups=2, dim=8, seed=0):
    """Pooled (V, G, D) around a direction for each class, target (V,)."""
    target = torch.arange(num_classes).repeat(each)
    centres = draw(num_classes, dim, seed=99)
    return centres[target].unsqueeze(1) + 0.7 * draw(len(target), groups, dim, seed=seed), target


def built(name, num_classes=5, dim=8, *, texts=None, fit=True, **options):
    texts = texts or ClassTexts.of_matrix(draw(2, num_classes, dim, seed=7), logit_scale=20)
    classifier = CLASSIFIERS[name](dim, num_classes, texts, **options)
    if fit and isinstance(classifier, Fitted):
        classifier.fit(*videos(num_classes, dim=dim), val=videos(num_classes, dim=dim, each=3, seed=1))
    return classifier


def options_of(name):
    """Options that let everything of a classifier be learned."""
    learnable = inspect.signature(CLASSIFIERS[name]).parameters
    return {"learn_weights": True} if "learn_weights" in learnable else {}


@every_classifier
@pytest.mark.parametrize("fit", [True, False])
def test_shape_type_and_no_trace_of_the_batch(name, fit):
    classifier = built(name, fit=fit).eval()
    x = draw(7, 8, seed=3)
    logits = classifier(x)
    assert logits.shape == (7, 5)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    torch.testing.assert_close(classifier(x[2:3])[0], logits[2])


@every_classifier
def test_the_norm_of_a_video_does_not_count(name):
    classifier, x = built(name), draw(4, 8, seed=3)
    torch.testing.assert_close(classifier(30 * x), classifier(x), rtol=1e-4, atol=1e-5)


@every_classifier
def test_gradients(name):
    classifier = built(name, **options_of(name))
    x = draw(9, 8, seed=3).requires_grad_()
    loss = F.cross_entropy(classifier(x), torch.arange(9) % 5)
    if not any(p.requires_grad for p in classifier.parameters()):
        assert name in {"knn", "tip-adapter"}
        return
    loss.backward()
    for label, parameter in classifier.named_parameters():
        assert not parameter.requires_grad or parameter.grad.abs().sum() > 0, label


@every_classifier
def test_round_trip_of_a_run(tmp_path, name):
    recipe = Recipe(head="mean", classifier=name, loss="ce", epochs=0)
    model = build_model(recipe, dim=DIM, num_classes=4, texts=texts_of(prompts_of())).eval()
    if isinstance(model.classifier, Fitted):
        model.classifier.fit(*videos(4, dim=DIM), val=videos(4, dim=DIM, each=2, seed=1))
    run = Run(recipe, SPEC, CLASSES, model, "/some/store", {"texts": None, "templates": None})
    run.write(tmp_path / "run", log=[])
    found = Run.read(tmp_path / "run")
    x, mask = draw(6, 8, DIM), torch.ones(6, 8, dtype=torch.bool)
    assert torch.equal(found.model(x, mask), run.model(x, mask))
    assert found.weights_hash == run.weights_hash
    assert found.model.classifier.state_dict().keys() == model.classifier.state_dict().keys()


@every_fitted
def test_no_epoch_is_needed(world, tmp_path, name):
    recipe = Recipe(head="mean", classifier=name, loss="ce", epochs=0)
    job = TrainingJob(world.store, world.manifest.split("train"), recipe, prompts=world.prompts, device=CPU)
    run = job.save(tmp_path / "run", log=list(job.epochs()))
    report = evaluate_run(
        run, world.store, world.manifest.split("test"), split="test", folder=tmp_path / "run", device=CPU
    )
    assert report["top1"] >= 0.6  # "rise" and "fall" have the same mean, and are half of the videos


@pytest.mark.parametrize(("name", "rows"), [("knn", 48), ("tip-adapter", 48), ("ridge", None), ("lda", None)])
def test_several_views_and_clips(tmp_path, name, rows):
    world = write_groups(tmp_path, num_views=2, num_clips=2)
    recipe = Recipe(head="mean", classifier=name, loss="ce", epochs=0)
    job = TrainingJob(world.store, world.manifest.split("train"), recipe, prompts=world.prompts, device=CPU)
    run = job.save(tmp_path / "run", log=[])
    test = world.manifest.split("test")
    report = evaluate_run(run, world.store, test, split="test", folder=tmp_path / "run", device=CPU)
    assert report["top1"] >= 0.6
    if rows:  # one for each training video, whatever its views and clips
        assert len(job.model.classifier.owners) == rows


@every_fitted
def test_the_same_videos_give_the_same_classifier_and_leave_the_random_state(name):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, second = built(name), built(name)
    assert torch.equal(torch.get_rng_state(), before)
    x = draw(4, 8, seed=3)
    assert torch.equal(first(x), second(x))


@every_fitted
def test_the_order_of_the_videos_does_not_count(name):
    pooled, target = videos()
    order = torch.randperm(len(target), generator=torch.Generator().manual_seed(0))
    val = videos(each=3, seed=1)
    first, second = built(name, fit=False), built(name, fit=False)
    first.fit(pooled, target, val=val)
    second.fit(pooled[order], target[order], val=val)
    torch.testing.assert_close(first(draw(4, 8)), second(draw(4, 8)), rtol=1e-4, atol=1e-4)


@every_fitted
def test_several_labels(name):
    pooled, target = videos(each=20)
    labels = label_matrix(target, 5).float()
    labels[:, 0] = (draw(len(target), seed=5) > 0).float()
    classifier = built(name, fit=False)
    if name != "ridge":
        with pytest.raises(DataError, match="learns from one label for each video; of several, expected ridge"):
            classifier.fit(pooled, labels, val=None)
        return
    classifier.fit(pooled, labels, val=None)
    found = classifier(pooled[:, 0])[:, 1:].sigmoid()
    wanted = labels[:, 1:]
    assert found[wanted == 1].mean() > found[wanted == 0].mean() + 0.3


def test_held_out_takes_a_fifth_of_each_class_and_leaves_one():
    target = torch.tensor([0] * 10 + [1] * 2 + [2])
    held = held_out(target)
    assert [int(held[target == c].sum()) for c in range(3)] == [2, 1, 0]
    assert torch.equal(held, held_out(target))


def test_label_matrix():
    assert label_matrix(torch.tensor([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]


# ridge


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


def test_ridge_without_validation_videos_does_as_with_the_videos_it_holds_out():
    pooled, target = videos(each=10)
    held = held_out(target)
    itself, told = built("ridge", fit=False), built("ridge", fit=False)
    itself.fit(pooled, target, val=None)
    told.fit(pooled[~held], target[~held], val=(pooled[held], target[held]))
    assert not torch.allclose(itself.weight, told.weight)  # all videos are fitted in the end
    assert F.cosine_similarity(itself.weight.flatten(), told.weight.flatten(), dim=0) > 0.9


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
    chosen = built("ridge", fit=False)
    chosen.fit(pooled, target, val=val)

    def top1(classifier):
        logits = classifier(val[0].flatten(0, 1)).unflatten(0, val[0].shape[:2]).mean(1)
        return float((logits.argmax(1) == val[1]).double().mean())

    equals = []
    for penalty in PENALTIES:
        given = built("ridge", fit=False, penalty=penalty)
        given.fit(pooled, target, val=val)
        assert top1(chosen) >= top1(given)
        if top1(given) == top1(chosen):
            equals.append(given)
    assert torch.equal(equals[-1].weight, chosen.weight)  # the greatest of equals


def test_ridge_refuses_a_penalty_below_zero():
    with pytest.raises(DataError, match=r"penalty is -1\.0; expected more than 0, or 0 to have it chosen"):
        built("ridge", penalty=-1.0)


# lda


@torch.no_grad()
@pytest.mark.parametrize("shrinkage", [0.0, 0.4, 1.0])
def test_lda_by_the_posterior_of_its_gaussians(shrinkage):
    pooled, target = videos(each=7, groups=2, dim=6)
    pooled = pooled * torch.linspace(0.2, 4, 6)
    pooled, target = pooled[4:], target[4:]  # the last class has more videos than the others
    classifier = built("lda", fit=False, dim=6, shrinkage=shrinkage)
    classifier.fit(pooled, target, val=None)
    rows, owner = F.normalize(pooled.double(), dim=-1).flatten(0, 1), target.repeat_interleave(2)
    means = torch.stack([rows[owner == c].mean(0) for c in range(5)])
    covariance = torch.zeros(6, 6, dtype=torch.double)
    for row, c in zip(rows, owner, strict=True):
        covariance += torch.outer(row - means[c], row - means[c]) / len(rows)
    identity = covariance.trace() / 6 * torch.eye(6, dtype=torch.double)
    if not shrinkage:
        error = sum(((torch.outer(r, r) - covariance) ** 2).sum() for r in rows - means[owner]) / len(rows) ** 2
        shrinkage = min(1.0, float(error / ((covariance - identity) ** 2).sum()))
        assert 0.01 < shrinkage < 0.9
    covariance = (1 - shrinkage) * covariance + shrinkage * identity
    query = F.normalize(draw(4, 6, seed=3).double(), dim=-1)
    expected = torch.stack(
        [
            torch.distributions.MultivariateNormal(means[c], covariance).log_prob(query)
            + math.log(float((owner == c).double().mean()))
            for c in range(5)
        ],
        dim=1,
    )
    found = classifier(query.float()).log_softmax(-1)
    torch.testing.assert_close(found, expected.log_softmax(-1).float(), rtol=1e-3, atol=1e-3)


def test_lda_needs_two_videos_of_a_class():
    pooled, target = videos(each=1, groups=1)
    with pytest.raises(DataError, match="'lda' needs several different videos of a class; expected more shots"):
        built("lda", fit=False).fit(pooled, target, val=None)


@pytest.mark.parametrize("learned", [True, False])
def test_lda_and_text_linear_are_frozen_unless_told(learned):
    for name in ("lda", "text-linear"):
        classifier = built(name, learn_weights=learned)
        assert classifier.weight.requires_grad == learned


def test_lda_refuses_a_shrinkage_beyond_one():
    with pytest.raises(DataError, match=r"shrinkage is 1.5; expected above 0 to 1"):
        built("lda", shrinkage=1.5)


# text-linear


def test_text_linear_starts_as_zero_shot_of_the_mean_of_the_templates():
    texts = texts_of(prompts_of())
    mean = F.normalize(texts.matrix.mean(0), dim=-1)
    one = built("text", texts=ClassTexts.of_matrix(mean, logit_scale=20), dim=DIM)
    x = draw(5, DIM)
    torch.testing.assert_close(built("text-linear", 4, DIM, texts=texts)(x), one(x))


def test_text_linear_serves_other_classes_unless_its_weights_were_learned():
    texts = ClassTexts.of_matrix(draw(3, 8, seed=2), logit_scale=20)
    frozen = built("text-linear")
    frozen.set_texts(texts)
    x = draw(4, 8)
    torch.testing.assert_close(frozen(x), 20 * F.normalize(x, dim=-1) @ texts.matrix[0].T)
    with pytest.raises(ValueError, match="the weights of the classifier were learned for its own classes"):
        built("text-linear", learn_weights=True).set_texts(texts)


def test_text_linear_keeps_its_scale_within_bounds():
    classifier = built("text-linear", texts=ClassTexts.of_matrix(draw(5, 8), logit_scale=117))
    assert classifier.scale(torch.tensor(1.0)).item() == pytest.approx(117)
    classifier.bound_scale()
    assert classifier.scale(torch.tensor(1.0)).item() == pytest.approx(100)


# knn


@pytest.mark.parametrize("mode", ["uniform", "video", "clip"])
@pytest.mark.parametrize("k", [1, 4, 7, 500])
@pytest.mark.parametrize("part", [5, 65536])
def test_knn_by_the_formula(monkeypatch, mode, k, part):
    monkeypatch.setattr("framebank.heads.classifiers.knn.PART", part)
    pooled, target = videos(each=4, groups=3)
    classifier = built("knn", fit=False, mode=mode, k=k, temperature=0.1)
    classifier.fit(pooled, target, val=None)
    bank = []
    for video, label in zip(F.normalize(pooled, dim=-1), target.tolist(), strict=True):
        rows = {"uniform": [video[0]], "video": [video.sum(0)], "clip": list(video)}[mode]
        bank += [(row, label) for row in rows]
    for x, logits in zip(draw(6, 8, seed=3), classifier(draw(6, 8, seed=3)), strict=True):
        near = sorted(((float(F.cosine_similarity(x, row, dim=0)), label) for row, label in bank), reverse=True)[:k]
        shares = torch.zeros(5)
        for cosine, label in near:
            shares[label] += math.exp(cosine / 0.1)
        torch.testing.assert_close(logits.exp(), shares / shares.sum(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("mode", ["uniform", "video", "clip"])
def test_knn_of_its_own_bank_is_right_and_no_row_is_dropped(mode):
    pooled, target = videos(each=13, groups=3)
    classifier = built("knn", fit=False, mode=mode, k=1)
    classifier.fit(pooled, target, val=None)
    assert len(classifier.rows) == len(classifier.owners) == len(target) * (3 if mode == "clip" else 1)
    assert (classifier(classifier.rows).argmax(1) == classifier.owners).all()


def test_knn_modes_agree_where_there_is_one_view_and_clip():
    pooled, target = videos(groups=1)
    found = []
    for mode in ("uniform", "video", "clip"):
        classifier = built("knn", fit=False, mode=mode, k=5)
        classifier.fit(pooled, target, val=None)
        found.append(classifier(draw(6, 8)))
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], found[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "frame"}, "mode 'frame' is not known; expected one of uniform, video, clip"),
        ({"k": 0}, "k is 0 and temperature 0.1; expected at least 1"),
        ({"temperature": 0.0}, "k is 200 and temperature 0.0; expected at least 1, and more than 0"),
    ],
)
def test_knn_refuses(options, message):
    with pytest.raises(DataError, match=message):
        built("knn", fit=False, **options)


# tip-adapter


@pytest.mark.parametrize("name", ["tip-adapter", "tip-adapter-f"])
@torch.no_grad()
def test_tip_adapter_by_the_formula(name):
    pooled, target = videos(each=3, groups=2)
    texts = ClassTexts.of_matrix(draw(5, 8, seed=7), logit_scale=100)
    classifier = built(name, texts=texts, fit=False, alpha=1.17, beta=5.5)
    classifier.fit(pooled, target, val=None)
    for x, logits in zip(draw(6, 8, seed=3), classifier(draw(6, 8, seed=3)), strict=True):
        expected = [100 * float(F.cosine_similarity(x, texts.matrix[0, c], dim=0)) for c in range(5)]
        for views, label in zip(F.normalize(pooled, dim=-1), target.tolist(), strict=True):
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


def test_ridge_is_trained_further(world):
    recipe = Recipe(head="mean", classifier="ridge", loss="ce", epochs=3, lr=1e-2, weight_decay=0.0)
    job = TrainingJob(world.store, world.manifest.split("train"), recipe, prompts=None, device=CPU)
    start = job.model.classifier.weight.detach().clone()
    losses = [epoch.loss for epoch in job.epochs()]
    assert losses[-1] < losses[0]
    assert F.cosine_similarity(start.flatten(), job.model.classifier.weight.flatten(), dim=0) > 0.9


def test_a_recipe_names_the_options():
    recipe = Recipe(head="mean", classifier="knn", classifier_options={"k": 5, "mode": "clip"}, loss="ce", epochs=0)
    model = build_model(recipe, dim=DIM, num_classes=4, texts=None)
    assert (model.classifier.k, model.classifier.mode) == (5, "clip")
    with pytest.raises(DataError, match="the classifier 'knn' has no option 'n'; the nearest is"):
        replace(recipe, classifier_options={"n": 5})
