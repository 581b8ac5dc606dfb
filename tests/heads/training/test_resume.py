"""A training that was killed goes on from its last state, and ends as one that was not."""

import copy
from dataclasses import dataclass, replace

import pytest
import torch

from framebank.heads.training.checkpoint import read_checkpoint, save
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.loop import Epoch
from framebank.heads.training.optimizer import build_optimizer, set_lr
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.resume import STATE, Keeping, TrainingState, digest_of
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


@pytest.mark.parametrize(("stop", "is_best"), [(1, True), (3, False)])
def test_best_weights_that_a_module_has_are_written_once(world, tmp_path, stop, is_best):
    job = job_of(world, DRAWING if is_best else replace(DRAWING, lr=3.0))  # a large rate makes later epochs worse
    keeping = Keeping(tmp_path, seconds=0.0)
    for epoch in job.epochs(keeping=keeping):
        if epoch.number == stop:
            break
    held = read_checkpoint(tmp_path / STATE, what="a state").tensors
    names = sorted(job.model.state_dict())
    assert len(held["same"]) == len(names)
    assert {name for name in held if name.startswith("best.")} == {
        f"best.{name}" for name, same in zip(names, held["same"].tolist(), strict=True) if not same
    }
    assert (int((held["same"] == 0).sum()) == 0) is is_best


def test_a_state_of_an_earlier_version_has_the_best_weights_once_more(world, tmp_path):
    job = job_of(world, POOLED)
    next(iter(job.epochs(keeping=Keeping(tmp_path, seconds=0.0))))
    found = read_checkpoint(tmp_path / STATE, what="a state")
    best = {f"best.{name}": found.tensors[f"model.{name}"].clone() for name in job.model.state_dict()}
    tensors = {name: value for name, value in found.tensors.items() if name != "same"} | best
    (tmp_path / STATE).write_bytes(save(found.about.values, tensors))
    again, whole = job_of(world, POOLED), job_of(world, POOLED)
    log = list(again.epochs(keeping=Keeping(tmp_path, resumes=True)))
    assert [epoch.loss for epoch in log] == [epoch.loss for epoch in whole.epochs()]
    assert same(again.model.state_dict(), whole.model.state_dict())


def test_the_videos_are_told_apart_once(world, tmp_path, monkeypatch):
    """Reading all rows of a large bank takes long, and each state says which videos it is of."""
    told = []

    def counting(bank):
        told.append(len(bank))
        return digest_of(bank)

    monkeypatch.setattr("framebank.heads.training.job.digest_of", counting)
    job = job_of(world, POOLED)
    list(job.epochs(keeping=Keeping(tmp_path, seconds=0.0, resumes=True)))
    assert told == [len(job.train), len(job.val)]


@pytest.mark.parametrize(("seconds", "expected"), [(60.0, [1, 5, 9]), (0.0, list(range(10)))])
def test_a_state_that_takes_long_to_write_is_written_less_often(tmp_path, monkeypatch, seconds, expected):
    clock = [0.0]
    monkeypatch.setattr("framebank.heads.training.resume.time.monotonic", lambda: clock[0])
    keeping, written = Keeping(tmp_path, seconds=seconds, _last=0.0), []

    @dataclass
    class Slow:
        number: int

        def tensors(self):
            clock[0] += 10.0  # then 200 seconds until the next one
            written.append(self.number)
            return {}

    for number in range(10):
        keeping.keep(Slow(number))
        clock[0] += 60.0
    assert written == expected


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


DAMAGE = {
    "same of no module": {"same": torch.full((2,), 9, dtype=torch.uint8)},
    "same of the average, which is not there": {"same": torch.full((2,), 2, dtype=torch.uint8)},
    "same of more weights": {"same": torch.ones(3, dtype=torch.uint8)},
    "no log": {"log": None},
    "a log without its columns": {"log": torch.zeros(2, 3)},
    "a log of no numbers": {"log": torch.full((2, 6), torch.nan)},
    "no random state": {"generator": None},
    "a random state of another kind": {"generator": torch.zeros(3, dtype=torch.uint8)},
    "no weight": {"model.classifier.linear.weight": None},
    "a moment of another shape": {"optimizer.0.exp_avg": torch.zeros(2)},
    "no moment": {"optimizer.0.exp_avg_sq": None},
    "moments of no weight": {"optimizer.7.step": torch.tensor(1.0)},
    "moments without a number": {"optimizer.x.step": torch.tensor(1.0)},
    "best weights of another shape": {"same": None, "best.classifier.linear.weight": torch.zeros(2)},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_state_with_the_digest_of_other_values_is_refused(world, tmp_path, damage):
    keeping = Keeping(tmp_path, seconds=0.0, resumes=True)
    list(job_of(world, POOLED).epochs(keeping=keeping))
    found = read_checkpoint(tmp_path / STATE, what="a state")
    assert set(DAMAGE[damage]) & set(found.tensors) or damage.startswith("moments")
    tensors = {name: value for name, value in {**found.tensors, **DAMAGE[damage]}.items() if value is not None}
    (tmp_path / STATE).write_bytes(save(found.about.values, tensors))
    with pytest.raises(DataError, match="cannot be read as the state of a training"):
        list(job_of(world, POOLED).epochs(keeping=keeping))


def test_a_damaged_state_is_refused(world, tmp_path):
    keeping = Keeping(tmp_path, seconds=0.0, resumes=True)
    list(job_of(world, POOLED).epochs(keeping=keeping))
    content = bytearray((tmp_path / STATE).read_bytes())
    content[-3] ^= 1
    (tmp_path / STATE).write_bytes(content)
    with pytest.raises(DataError, match="is not as it was written"):
        list(job_of(world, POOLED).epochs(keeping=keeping))
