"""A training that was killed goes on from its last state, and ends as one that was not."""

import copy
from dataclasses import replace

import pytest
import torch

from framebank.heads.training.job import TrainingJob
from framebank.heads.training.loop import Epoch
from framebank.heads.training.optimizer import build_optimizer, set_lr
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.resume import STATE, Keeping, TrainingState
from framebank.store import DataError

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
DRAWING = Recipe(head="lstm", loss="ce", epochs=5, batch_size=13, lr=0.01, frame_dropout=0.2, mixup=0.4)
POOLED = Recipe(head="mean", classifier="linear", loss="ce", epochs=5, batch_size=13, sampler="balanced")
AVERAGED = Recipe(head="conv1d", loss="ce + froster", epochs=5, batch_size=13, average=0.8, val_fraction=0.0)


def job_of(world, recipe):
    prompts = world.prompts if recipe.reads_texts else None
    labels = world.prompts.labels
    train = world.manifest.split("train")
    return TrainingJob(world.store, train, recipe, labels=labels, prompts=prompts, device=CPU)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("recipe", [DRAWING, POOLED, AVERAGED], ids=lambda recipe: recipe.head)
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_training_that_goes_on_ends_at_the_same_weights(world, tmp_path, recipe, stop):
    whole = job_of(world, recipe)
    log = list(whole.epochs())
    keeping = Keeping(tmp_path, seconds=0.0)
    for epoch in job_of(world, recipe).epochs(keeping=keeping):
        if epoch.number == stop:
            break
    assert (tmp_path / STATE).is_file()
    torch.manual_seed(7)  # what others draw does not matter
    steps = []
    again = job_of(world, recipe)
    going = list(again.epochs(tell=lambda done, total: steps.append(done), keeping=replace(keeping, resumes=True)))
    assert [(epoch.number, epoch.loss, epoch.lr) for epoch in going] == [
        (epoch.number, epoch.loss, epoch.lr) for epoch in log
    ]
    assert same(again.model.state_dict(), whole.model.state_dict())
    assert len(steps) == (5 - stop) * -(-len(again.train) // 13)  # only the steps that were missing


def test_the_moments_of_channels_last_go_on_in_their_places():
    """AdamW's fused step reads a parameter and its moments in the order of memory, which a file does not keep."""
    torch.manual_seed(0)
    whole = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    start, x = copy.deepcopy(whole), torch.randn(5, 2, 3, 4, 4)
    states = [
        TrainingState({"model": one}, build_optimizer(one, weight_decay=0.1), torch.Generator(), Epoch)
        for one in (whole, start)
    ]
    for state in states:
        set_lr(state.optimizer, 0.01)

    def step(state, number):
        state.optimizer.zero_grad()
        state.modules["model"](x[number]).square().mean().backward()
        state.optimizer.step()

    for number in range(3):
        step(states[0], number)
    kept = {name: value.contiguous() for name, value in states[0].tensors().items()}
    states[1].load(kept)
    set_lr(states[1].optimizer, 0.01)
    for state in states:
        step(state, 3)
    assert torch.equal(start.weight, whole.weight)


def test_without_resume_it_starts_again(world, tmp_path):
    keeping = Keeping(tmp_path, seconds=0.0)
    next(iter(job_of(world, POOLED).epochs(keeping=keeping)))
    steps = []
    list(job_of(world, POOLED).epochs(tell=lambda done, total: steps.append(done), keeping=keeping))
    assert steps[0] == 1


def test_the_state_of_another_training_is_refused(world, tmp_path):
    keeping = Keeping(tmp_path, seconds=0.0, resumes=True)
    list(job_of(world, POOLED).epochs(keeping=keeping))
    message = "is the state of a training with another recipe; expected the same recipe, videos and texts"
    with pytest.raises(DataError, match=message):
        list(job_of(world, replace(POOLED, lr=0.5)).epochs(keeping=keeping))
    fewer = TrainingJob(
        world.store, world.manifest.split("test"), POOLED, labels=world.prompts.labels, val_split="val", device=CPU
    )
    with pytest.raises(DataError, match="another set of training videos"):
        list(fewer.epochs(keeping=keeping))


def test_a_short_training_keeps_nothing_and_a_run_removes_the_state(world, tmp_path):
    job = job_of(world, POOLED)
    log = list(job.epochs(keeping=Keeping(tmp_path)))
    assert not list(tmp_path.iterdir())
    list(job_of(world, POOLED).epochs(keeping=Keeping(tmp_path, seconds=0.0)))
    assert (tmp_path / STATE).is_file()
    job.save(tmp_path, log=log)
    assert not (tmp_path / STATE).exists()


def test_a_damaged_state_is_refused(world, tmp_path):
    keeping = Keeping(tmp_path, seconds=0.0, resumes=True)
    list(job_of(world, POOLED).epochs(keeping=keeping))
    content = bytearray((tmp_path / STATE).read_bytes())
    content[-3] ^= 1
    (tmp_path / STATE).write_bytes(content)
    with pytest.raises(DataError, match="is not as it was written"):
        list(job_of(world, POOLED).epochs(keeping=keeping))
