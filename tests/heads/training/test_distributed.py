"""Several processes train as one: torchrun starts two on the CPU, and their run is that of one process."""

import os
import subprocess
import sys

import pytest
import torch

import framebank as fb
from framebank.heads.training.resume import STATE
from framebank.heads.training.run import Run
from framebank.tests.worlds.heads import write_world

pytestmark = pytest.mark.slow


def stop_after_two(items, *, total, unit, title=None):
    for number, item in enumerate(items, start=1):
        yield item
        if unit == "epoch" and number == 2:
            raise InterruptedError


@pytest.mark.parametrize("loss", ["kl", "ce"])
def test_two_processes_are_one(framebank, tmp_path, loss):
    world = write_world(tmp_path / "store")
    world.prompts.write(tmp_path / "prompts.h5")
    arguments = ["train", world.store.path, "--prompts", tmp_path / "prompts.h5", "--head", "lstm", "--loss", loss]
    arguments += ["--epochs", 4, "--batch-size", 13, "--lr", 0.01, "--device", "cpu"]
    framebank(*arguments[:2], tmp_path / "one", *arguments[2:])
    if loss == "ce":  # one process is stopped after two epochs, and two go on from its state
        with pytest.raises(InterruptedError):
            fb.train(
                world.store.path,
                tmp_path / "two",
                prompts=tmp_path / "prompts.h5",
                head="lstm",
                loss=loss,
                epochs=4,
                batch_size=13,
                lr=0.01,
                device="cpu",
                save_every=0.0,
                watch=stop_after_two,
            )
        assert (tmp_path / "two" / STATE).is_file()
        arguments.append("--resume")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "framebank.cli", *map(str, [*arguments[:2], tmp_path / "two", *arguments[2:]])]
    told = subprocess.run(
        command, capture_output=True, text=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("next: framebank evaluate") == 1
    assert not (tmp_path / "two" / STATE).exists()
    one, two = Run.read(tmp_path / "one"), Run.read(tmp_path / "two")
    for name, value in one.model.state_dict().items():
        torch.testing.assert_close(two.model.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)
