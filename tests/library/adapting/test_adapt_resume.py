"""An adaptation that was killed goes on from its last state, and ends as one that was not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import framebank as fb
from framebank.extract.adapters.adapted import ADAPTERS
from framebank.heads.training.resume import STATE
from framebank.store import DataError
from framebank.tests.worlds.trunk import TrunkWorld, write_trunk_world

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.filterwarnings("ignore:.*learned nothing")]

HOW: dict[str, Any] = {"epochs": 4, "batch_size": 6, "lr": 1e-3, "device": "cpu", "text_adapter": True}


class KillError(Exception):
    """What stops a training."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TrunkWorld:
    return write_trunk_world(tmp_path_factory.mktemp("trunk") / "store")


def kill(world: TrunkWorld, out: Path, **how: Any) -> None:
    """Adapt, and stop in the third epoch: two steps make an epoch."""

    def tell(done: int, total: int) -> None:
        if done == 5:
            raise KillError

    with pytest.raises(KillError):
        fb.adapt(world.store, out, save_every=0.0, tell=tell, **{**HOW, **how})
    assert [path.name for path in out.iterdir()] == [STATE]


@pytest.mark.parametrize("method", ["full", "lora", "ted"])
def test_it_ends_at_the_same_weights(world: TrunkWorld, tmp_path: Path, method: str) -> None:
    kill(world, tmp_path / "out", method=method)
    steps: list[int] = []
    going = fb.adapt(
        world.store, tmp_path / "out", method=method, resume=True, tell=lambda done, _: steps.append(done), **HOW
    )
    assert steps == [5, 6, 7, 8]
    assert not (tmp_path / "out" / STATE).exists()
    whole = fb.adapt(world.store, tmp_path / "whole", method=method, **HOW)
    assert (going.val_score, going.epoch, going.epochs, going.loss) == (
        whole.val_score,
        whole.epoch,
        whole.epochs,
        whole.loss,
    )
    for name in (whole.weights.name, *([ADAPTERS] if method == "ted" else [])):
        one, other = (load_file(made.path / name) for made in (going, whole))
        assert all(torch.equal(one[key], tensor) for key, tensor in other.items())


def test_the_state_of_another_adaptation_is_refused(world: TrunkWorld, tmp_path: Path) -> None:
    kill(world, tmp_path / "out", method="full")
    for other, what in ({"method": "lora"}, "method"), ({"blocks": 1}, "number of blocks"), ({"lr": 0.1}, "recipe"):
        with pytest.raises(DataError, match=f"is the state of a training with another {what}"):
            fb.adapt(world.store, tmp_path / "out", resume=True, **{**HOW, "method": "full", **other})


def test_without_a_state_it_starts(world: TrunkWorld, tmp_path: Path) -> None:
    assert fb.adapt(world.store, tmp_path / "out", resume=True, **{**HOW, "epochs": 1}).epochs == 1
