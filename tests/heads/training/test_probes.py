"""Probes: each of those that are trained at once is what it would be alone, and the best one is the run."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import framebank as fb
from framebank.heads.bank import Bank
from framebank.heads.training.build import build_model
from framebank.heads.training.loop import Epoch, chosen_epoch, fit
from framebank.heads.training.probes import WORST, Probe, _best_part, best_probe, fit_probes, probe_settings
from framebank.heads.training.recipe import Recipe, read_recipe
from framebank.library.comparing.training_lines import _probe_lines
from framebank.store import DataError
from framebank.store.errors import DataWarning

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
DIM, FRAMES, CLASSES = 8, 4, 3
SHORT = {"epochs": 3, "batch_size": 8, "min_steps": 0, "warmup": 0.1}


def bank(videos: int, *, seed: int) -> Bank:
    generator = torch.Generator().manual_seed(seed)
    target = torch.arange(videos) % CLASSES
    x = torch.randn(videos, FRAMES, DIM, generator=generator)
    x[:, :, 0] += target[:, None]
    mask = torch.ones(videos, FRAMES, dtype=torch.bool)
    mask[::3, -1] = False
    return Bank(tuple(map(str, range(videos))), x.half(), mask, target, videos, num_classes=CLASSES)


def recipe_named(name: str, probes: int, **more: object) -> Recipe:
    options = {"blocks": 1, "places": 2} if name == "attentive-tokens" else {}
    return replace(read_recipe(name), probes=probes, **SHORT, head_options=options, stream="frame", **more)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", ["linear-probe", "attentive-probe", "attentive-tokens"])
def test_each_probe_is_what_it_would_be_alone(name: str, smoothing: float) -> None:
    train, val = bank(20, seed=0), bank(9, seed=1)
    recipe = recipe_named(name, 7, label_smoothing=smoothing, halving=False)
    together = build_model(recipe, dim=DIM, num_classes=CLASSES, texts=None)
    epochs = fit_probes(together, recipe, train, val=val, device=CPU)
    log, probes = trained(epochs)
    assert [(one.lr, one.weight_decay) for one in probes] == probe_settings(7)
    best = best_probe(probes)
    for probe in probes:
        own = replace(recipe, probes=0, lr=probe.lr, weight_decay=probe.weight_decay)
        alone = build_model(own, dim=DIM, num_classes=CLASSES, texts=None)
        kept = chosen_epoch(list(fit(alone, own, train, val=val, texts=None, device=CPU)))
        assert kept is not None
        assert probe.val_loss == pytest.approx(kept.val_loss, abs=1e-4)
        assert probe.val_score == pytest.approx(kept.val_score)
        if probe is best:
            for key, weights in alone.state_dict().items():
                torch.testing.assert_close(together.state_dict()[key], weights, rtol=0, atol=1e-4)
    chosen = chosen_epoch(log)
    assert chosen is not None
    assert (chosen.number, chosen.val_loss) == (best.epoch, best.val_loss)
    assert len({probe.val_loss for probe in probes}) > 4  # they differ


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("linear-probe", [1, 1, 1, 2, 2, 4, 4]),  # the better half goes on
        ("attentive-probe", [1, 1, 1, 1, 2, 2, 4]),  # the best third
        ("attentive-tokens", [1, 1, 1, 2, 2, 4, 4]),
    ],
)
def test_the_best_go_on_and_are_what_they_would_be(name: str, made: list[int]) -> None:
    """Some of 7 probes stop after 1 of 4 epochs and some after 2: those of the highest losses until then."""
    train, val = bank(20, seed=0), bank(9, seed=1)
    (halved, weights), (whole, others) = (halved_or_not(name, train, val, halving=choice) for choice in (True, False))
    assert {one.epochs for one in whole} == {4}
    assert sorted(one.epochs for one in halved) == made
    for one, other in zip(halved, whole, strict=True):
        if one.epochs == 4:
            assert one.val_loss == pytest.approx(other.val_loss, abs=1e-4)
    best = best_probe(halved)
    assert best.epochs == 4
    assert best_probe(whole) is whole[halved.index(best)]  # here the choice is the same, and so are the weights
    for key, own in others.items():
        torch.testing.assert_close(weights[key], own, rtol=0, atol=1e-4)


def halved_or_not(name: str, train: Bank, val: Bank, *, halving: bool) -> tuple[tuple[Probe, ...], dict[str, Any]]:
    recipe = replace(recipe_named(name, 7, halving=halving), epochs=4)
    model = build_model(recipe, dim=DIM, num_classes=CLASSES, texts=None)
    _, probes = trained(fit_probes(model, recipe, train, val=val, device=CPU))
    return probes, model.state_dict()


def trained(epochs: Any) -> tuple[list[Epoch], tuple[Probe, ...]]:
    """Return the epochs of a training and what it gives at its end."""
    log = []
    while True:
        try:
            log.append(next(epochs))
        except StopIteration as end:
            return log, end.value


def test_the_best_part_has_the_lowest_losses() -> None:
    assert _best_part([3.0, 1.0, WORST, 0.5, 2.0], 2) == [1, 3, 4]
    assert _best_part([3.0, 1.0, WORST, 0.5, 2.0], 3) == [1, 3]
    assert _best_part([1.0, 1.0], 3) == [0]


def test_what_cannot_be_trained_so_is_one_sentence() -> None:
    recipe = recipe_named("linear-probe", 4)
    model = build_model(recipe, dim=DIM, num_classes=CLASSES, texts=None)
    with pytest.raises(DataError, match="no validation videos to choose the best one on"):
        next(fit_probes(model, recipe, bank(9, seed=0), val=None, device=CPU))
    with pytest.raises(DataError, match="the recipe has mixup; expected the loss ce alone"):
        next(fit_probes(model, replace(recipe, mixup=0.2), bank(9, seed=0), val=bank(3, seed=1), device=CPU))
    for head in ("lstm", "gru"):
        recurrent = replace(recipe, head=head)
        model = build_model(recurrent, dim=DIM, num_classes=CLASSES, texts=None)
        with pytest.raises(DataError, match=f"the recipe has the head '{head}'; expected .*, and no recurrent head"):
            next(fit_probes(model, recurrent, bank(9, seed=0), val=bank(3, seed=1), device=CPU))
    for count in (1, 21):
        with pytest.raises(DataError, match=f"probes is {count}; expected 0, for one training, or 2 to 20"):
            replace(recipe, probes=count)


def test_resume_begins_again_and_refuses_the_state_of_another_training(world: Any, tmp_path: Path) -> None:
    """A script may always give --resume: where a training keeps no state, it starts from the beginning."""
    probes = {"recipe": "linear-probe", "settings": {"probes": 2, **SHORT}, "resume": True, "save_every": 0}
    with pytest.warns(DataWarning, match="probes is 2: such a training keeps no state, so that it starts from"):
        assert fb.train(world.store, tmp_path / "run", **probes).run.trained_on["epochs"] == 3

    def killed(done: int, total: int) -> None:
        if done == total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fb.train(world.store, tmp_path / "other", head="mean", classifier="linear", save_every=0, tell=killed)
    with pytest.raises(DataError, match="is the state of a training with another recipe"):
        fb.train(world.store, tmp_path / "other", **probes)


def test_the_report_says_which_probes_stopped() -> None:
    probes = [asdict(Probe(1e-3, 0.1, epoch, 0.5, loss, epochs)) for epoch, loss, epochs in ((2, 0.4, 2), (7, 0.3, 8))]
    lines = _probe_lines(probes)
    assert lines[1].endswith("loss 0.4000 in epoch 2, stopped after 2")
    assert lines[2].endswith("loss 0.3000 in epoch 7")
    for probe in probes:
        del probe["epochs"]  # a run from before
    assert all("stopped" not in line for line in _probe_lines(probes))


def test_of_equal_probes_the_one_of_the_latest_epoch_is_kept() -> None:
    """As of equal epochs the later one is kept: the weights in the run are those of this probe."""
    first, second, third = (Probe(lr, 0.1, epoch, 1.0, 0.0, 5) for lr, epoch in ((1e-3, 2), (3e-4, 5), (3e-3, 5)))
    assert best_probe((first, second, third)) is second


def test_the_recipes_of_attentive_probes_stop_them_where_a_command_sets_how_many() -> None:
    from framebank.library.training import recipe_of

    recipe = recipe_of("attentive-probe", {}, {"probes": 4})
    assert recipe.probes == 4 and recipe.halving
    assert not recipe_of("attentive-probe", {}, {"probes": 4, "halving": False}).halving
