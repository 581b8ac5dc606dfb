"""The head computes in bf16 where it is asked to; losses, weights and scores stay in fp32."""

import pytest
import torch

from framebank.heads.bank import load_bank
from framebank.heads.predictions import predict_logits
from framebank.heads.training.build import build_model
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.loop import fit
from framebank.heads.training.precision import multiplies_bf16, resolve_precision
from framebank.heads.training.recipe import Recipe
from framebank.store import DataError
from framebank.tests.worlds.heads import DIM, texts_of

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")


def test_auto_is_what_the_hardware_multiplies():
    has = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    assert multiplies_bf16(CPU) == has
    assert resolve_precision("auto", CPU) == ("bf16" if has else "fp32")
    assert [resolve_precision(name, CPU) for name in ("fp32", "bf16")] == ["fp32", "bf16"]
    assert not multiplies_bf16(torch.device("meta"))


def test_a_run_says_in_which_precision_it_was_trained(world):
    recipe = Recipe(head="transformer", classifier="linear", loss="ce", epochs=1, precision="auto")
    job = TrainingJob(world.store, world.manifest.split("train"), recipe, device=CPU)
    assert job.recipe.precision == resolve_precision("auto", CPU)
    with pytest.raises(DataError, match="precision 'fp8' is not known; expected one of fp32, bf16, auto"):
        recipe.with_settings({"precision": "fp8"})


@pytest.mark.parametrize(
    ("head", "classifier", "epochs", "why"),
    [
        ("mean", "linear", 1, "the head mean has no parameters"),
        ("shift", "linear", 1, "the head shift has no parameters"),
        ("conv1d", "lda", 0, "nothing is trained by steps"),
    ],
)
def test_bf16_that_changes_nothing_is_not_said(world, head, classifier, epochs, why):
    train = world.manifest.split("train")
    for precision in ("fp32", "bf16", "auto"):
        recipe = Recipe(head=head, classifier=classifier, loss="ce", epochs=epochs, precision=precision)
        job = TrainingJob(world.store, train, recipe, device=CPU)
        assert job.recipe.precision == "fp32"
        assert [why in note for note in job.notes] == [True] * (precision == "bf16")


@pytest.mark.parametrize("head", ["mean", "shift"])
def test_a_head_without_parameters_is_the_same_in_bf16(world, head):
    weights = []
    train = load_bank(world.store, world.manifest.split("train"), world.prompts.labels, device=CPU)
    for precision in ("fp32", "bf16"):
        recipe = Recipe(head=head, classifier="linear", loss="ce", epochs=2, precision=precision, frame_dropout=0.2)
        model = build_model(recipe, dim=DIM, num_classes=4, texts=None)
        list(fit(model, recipe, train, val=None, texts=None, device=CPU))
        weights.append(torch.cat([parameter.flatten() for parameter in model.parameters()]))
    assert torch.equal(*weights)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_head_computes_in_it_and_learns_the_order(world, precision):
    recipe = Recipe(head="transformer", loss="kl", epochs=25, batch_size=16, lr=0.003, precision=precision)
    train = load_bank(world.store, world.manifest.split("train"), world.prompts.labels, device=CPU)
    model = build_model(recipe, dim=DIM, num_classes=4, texts=texts_of(world.prompts))
    inside, after = set(), set()
    linear = next(part for part in model.head.modules() if isinstance(part, torch.nn.Linear))
    linear.register_forward_hook(lambda *call: inside.add(call[2].dtype) if torch.is_grad_enabled() else None)
    model.classifier.register_forward_pre_hook(lambda *call: after.add(call[1][0].dtype))
    log = list(fit(model, recipe, train, val=None, texts=texts_of(world.prompts), device=CPU))
    assert inside == {torch.bfloat16 if precision == "bf16" else torch.float32}
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert log[-1].loss < log[0].loss
    right = predict_logits(model, train, device=CPU).argmax(1) == train.target
    assert after == {torch.float32}
    assert right.float().mean() > 0.9
