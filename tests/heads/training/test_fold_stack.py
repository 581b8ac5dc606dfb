"""Fold stack: each fold learns what it would learn alone."""

from dataclasses import replace

import pytest
import torch

from framebank.heads.bank import Bank
from framebank.heads.class_texts import ClassTexts
from framebank.heads.logit_scale import MAX_LOGIT_SCALE
from framebank.heads.model import Model
from framebank.heads.training import fold_stack, loop, row_sets
from framebank.heads.training.build import build_model
from framebank.heads.training.fold_stack import fit_folds
from framebank.heads.training.judging import CandidateGround, select
from framebank.heads.training.loop import LossError, fit
from framebank.heads.training.pooled import OneFrame
from framebank.heads.training.recipe import Recipe

CPU = torch.device("cpu")
RECIPE = Recipe(head="mean", classifier="linear", loss="ce", val_fraction=0.0, batch_size=8, epochs=6, lr=1e-2, seed=3)
TEXTS = ClassTexts.of_matrix(torch.randn(3, 6, generator=torch.Generator().manual_seed(1)), logit_scale=8.0)
RESIDUAL = replace(RECIPE, classifier="text", text="residual", scoring="embeddings", text_options={"alpha": 0.7})

pytestmark = pytest.mark.usefixtures("one_thread")


def bank(*, videos=30, groups=1):
    target = torch.arange(videos) % 3
    rows = torch.randn(videos * groups, 1, 6, generator=torch.Generator().manual_seed(0))
    rows = rows + 2 * torch.nn.functional.one_hot(target, 6).repeat_interleave(groups, dim=0)[:, None]
    ids = tuple(f"v{number}" for number in range(videos))
    return Bank(ids, rows, torch.ones(len(rows), 1, dtype=torch.bool), target, videos, groups, num_classes=3)


def model_of(recipe, texts=TEXTS):
    texts = texts if recipe.reads_texts else None
    return Model(OneFrame(), build_model(recipe, dim=6, num_classes=3, texts=texts).classifier, frame_norm=False)


@pytest.mark.parametrize("few", [0.0, 2.0, 9.0])  # the rows of a batch are copied, or all are read where they are
@pytest.mark.parametrize(
    ("groups", "more"),
    [(1, {}), (1, {"weight_decay": 0.3, "label_smoothing": 0.1, "batch_size": 64}), (2, {"views": "all"})],
    ids=["plain", "smoothed", "views"],
)
@pytest.mark.parametrize("base", [RECIPE, RESIDUAL], ids=["linear", "texts"])
def test_each_fold_learns_what_it_would_learn_alone(base, few, groups, more, monkeypatch):
    monkeypatch.setattr(row_sets, "FEW", few)
    recipe, whole = replace(base, **more), bank(groups=groups)
    places = [torch.arange(30)[torch.arange(30) % 3 != number] for number in range(3)]
    folds = [select(whole, own) for own in (*places, torch.arange(11))]  # the last one has fewer steps
    found = fit_folds(model_of(recipe), recipe, folds, device=CPU)
    start = model_of(recipe).state_dict()
    for weights, fold in zip(found, folds, strict=True):
        alone = model_of(recipe)
        assert len(list(fit(alone, recipe, fold, val=None, texts=None, device=CPU))) == 6
        learned = dict(alone.named_parameters())
        for name, expected in alone.state_dict().items():
            assert torch.equal(expected, start[name]) == (name not in learned)
            torch.testing.assert_close(weights[name], expected, rtol=0, atol=1e-4)
    matrix = next(name for name, learns in learned.items() if learns.ndim == 2)
    assert not torch.allclose(found[0][matrix], found[1][matrix], atol=1e-2)


def test_the_scale_of_texts_stays_within_its_bound():
    texts = replace(TEXTS, logit_scale=MAX_LOGIT_SCALE)
    own = replace(bank(), x=3 * TEXTS.matrix[0][bank().target][:, None])  # a greater scale would be better
    (found,) = fit_folds(model_of(RESIDUAL, texts), RESIDUAL, [own], device=CPU)
    alone = model_of(RESIDUAL, texts)
    list(fit(alone, RESIDUAL, own, val=None, texts=texts, device=CPU))
    assert torch.equal(found["classifier.log_scale"], alone.classifier.log_scale)
    assert float(found["classifier.log_scale"].exp()) == pytest.approx(MAX_LOGIT_SCALE)


@pytest.mark.parametrize("base", [RECIPE, RESIDUAL], ids=["linear", "texts"])
def test_a_loss_that_is_no_number_is_refused_as_in_a_training_alone(base):
    recipe = replace(base, lr=1e38)
    for train in (
        lambda: fit_folds(model_of(recipe), recipe, [bank(), bank(videos=20)], device=CPU),
        lambda: list(fit(model_of(recipe), recipe, bank(), val=None, texts=None, device=CPU)),
    ):
        with pytest.raises(
            LossError, match=r"^the loss became (nan|inf) in epoch \d; a lower lr than 1e\+38 may help$"
        ):
            train()


@pytest.mark.parametrize("base", [RECIPE, RESIDUAL], ids=["linear", "texts"])
def test_the_search_trains_folds_in_one_stack_where_it_can_and_any_other_alone(base, monkeypatch):
    asked = []
    whole, alone = fold_stack.stack_epochs, loop.fit
    module = "framebank.heads.training.judging"
    monkeypatch.setattr(
        fold_stack, "stack_epochs", lambda m, r, b, **how: asked.append(len(b)) or whole(m, r, b, **how)
    )
    monkeypatch.setattr(f"{module}.fit", lambda *given, **how: asked.append("alone") or alone(*given, **how))
    texts = {"embeddings": TEXTS}
    ground = CandidateGround.of(
        bank(), val=None, groups=torch.arange(30), prompts_of=texts, frame_norm=True, device=CPU
    )
    parts = ground.parts()
    for recipe, rounds in ((base, [parts]), (replace(base, mixup=0.2), [[part] for part in parts])):
        assert ground.rounds(recipe, parts) == rounds
        joined = ground.score(recipe, parts)
        assert joined.shape == (30, 3)
        torch.testing.assert_close(joined, torch.cat([ground.score(recipe, [part]) for part in parts]))
    assert asked == [5, 1, 1, 1, 1, 1, *["alone"] * 10]


def test_what_is_fitted_without_steps_needs_no_optimizer(monkeypatch):
    """The first optimizer of a process loads libraries, which takes seconds."""
    monkeypatch.setattr(loop, "build_optimizer", lambda *given, **how: pytest.fail("an optimizer is made"))
    model = model_of(RECIPE).train()
    assert list(fit(model, replace(RECIPE, epochs=0), bank(), val=None, texts=None, device=CPU)) == []
    assert not model.training
