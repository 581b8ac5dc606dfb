"""What every loss promises, whatever its formula."""

import pytest
import torch

from framebank.heads import LOSSES
from framebank.heads.losses.step import Step
from framebank.heads.training.build import build_model
from framebank.heads.training.objective import Objective, require_read, require_shares
from framebank.heads.training.recipe import Recipe
from framebank.store import DataError
from framebank.tests.worlds.loss import DIM, NUM_CLASSES, gradients, loss_of, step_of

OF_ONE_LABEL = [name for name, loss in LOSSES.items() if loss.traits.multi_label is not True]
OF_SEVERAL = [name for name, loss in LOSSES.items() if loss.traits.multi_label is not False]
SEVERAL = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 1]])

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("name", LOSSES)
def test_each_says_what_it_reads(name):
    loss = LOSSES[name].traits
    assert (type(loss.reads_texts), type(loss.reads_labels)) == (bool, bool)
    assert loss.multi_label in (True, False, None)
    assert loss.reads_labels == (loss.multi_label is not None)  # to learn classes is to know how many a video has


@pytest.mark.parametrize("target", [[2], [1, 1], [0, 1, 2, 3], [0, 1, 0, 3, 3]])
@pytest.mark.parametrize("name", OF_ONE_LABEL)
def test_is_one_finite_number_with_a_gradient(name, target):
    step, loss = step_of(target), loss_of(name)
    value = loss(step)
    assert value.shape == ()
    assert value.isfinite()
    assert value >= 0
    value.backward()
    found = [p.grad for module in (step.model, loss) for p in module.parameters() if p.grad is not None]
    assert found
    assert all(grad.isfinite().all() for grad in found)


@pytest.mark.parametrize("name", OF_SEVERAL)
def test_several_labels(name):
    for target in (SEVERAL, SEVERAL[:1]):
        value = loss_of(name)(step_of(target))
        assert value.isfinite()
        assert value >= 0


@pytest.mark.parametrize("name", [name for name in OF_ONE_LABEL if not LOSSES[name].traits.reads_texts])
def test_a_linear_classifier_will_do(name):
    step = step_of([0, 1, 0], classifier="linear")
    step._texts = None
    assert loss_of(name)(step).isfinite()


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.traits.reads_texts])
def test_texts_are_asked_for(name):
    step = step_of([0, 1, 0])
    step._texts = None
    with pytest.raises(ValueError, match="needs the texts of the classes"):
        loss_of(name)(step)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_reaches_the_head_and_what_the_loss_owns(name):
    step = step_of([0, 1, 0, 3] if name in OF_ONE_LABEL else SEVERAL, head="transformer")
    loss = loss_of(name)
    loss(step).backward()
    head = {name for name, _ in step.model.head.named_parameters()}
    assert gradients(step.model.head) >= {name for name in head if name.endswith("weight")}
    assert {name for name, _ in loss.named_parameters()} - gradients(loss) <= {"text.0.weight", "text.2.weight"}


@pytest.mark.parametrize("name", OF_ONE_LABEL)
def test_padding_is_never_read(name):
    step, longer = step_of([0, 1, 0, 3]), step_of([0, 1, 0, 3])
    longer.x = torch.cat([step.x, 1e4 * torch.ones(4, 5, DIM)], dim=1)
    longer.mask = torch.cat([step.mask, torch.zeros(4, 5, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(loss_of(name)(longer), loss_of(name)(step), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OF_ONE_LABEL)
def test_draws_come_from_the_generator_alone(name):
    values = []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)
        values.append(loss_of(name)(step_of([0, 2, 0, 3], seed=4)))
    assert torch.equal(*values)


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if not loss.traits.reads_labels])
def test_what_learns_no_class_is_not_trained_alone(name):
    with pytest.raises(DataError, match=f"the loss '{name}' learns no class; expected it beside one that does"):
        Recipe(loss=name)
    assert not Recipe(loss=f"ce + {name}").is_multi_label
    assert Recipe(loss=f"bce + 0.5 {name}").is_multi_label


@pytest.mark.parametrize("name", ["froster", "consistency"])
def test_layers_have_no_mean_to_be_held_to(name):
    recipe, x = (
        Recipe(head="sloshnet-layers", stream="layers", classifier="linear", loss="ce"),
        torch.randn(2, 6, 3, 12),
    )
    model = build_model(recipe, dim=DIM, num_classes=NUM_CLASSES, texts=None, in_shape=(3, 12))
    mask, frequency = torch.ones(2, 6, dtype=torch.bool), torch.full((NUM_CLASSES,), 1 / NUM_CLASSES)
    step = Step(model, x, mask, torch.arange(2), texts=None, generator=torch.Generator(), frequency=frequency)
    assert loss_of("video-ce")(step).isfinite()
    with pytest.raises(DataError, match=r"a frame is \(3, 12\) in the recipe's stream"):
        loss_of(name)(step)


def test_an_objective_is_the_weighted_sum_and_owns_the_parameters():
    step = step_of([0, 1, 0, 3])
    objective = Objective("ce + 0.25 froster + 2 video-ce", DIM, NUM_CLASSES, label_smoothing=0.1)
    losses = objective.losses
    expected = losses["ce"](step) + 0.25 * losses["froster"](step) + 2 * losses["video-ce"](step)
    torch.testing.assert_close(objective(step), expected)
    assert losses["ce"].label_smoothing == losses["video-ce"].label_smoothing == 0.1
    assert {name.split(".")[1] for name, _ in objective.named_parameters()} == {"froster", "video-ce"}


@pytest.mark.parametrize("name", LOSSES)
def test_each_reads_what_it_says_it_reads(name):
    target = [0, 1, 0, 3] if name in OF_ONE_LABEL else SEVERAL
    plain, moved = step_of(target), step_of(target)
    moved._log_prior = torch.tensor([3.0, 0.0, -1.0, 2.0])
    loss, smooth = loss_of(name, label_smoothing=0.0), loss_of(name, label_smoothing=0.4)
    value = loss(plain)
    assert loss.traits.reads_logits == (not torch.allclose(loss(moved), value))
    assert loss.traits.smooths_labels == (not torch.allclose(smooth(step_of(target)), value))


@pytest.mark.parametrize("name", LOSSES)
def test_each_that_learns_shares_says_so(name):
    """A mixed video is of two classes, more of the first."""
    sets = torch.eye(NUM_CLASSES)[:3] if name in OF_ONE_LABEL else SEVERAL.float()
    loss, values = loss_of(name), []
    for share in (0.9, 0.6):
        values.append(loss(step_of(share * sets + (1 - share) * sets.roll(1, 0))))
    assert loss.traits.reads_shares == (not torch.allclose(*values))


@pytest.mark.parametrize("text", ["kl", "contrastive", "ce + 0.5 kl", "ce + 0.1 supcon", "ce + masked-text"])
def test_mixed_videos_are_refused_where_a_loss_takes_them_for_one_class(text):
    name = text.split()[-1]
    with pytest.raises(DataError, match=rf"mixup is 0\.4, and the loss '{name}' takes a mixed .* shares of both: ce, "):
        require_shares(text, mixup=0.4)
    require_shares(text, mixup=0.0)


@pytest.mark.parametrize("text", ["ce", "weighted-ce + video-ce", "ce + froster + consistency", "bce + 0.1 soft-kl"])
def test_mixed_videos_go_to_losses_of_shares_and_of_none(text):
    require_shares(text, mixup=0.4)


def test_what_no_loss_reads_is_refused():
    require_read("ce + froster", label_smoothing=0.1, logit_adjustment=1.0)
    require_read("kl", label_smoothing=0.0, logit_adjustment=0.0)
    with pytest.raises(DataError, match=r"label_smoothing is 0.1, which the loss 'kl' does not read; expected 0, or"):
        require_read("kl", label_smoothing=0.1, logit_adjustment=0.0)
    with pytest.raises(DataError, match=r"logit_adjustment is 1.0, which the loss 'kl [+] video-ce' does not read"):
        require_read("kl + video-ce", label_smoothing=0.1, logit_adjustment=1.0)
