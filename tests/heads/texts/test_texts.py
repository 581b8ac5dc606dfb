from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from framebank.heads import TEXTS
from framebank.heads.texts.adapter import Adapter
from framebank.heads.texts.residual import Residual
from framebank.heads.training.build import build_model
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError, LabelSet
from framebank.tests.worlds.heads import CLASSES, DIM, SPEC, prompts_of, texts_of

every_text = pytest.mark.parametrize("name", TEXTS)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shake(module):
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number + 1))
            parameter.add_(0.3 * noise)
    return module


def run_of(name):
    recipe = Recipe(head="mean", text=name, loss="ce")
    model = build_model(recipe, dim=DIM, num_classes=len(CLASSES), texts=texts_of(prompts_of())).eval()
    return Run(recipe, SPEC, CLASSES, shake(model), "/some/store", {"texts": "names", "templates": ["{}"]})


@every_text
def test_any_leading_shape_keeps_its_shape_and_type(name):
    text = shake(TEXTS[name](8, 5))
    matrix = draw(3, 5, 8)
    found = text(matrix, torch.arange(5))
    assert found.shape == matrix.shape
    assert found.dtype == torch.float32
    classes = torch.tensor([4, 0, 4, 2])
    drawn = text(matrix[1, classes], classes)  # (B, D), as a loss draws them
    torch.testing.assert_close(drawn, found[1, classes])


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in ("fixed", "context")])
def test_every_parameter_gets_a_gradient(name):
    text = shake(TEXTS[name](8, 5))
    text(draw(3, 5, 8), torch.arange(5)).square().sum().backward()
    grads = [parameter.grad.abs().sum() for parameter in text.parameters()]
    assert grads
    assert min(grads) > 0


@every_text
def test_round_trip(tmp_path, name):
    run = run_of(name)
    run.write(tmp_path / "run", log=[])
    x, mask = draw(3, 6, DIM), torch.ones(3, 6, dtype=torch.bool)
    assert torch.equal(Run.read(tmp_path / "run").model(x, mask), run.model(x, mask))


@pytest.mark.parametrize("name", ["fixed", "adapter"])
def test_serves_other_classes(name):
    run = run_of(name)
    fewer = run.with_prompts(prompts_of(CLASSES[1:3]), where="here")
    x, mask = draw(3, 6, DIM), torch.ones(3, 6, dtype=torch.bool)
    assert fewer.model(x, mask).shape == (3, 2)
    assert run.model(x, mask).shape == (3, 4)  # the run itself is as it was


def test_residual_refuses_another_number_of_classes():
    run = run_of("residual")
    with pytest.raises(DataError, match="there: the offsets of the texts were learned for 4 classes and cannot serve"):
        run.with_prompts(prompts_of(CLASSES[:2]), where="there")
    other = prompts_of(CLASSES, num_templates=2)
    assert run.with_prompts(other, where="there").model.classifier.embeddings.shape[0] == 2


@torch.no_grad()
def test_residual_keeps_each_offset_with_its_class():
    run = run_of("residual")
    turned = run.with_prompts(prompts_of().select(CLASSES[::-1]), where="there", scoring=run.recipe.scoring)
    x, mask = draw(3, 6, DIM), torch.ones(3, 6, dtype=torch.bool)
    assert turned.labels == CLASSES
    torch.testing.assert_close(turned.model(x, mask), run.model(x, mask), rtol=1e-4, atol=1e-4)
    others = replace(prompts_of(), labels=LabelSet(("a", "b", "c", "d")))
    with pytest.raises(DataError, match="there: the run has learned weights for its own 4 classes and cannot"):
        run.with_prompts(others, where="there")


def test_residual_starts_at_the_texts_and_adds_alpha_times_its_offsets():
    matrix = draw(2, 3, 4)
    text = Residual(4, 3, alpha=0.5)
    assert torch.equal(text(matrix, torch.arange(3)), matrix)
    shake(text)
    found = text(matrix, torch.arange(3))
    for p in range(2):
        for c in range(3):
            for d in range(4):
                expected = matrix[p, c, d].item() + 0.5 * text.offsets[c, d].item()
                assert found[p, c, d].item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@torch.no_grad()
def test_adapter_by_the_formula():
    text = Adapter(8, 3, ratio=0.3, reduction=4)
    matrix = draw(3, 8)
    found = text(matrix, torch.arange(3))
    for row, expected in zip(matrix, found, strict=True):
        hidden = [max(0.0, float(weights @ row)) for weights in text.down.weight]
        assert len(hidden) == 2
        for d in range(8):
            out = max(0.0, sum(float(text.up.weight[d, h]) * hidden[h] for h in range(2)))
            assert expected[d].item() == pytest.approx(0.3 * out + 0.7 * float(row[d]), rel=1e-5, abs=1e-6)


def test_adapter_of_ratio_zero_changes_nothing():
    matrix = draw(3, 8)
    assert torch.equal(Adapter(8, 3, ratio=0.0)(matrix, torch.arange(3)), matrix)


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "fixed"])
def test_is_part_of_what_scores(name):
    classifier = run_of(name).model.classifier
    expected = F.normalize(classifier.text(classifier.embeddings, torch.arange(4)), dim=-1)
    torch.testing.assert_close(classifier.class_embeddings(), expected)
    assert not torch.allclose(classifier.class_embeddings(), F.normalize(classifier.embeddings, dim=-1), atol=0.01)
