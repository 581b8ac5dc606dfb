"""What a recipe may ask of the training beside a head, a classifier and a loss: each against what it promises."""

import math
from dataclasses import replace

import pytest
import torch

from framebank.heads.bank import Bank, load_bank
from framebank.heads.predictions import predict_logits
from framebank.heads.training.build import build_model
from framebank.heads.training.loop import fit
from framebank.heads.training.recipe import Recipe
from framebank.tests.worlds.heads import DIM, texts_of

CPU = torch.device("cpu")
QUICK = Recipe(head="conv1d", loss="ce", epochs=3, batch_size=20, lr=0.01)
BLIND = Recipe(
    head="mean", classifier="linear", loss="ce", epochs=60, batch_size=25, lr=0.05, weight_decay=0.0, frame_norm=False
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def train(world):
    return load_bank(world.store, world.manifest.split("train"), world.prompts.labels, device=CPU)


@pytest.fixture(scope="module")
def val(world):
    return load_bank(world.store, world.manifest.split("val"), world.prompts.labels, device=CPU)


def train_model(world, recipe, bank, *, val=None):
    texts = texts_of(world.prompts)
    model = build_model(recipe, dim=DIM, num_classes=4, texts=texts)
    states = []
    for epoch in fit(model, recipe, bank, val=val, texts=texts, device=CPU):
        states.append((epoch, {name: value.clone() for name, value in model.state_dict().items()}))
    return model, states


def same(state, other):
    return all(torch.equal(state[name], other[name]) for name in state)


def blind_bank(counts):
    """Videos that all look alike: all that can be learned is how frequent each class is."""
    target = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return Bank(
        video_ids=tuple(map(str, range(len(target)))),
        x=torch.ones(len(target), 2, 4),
        mask=torch.ones(len(target), 2, dtype=torch.bool),
        target=target,
        num_listed=len(target),
        num_classes=len(counts),
    )


def learned_prior(counts, **options):
    """The log-probabilities, over that of the first class, that a blind classifier has learned."""
    bank, recipe = blind_bank(counts), replace(BLIND, **options)
    model = build_model(recipe, dim=4, num_classes=len(counts), texts=None)
    list(fit(model, recipe, bank, val=None, texts=None, device=CPU))
    logits = predict_logits(model, bank, device=CPU)[0]
    return (logits - logits[0]).tolist()


def test_a_blind_classifier_learns_how_frequent_classes_are():
    assert learned_prior([80, 16, 4]) == pytest.approx([0, math.log(16 / 80), math.log(4 / 80)], abs=0.1)


def test_logit_adjustment_takes_the_frequency_out_of_what_is_learned():
    assert learned_prior([80, 16, 4], logit_adjustment=1.0) == pytest.approx([0, 0, 0], abs=0.1)
    half = learned_prior([80, 16, 4], logit_adjustment=0.5)
    assert half == pytest.approx([0, math.log(16 / 80) / 2, math.log(4 / 80) / 2], abs=0.1)


def test_the_balanced_sampler_makes_every_class_as_frequent():
    assert learned_prior([80, 16, 4], sampler="balanced") == pytest.approx([0, 0, 0], abs=0.25)


def test_weighted_cross_entropy_counts_every_class_the_same():
    assert learned_prior([80, 16, 4], loss="weighted-ce", batch_size=100) == pytest.approx([0, 0, 0], abs=0.1)
    assert learned_prior([80, 16, 4], loss="weighted-ce") == pytest.approx([0, 0, 0], abs=0.25)


def test_label_smoothing_moves_the_prior_towards_even():
    found = learned_prior([80, 16, 4], label_smoothing=0.3)
    chances = [0.7 * share + 0.1 for share in (0.8, 0.16, 0.04)]
    assert found == pytest.approx([math.log(chance / chances[0]) for chance in chances], abs=0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"mixup": 0.4},
        {"sampler": "balanced"},
        {"jitter": True, "frames": 4},
        {"average": 1.0},
        {"head_mix": 0.5},
        {"loss": "ce + froster"},
        {"loss": "contrastive + video-ce + ce + masked-text"},
    ],
    ids=str,
)
def test_the_seed_decides_every_bit_and_each_option_changes_something(world, train, val, options):
    recipe = replace(QUICK, epochs=2, **options)
    found = []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)
        before = torch.get_rng_state()
        found.append(train_model(world, recipe, train, val=val))
        assert torch.equal(torch.get_rng_state(), before)
    assert same(found[0][0].state_dict(), found[1][0].state_dict())
    assert [epoch.loss for epoch, _ in found[0][1]] == [epoch.loss for epoch, _ in found[1][1]]
    plain, _ = train_model(world, replace(QUICK, epochs=2), train)
    with_option, _ = train_model(world, recipe, train)
    x, mask = train.x[:8], train.mask[:8]
    assert not torch.equal(with_option(x, mask), plain(x, mask))


def test_a_loss_reads_what_the_head_gives_of_layers(train):
    # frames of three layers, 12 wide, that the head brings to 16
    layers = replace(train, x=torch.randn(len(train), 8, 3, 12, generator=torch.Generator().manual_seed(0)))
    recipe = replace(
        QUICK, head="sloshnet-layers", stream="layers", classifier="linear", loss="ce + video-ce", epochs=1
    )
    model = build_model(recipe, dim=DIM, num_classes=4, texts=None, in_shape=(3, 12))
    assert all(math.isfinite(epoch.loss) for epoch in fit(model, recipe, layers, val=None, texts=None, device=CPU))


def test_jitter_trains_on_frames_of_each_segment_and_measures_the_centres(world, train, val):
    recipe = replace(QUICK, jitter=True, frames=4, epochs=1)
    texts = texts_of(world.prompts)
    model = build_model(recipe, dim=DIM, num_classes=4, texts=texts)
    seen = []
    model.head.register_forward_pre_hook(lambda head, given: seen.append((head.training, given[0].shape[1])))
    list(fit(model, recipe, train, val=val, texts=texts, device=CPU))
    assert {shape for training, shape in seen if training} == {4}
    assert {shape for training, shape in seen if not training} == {8}  # as the bank was loaded


def test_mixup_shows_the_head_no_video_as_it_is(world, train):
    texts, seen = texts_of(world.prompts), []
    recipe = replace(QUICK, mixup=5.0, epochs=1, frame_norm=False)
    model = build_model(recipe, dim=DIM, num_classes=4, texts=texts)
    model.head.register_forward_pre_hook(lambda head, given: seen.append(given[0].detach()) if head.training else None)
    list(fit(model, recipe, train, val=None, texts=texts, device=CPU))
    stored = train.x.float().flatten(1)
    alike = (torch.cdist(torch.cat(seen).flatten(1), stored).min(1).values < 1e-3).float().mean()
    assert len(torch.cat(seen)) == len(train)
    assert alike < 0.2  # a video may be its own partner


def test_the_average_is_that_of_the_last_epochs(world, train):
    model, states = train_model(world, replace(QUICK, epochs=6, average=0.5), train)
    last = [state for _, state in states[3:]]
    found = model.state_dict()
    for name, value in last[0].items():
        expected = sum(state[name] for state in last) / 3
        torch.testing.assert_close(found[name], expected if name in dict(model.named_parameters()) else value)
    assert not same(found, last[-1])


def test_of_no_share_the_last_weights_stay(world, train):
    model, states = train_model(world, QUICK, train)
    assert same(model.state_dict(), states[-1][1])


def test_the_average_is_what_is_measured(world, train, val):
    recipe = replace(QUICK, epochs=4, average=0.5, lr=0.003)
    _, states = train_model(world, recipe, train, val=val)
    judge = build_model(recipe, dim=DIM, num_classes=4, texts=texts_of(world.prompts)).eval()
    parameters = dict(judge.named_parameters())
    for number, (epoch, _) in enumerate(states, 1):
        averaged = [state for _, state in states[2:number]] or [states[number - 1][1]]
        judge.load_state_dict(
            {
                name: sum(state[name] for state in averaged) / len(averaged) if name in parameters else value
                for name, value in averaged[0].items()
            }
        )
        right = predict_logits(judge, val, device=CPU).argmax(1) == val.target
        assert epoch.val_score == pytest.approx(float(right.float().mean()))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_head_mix_is_the_share_of_the_plain_mean(world, train, share):
    texts = texts_of(world.prompts)
    recipe = replace(QUICK, head="lstm", head_mix=share)
    model = build_model(recipe, dim=DIM, num_classes=4, texts=texts).eval()
    x, mask = train.x[:3], train.mask[:3]
    found = model.embed(x, mask)
    for video in range(3):
        frames = torch.stack([frame / frame.norm() for frame in x[video].float()])
        pooled = model.head(frames[None], mask[video : video + 1])[0]
        mean = frames.mean(0)
        expected = (1 - share) * pooled / pooled.norm() + share * mean / mean.norm() if share else pooled
        torch.testing.assert_close(found[video], expected, rtol=1e-4, atol=1e-5)
