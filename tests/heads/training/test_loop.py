import math
from dataclasses import replace

import pytest
import torch

from framebank.heads.bank import load_bank
from framebank.heads.predictions import predict_logits
from framebank.heads.training.build import build_model
from framebank.heads.training.loop import Epoch, chosen_epoch, fit
from framebank.heads.training.optimizer import build_optimizer, warmup_cosine
from framebank.heads.training.recipe import Recipe
from framebank.store import DataError
from framebank.tests.worlds.heads import DIM, FRAME_HEADS, texts_of

CPU = torch.device("cpu")
QUICK = Recipe(head="conv1d", loss="ce", epochs=3, batch_size=20, lr=0.01)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def train(world):
    return load_bank(world.store, world.manifest.split("train"), world.prompts.labels, device=CPU)


@pytest.fixture(scope="module")
def val(world):
    return load_bank(world.store, world.manifest.split("val"), world.prompts.labels, device=CPU)


def build(world, recipe):
    return build_model(recipe, dim=DIM, num_classes=4, texts=texts_of(world.prompts))


def train_model(world, recipe, train, *, val=None):
    model = build(world, recipe)
    log = list(fit(model, recipe, train, val=val, texts=texts_of(world.prompts), device=CPU))
    return model, log


def right(model, bank):
    return predict_logits(model, bank, device=CPU).argmax(1) == bank.target


@pytest.mark.parametrize(
    ("head", "classifier", "loss", "lr"),
    [
        ("lstm", "text", "kl", 0.01),
        ("lstm", "text", "ce", 0.01),
        ("lstm", "linear", "ce", 0.01),
        ("transformer", "text", "kl", 0.003),
    ],
)
def test_learns_what_needs_the_order(world, train, val, head, classifier, loss, lr):
    recipe = Recipe(head=head, classifier=classifier, loss=loss, epochs=25, batch_size=16, lr=lr)
    model, log = train_model(world, recipe, train)
    assert right(model, train).all()
    assert right(model, val).float().mean() > 0.9
    assert log[-1].loss < log[0].loss


def test_mean_learns_all_but_the_order(world, train):
    recipe = Recipe(head="mean", classifier="linear", loss="ce", epochs=60, batch_size=16, lr=0.02)
    found = right(train_model(world, recipe, train)[0], train)
    reversed_pair = train.target >= 2
    assert found[~reversed_pair].all()
    assert found[reversed_pair].float().mean() < 0.85  # it can only learn the noise by heart


@pytest.mark.parametrize("head", FRAME_HEADS)
@pytest.mark.parametrize("loss", ["kl", "ce"])
def test_seed_decides_every_bit(world, train, val, head, loss):
    recipe = replace(QUICK, head=head, loss=loss, epochs=2)
    states, losses = [], []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)
        model = build(world, recipe)
        run = []
        for epoch in fit(model, recipe, train, val=val, texts=texts_of(world.prompts), device=CPU):
            run.append(epoch.loss)
            torch.rand(disturbance)  # what others draw between the epochs changes nothing
        states.append(model.state_dict())
        losses.append(run)
    assert losses[0] == losses[1]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    other = replace(recipe, seed=1)
    assert train_model(world, other, train)[1][0].loss != losses[0][0]


def test_random_state_is_left_alone(world, train):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    recipe = replace(QUICK, head="transformer-cls")  # has dropout
    for _ in fit(build(world, recipe), recipe, train, val=None, texts=texts_of(world.prompts), device=CPU):
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.get_rng_state(), before)


def test_best_epoch_is_kept(world, train, val):
    recipe = replace(QUICK, head="lstm", epochs=12, lr=0.003)
    model = build(world, recipe)
    seen = []
    for epoch in fit(model, recipe, train, val=val, texts=texts_of(world.prompts), device=CPU):
        seen.append((epoch, {name: value.clone() for name, value in model.state_dict().items()}))
    least = min(epoch.val_loss for epoch, _ in seen)
    assert seen[0][0].val_loss > least  # or this would test nothing
    kept, expected = [(epoch, state) for epoch, state in seen if epoch.val_loss == least][-1]
    assert all(torch.equal(model.state_dict()[name], expected[name]) for name in expected)
    assert right(model, val).float().mean() == pytest.approx(kept.val_score)
    assert chosen_epoch([epoch for epoch, _ in seen]) is kept
    logits = predict_logits(model, val, device=CPU)
    assert kept.val_loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits, val.target)))
    assert not model.training


def test_earlier_epoch_is_kept_when_it_was_better(world, train, val):
    # a validation bank whose labels are wrong: learning makes it worse
    wrong = replace(val, target=(val.target + 1) % 4)
    recipe = replace(QUICK, head="lstm", epochs=12, lr=0.005)
    model, log = train_model(world, recipe, train, val=wrong)
    kept = chosen_epoch(log)
    assert kept.number < len(log)
    assert log[-1].val_loss > kept.val_loss
    assert right(model, wrong).float().mean() == pytest.approx(kept.val_score)


def test_one_lucky_video_chooses_no_epoch():
    log = [Epoch(1, 1.0, 0.1, 0.98, 1.0, 0.9), Epoch(2, 0.5, 0.1, 0.97, 1.0, 0.4), Epoch(3, 0.4, 0.0, 0.97, 1.0, 0.4)]
    assert chosen_epoch(log).number == 3  # the later of equal losses, whatever the score of the first
    assert chosen_epoch(log[:1]).number == 1
    assert chosen_epoch([Epoch(1, 1.0, 0.1, math.nan, 1.0)]) is None


def test_without_validation_the_last_epoch_is_kept(world, train):
    recipe = replace(QUICK, epochs=4)
    model = build(world, recipe)
    states = []
    for epoch in fit(model, recipe, train, val=None, texts=texts_of(world.prompts), device=CPU):
        assert math.isnan(epoch.val_score)
        states.append({name: value.clone() for name, value in model.state_dict().items()})
    assert all(torch.equal(model.state_dict()[name], states[-1][name]) for name in states[-1])
    assert not torch.equal(states[-1]["head.conv.weight"], states[-2]["head.conv.weight"])
    assert not model.training


def test_every_video_is_seen_once_an_epoch(world, train):
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, x, mask):
            if self.training:
                seen.append(len(x))
            return x.mean(1)

    model = build(world, QUICK)
    model.head = Spy()
    list(fit(model, QUICK, train, val=None, texts=texts_of(world.prompts), device=CPU))
    assert seen == [20, 20, 8] * 3  # 48 videos: the last batch is smaller, not dropped


def test_fewer_videos_than_a_batch(world, train):
    recipe = replace(QUICK, batch_size=1000)
    assert len(train_model(world, recipe, train)[1]) == 3


def test_log(world, train, val):
    log = train_model(world, QUICK, train, val=val)[1]
    assert [epoch.number for epoch in log] == [1, 2, 3]
    assert log[-1].lr == pytest.approx(0, abs=1e-12)
    assert all(epoch.seconds > 0 and 0 <= epoch.val_score <= 1 for epoch in log)
    assert log[0].lr == pytest.approx(0.01 * warmup_cosine(3, total=9, warmup=0.1))


def test_warmup_cosine_by_hand():
    rate = [warmup_cosine(step, total=10, warmup=0.2) for step in range(11)]
    assert rate[:3] == [0.5, 1.0, 1.0]
    assert rate[6] == pytest.approx(0.5)  # half way down
    assert rate[10] == pytest.approx(0)
    assert rate[2:] == sorted(rate[2:], reverse=True)
    assert warmup_cosine(0, total=10, warmup=0.0) == 1
    assert warmup_cosine(5, total=10, warmup=0.0) == pytest.approx(0.5)
    assert warmup_cosine(0, total=1, warmup=0.1) == 1
    assert [warmup_cosine(step, total=100, warmup=0.05) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])


@pytest.mark.parametrize("scale", [20.0, 100.0])
def test_logit_scale_is_learned(world, train, scale):
    recipe = replace(QUICK, loss="kl")
    prompts = replace(world.prompts, logit_scale=scale)
    model = build_model(recipe, dim=DIM, num_classes=4, texts=texts_of(prompts))
    list(fit(model, recipe, train, val=None, texts=texts_of(prompts), device=CPU))
    assert model.classifier.logit_scale.item() < scale - 0.1  # at CLIP's own 100 too


def test_logit_scale_is_bounded(world, train, monkeypatch):
    monkeypatch.setattr(
        "framebank.heads.losses.cross_entropy.CrossEntropy.forward", lambda _, step: -step.logits.abs().sum()
    )
    recipe = replace(QUICK, head="mean", lr=0.2)
    prompts = replace(world.prompts, logit_scale=90.0)
    model = build_model(recipe, dim=DIM, num_classes=4, texts=texts_of(prompts))
    list(fit(model, recipe, train, val=None, texts=texts_of(prompts), device=CPU))
    assert model.classifier.logit_scale.item() == pytest.approx(100)


def test_text_embeddings_stay(world, train):
    before = build(world, QUICK).classifier.embeddings
    assert torch.equal(train_model(world, QUICK, train)[0].classifier.embeddings, before)


@pytest.mark.parametrize("head", FRAME_HEADS)
@pytest.mark.parametrize("classifier", ["text", "linear"])
def test_matrices_decay_and_vectors_do_not(world, head, classifier):
    model = build(world, Recipe(head=head, classifier=classifier, loss="ce"))
    matrices, vectors = build_optimizer(model, weight_decay=0.2).param_groups
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.2, 0.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = [names[id(p)] for p in (*matrices["params"], *vectors["params"])]
    assert sorted(found) == sorted(names.values())
    assert all(p.ndim > 1 for p in matrices["params"])
    assert all(p.ndim < 2 for p in vectors["params"])  # biases, norms and scales


def test_scale_alone_can_be_trained(world, train):
    recipe = replace(QUICK, head="mean")  # mean pooling and texts: one parameter
    assert len(train_model(world, recipe, train)[1]) == 3


def test_loss_that_is_no_number(world, train):
    broken = replace(train, x=train.x.clone())
    broken.x[5, 2, 3] = math.nan
    with pytest.raises(DataError, match=r"the loss became nan in epoch 1; a lower lr than 0.01 may help"):
        train_model(world, QUICK, broken)


@pytest.mark.parametrize("loss", ["kl", "ce"])
def test_unlabelled_videos_are_refused(world, loss):
    everything = load_bank(world.store, world.manifest, world.prompts.labels, device=CPU)
    with pytest.raises(ValueError, match="1 of the videos to train on has no label"):
        train_model(world, replace(QUICK, loss=loss), everything)


def test_kl_needs_texts(world, train):
    with pytest.raises(DataError, match="the loss 'kl' matches videos with texts"):
        replace(QUICK, loss="kl", classifier="linear")
    recipe = replace(QUICK, loss="kl")
    with pytest.raises(ValueError, match="needs the texts"):
        list(fit(build(world, recipe), recipe, train, val=None, texts=None, device=CPU))


def test_kl_draws_among_the_texts_of_the_class_alone(world, train, monkeypatch):
    found = []

    def spy(logits, labels):
        found.append((logits.detach(), labels))
        return logits.sum() * 0

    monkeypatch.setattr("framebank.heads.losses.kl.symmetric_kl", spy)
    recipe = replace(QUICK, loss="kl", head="mean", epochs=1, batch_size=48)
    prompts = world.prompts
    bank = replace(train, x=torch.eye(DIM).half()[None, :8].expand(48, 8, DIM))  # any video, the same for all
    list(fit(build(world, recipe), recipe, bank, val=None, texts=texts_of(prompts), device=CPU))
    logits, labels = found[0]
    padded, counts = prompts.padded()
    video = torch.nn.functional.normalize(bank.x[0].float().mean(0), dim=0)
    drawn = set()
    for column, label in enumerate(labels.tolist()):
        possible = 20 * torch.from_numpy(padded[label, : counts[label]]) @ video
        nearest = (possible - logits[0, column]).abs().min(0)
        assert nearest.values < 1e-4
        drawn.add((label, int(nearest.indices)))
    assert len(drawn) == 12  # every text of every class: 48 draws
