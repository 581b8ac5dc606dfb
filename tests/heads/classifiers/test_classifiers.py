import inspect
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from framebank.heads import CLASSIFIERS
from framebank.heads.classifiers import Fitted
from framebank.heads.classifiers.targets import held_out, label_matrix
from framebank.heads.evaluation.evaluate import evaluate_run
from framebank.heads.training.build import build_model
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError
from framebank.tests.worlds.classifier import built, draw, videos
from framebank.tests.worlds.heads import CLASSES, DIM, SPEC, prompts_of, texts_of, write_groups

CPU = torch.device("cpu")
FITTED = [name for name, build in CLASSIFIERS.items() if isinstance(build, type) and issubclass(build, Fitted)]

pytestmark = pytest.mark.usefixtures("one_thread")
every_classifier = pytest.mark.parametrize("name", CLASSIFIERS)
every_fitted = pytest.mark.parametrize("name", FITTED)


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
        with pytest.raises(DataError, match="learns from one label for each video; expected ridge"):
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


def test_a_recipe_names_the_options():
    recipe = Recipe(head="mean", classifier="knn", classifier_options={"k": 5, "mode": "clip"}, loss="ce", epochs=0)
    model = build_model(recipe, dim=DIM, num_classes=4, texts=None)
    assert (model.classifier.k, model.classifier.mode) == (5, "clip")
    with pytest.raises(DataError, match="the classifier 'knn' has no option 'n'; the nearest is"):
        replace(recipe, classifier_options={"n": 5})
