"""The losses that hold the head to what the frozen encoder says, or its windows apart, against formulas by hand."""

import math

import pytest
import torch

from framebank.heads.losses.diversity import motion_loss, window_masks
from framebank.heads.losses.froster import Froster
from framebank.heads.losses.step import Step
from framebank.heads.training.build import build_model
from framebank.heads.training.recipe import Recipe
from framebank.tests.worlds.formulas import frames, gelu, linear
from framebank.tests.worlds.loss import DIM, NUM_CLASSES, gradients, loss_of, step_of

pytestmark = pytest.mark.usefixtures("one_thread")


def cosine(a, b):
    return float((a @ b / (a.norm() * b.norm())).detach())


def untrained_step(head):
    """A head as it starts, on whole videos."""
    model = build_model(Recipe(head=head, classifier="linear", loss="ce"), dim=DIM, num_classes=NUM_CLASSES, texts=None)
    mask = torch.ones(3, 6, dtype=torch.bool)
    frequency = torch.full((NUM_CLASSES,), 1 / NUM_CLASSES)
    generator = torch.Generator()
    return Step(model, frames(3, 6, DIM), mask, torch.arange(3), texts=None, generator=generator, frequency=frequency)


def test_froster_by_hand():
    step, loss = step_of([0, 1, 0, 3]), loss_of("froster")
    total = 0.0
    for video in range(4):
        real = [frame / frame.norm() for frame, seen in zip(step.x[video], step.mask[video], strict=True) if seen]
        z = step.pooled[video] / step.pooled[video].norm()
        moved = z + 0.1 * linear(loss.video[2], gelu(linear(loss.video[0], z)))
        total += 1 - cosine(moved, sum(real))
    assert float(loss(step)) == pytest.approx(2 * total / 4, rel=1e-4)


def test_froster_asks_nothing_of_an_untrained_head():
    step = untrained_step("sloshnet")
    assert float(Froster(DIM, NUM_CLASSES)(step)) == pytest.approx(0, abs=1e-6)


def test_froster_leaves_the_residual_free_to_take_up_what_was_learned():
    step, loss = step_of([0, 1, 0, 3]), Froster(DIM, NUM_CLASSES)
    step.pooled = step.pooled.detach()  # what the head learned stays
    first = float(loss(step))
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss(step).backward()
        optimizer.step()
    assert float(loss(step)) < first / 2


class Shift(torch.nn.Module):
    """Adds one learned vector to every class embedding: the smallest text side that learns."""

    def __init__(self):
        super().__init__()
        self.by = torch.nn.Parameter(frames(DIM, seed=8))

    def forward(self, embeddings, classes):
        return embeddings + self.by


def test_froster_holds_the_texts_where_they_are_learned():
    step, loss = step_of([0, 1, 0, 3], num_templates=2), loss_of("froster")
    alone = float(loss(step))
    step.model.classifier.text = Shift()
    total = 0.0
    for template in step.model.classifier.embeddings:
        for given in template:
            w = given + step.model.classifier.text.by
            w = w / w.norm()
            total += 1 - cosine(w + 0.1 * linear(loss.text[2], gelu(linear(loss.text[0], w))), given)
    value = loss(step)
    assert float(value) == pytest.approx(alone + 2 * total / (2 * NUM_CLASSES), rel=1e-4)
    value.backward()
    assert gradients(step.model.classifier.text) == {"by"}
    assert gradients(loss) == {"video.0.weight", "video.2.weight", "text.0.weight", "text.2.weight"}


def test_consistency_by_hand():
    step = step_of([0, 1, 0, 3])
    classifier = step.model.classifier
    total = 0.0
    for video in range(4):
        p, q = (
            [math.exp(float(classifier.logit_scale) * cosine(side, text)) for text in classifier.class_embeddings()[0]]
            for side in (step.mean[video], step.pooled[video])
        )
        total += sum(a / sum(p) * math.log(a / sum(p) / (b / sum(q))) for a, b in zip(p, q, strict=True))
    assert float(loss_of("consistency")(step)) == pytest.approx(total / 4, rel=1e-3)


def test_consistency_asks_nothing_of_an_untrained_head():
    step = untrained_step("sloshnet")
    torch.nn.init.normal_(step.model.classifier.linear.weight)
    assert float(loss_of("consistency")(step)) == pytest.approx(0, abs=1e-6)


def test_the_teacher_of_consistency_has_no_gradient():
    step = step_of([0, 1, 0, 3], head="mean")  # teacher and student are one: a teacher that learned would say so
    loss_of("consistency")(step).backward()
    assert abs(float(step.model.classifier.log_scale.grad)) < 1e-6
    assert not step.mean.requires_grad


def test_the_prior_of_logit_adjustment_is_no_part_of_consistency():
    step, adjusted = step_of([0, 1, 0, 3]), step_of([0, 1, 0, 3])
    adjusted._log_prior = torch.tensor([0.0, -1.0, -2.0, -3.0])
    assert torch.equal(loss_of("consistency")(step), loss_of("consistency")(adjusted))


def test_windows_of_a_mask():
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0, 1, 0], [1, 1, 0, 0, 0, 0, 0, 0]]).bool()
    assert window_masks(mask, 4).int().tolist() == [
        [[1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0, 1, 1]],
        [[0, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1, 0]],
        [[1, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]],
    ]
    six = window_masks(torch.ones(1, 6, dtype=torch.bool), 4)[0].int().tolist()
    assert six == [[1, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 1]]


@pytest.mark.parametrize("count", range(1, 12))
def test_every_window_has_a_frame_and_every_frame_a_window(count):
    windows = window_masks(torch.ones(1, count, dtype=torch.bool), 4)[0]
    assert windows.any(0).all()
    assert windows.any(1).all()


def test_motion_loss_by_hand():
    x = frames(3, 4, 5)
    change, spread = [], []
    for video in x:
        for channel in video.T.tolist():
            beyond = [channel[0], *channel, channel[-1]]
            change += [abs(beyond[w + 2] - beyond[w]) / 2 for w in range(4)]
            mean = sum(channel) / 4
            spread.append(sum((value - mean) ** 2 for value in channel) / 3)
    expected = 1 / (1 + sum(change) / len(change) + sum(spread) / len(spread))
    assert float(motion_loss(x)) == pytest.approx(expected)


def test_diversity_is_the_motion_of_windows_pooled_one_by_one():
    step = step_of([0, 1, 0, 3], num_frames=8)
    windows = [[step.model.embed(step.x[v : v + 1], mask[None])[0] for mask in masks]
               for v, masks in enumerate(window_masks(step.mask, 4))]  # fmt: skip
    pooled = torch.stack([torch.stack(each) for each in windows])
    pooled = pooled / pooled.square().mean(-1, keepdim=True).sqrt()
    torch.testing.assert_close(loss_of("diversity")(step), motion_loss(pooled), rtol=1e-4, atol=1e-5)


def test_diversity_is_1_of_what_stands_still_and_length_does_not_help():
    step = step_of([0, 1], head="mean", num_frames=8)
    moving = float(loss_of("diversity")(step))
    assert moving < 0.9
    louder = step_of([0, 1], head="mean", num_frames=8, frame_norm=False)
    quiet = float(loss_of("diversity")(louder))
    louder = step_of([0, 1], head="mean", num_frames=8, frame_norm=False)
    louder.x = 7 * louder.x
    assert float(loss_of("diversity")(louder)) == pytest.approx(quiet, rel=1e-4)
    still = step_of([0, 1], head="mean", num_frames=8)
    still.x = still.x[:, :1].expand(-1, 8, -1)
    assert float(loss_of("diversity")(still)) == pytest.approx(1, abs=1e-5)
