import pytest
import torch
import torch.nn.functional as F

from framebank.heads.evaluation.zeroshot import zero_shot_model
from framebank.heads.model import Model
from framebank.heads.temporal.mean import Mean
from framebank.heads.training.build import build_model
from framebank.heads.training.recipe import Recipe
from framebank.tests.worlds.heads import CLASSES, DIM, FRAME_HEADS, prompts_of, texts_of

X = torch.tensor([[[1.0, 0.0], [0.0, 9.0]]])
MASK = torch.ones(1, 2, dtype=torch.bool)


def direction(x):
    return F.normalize(x, dim=-1)


def test_frame_norm_makes_frames_count_alike():
    normed = Model(Mean(2), torch.nn.Identity()).embed(X, MASK)
    torch.testing.assert_close(direction(normed), direction(torch.tensor([[1.0, 1.0]])))
    plain = Model(Mean(2), torch.nn.Identity(), frame_norm=False).embed(X, MASK)
    torch.testing.assert_close(plain, torch.tensor([[0.5, 4.5]]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_takes_any_float(dtype):
    assert Model(Mean(2), torch.nn.Identity()).embed(X.to(dtype), MASK).dtype == torch.float32


def test_blank_frames_are_no_trouble():
    assert Model(Mean(2), torch.nn.Identity()).embed(0 * X, MASK).tolist() == [[0, 0]]


def test_class_texts():
    prompts = prompts_of()
    per_template, mean = texts_of(prompts).matrix, texts_of(prompts, scoring="embeddings").matrix[0]
    assert per_template.shape == (3, len(CLASSES), DIM)
    assert mean.shape == (len(CLASSES), DIM)
    rows = torch.from_numpy(prompts.embeddings).unflatten(0, (len(CLASSES), 3))
    torch.testing.assert_close(per_template, direction(rows).transpose(0, 1))
    torch.testing.assert_close(mean, direction(direction(rows).mean(1)))


@pytest.mark.parametrize("head", FRAME_HEADS)
@pytest.mark.parametrize("classifier", ["text", "linear"])
def test_build_is_reproducible_and_leaves_the_random_state(head, classifier):
    def build(seed):
        recipe = Recipe(head=head, classifier=classifier, loss="ce", seed=seed)
        return build_model(recipe, dim=DIM, num_classes=4, texts=texts_of(prompts_of())).state_dict()

    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = build(1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    second, other = build(1), build(2)
    assert all(torch.equal(first[name], second[name]) for name in first)
    if all(torch.equal(first[name], other[name]) for name in first):  # then nothing of the head is drawn
        assert all(len(value.unique()) <= 3 for name, value in first.items() if name.startswith("head."))


def test_text_needs_texts():
    with pytest.raises(ValueError, match="needs the texts"):
        build_model(Recipe(), dim=DIM, num_classes=4, texts=None)


def test_zero_shot_is_the_formula():
    prompts = prompts_of()
    x = torch.randn(5, 8, DIM, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(5, 8, dtype=torch.bool)
    video = direction(direction(x).mean(1))
    for scoring in ("probabilities", "embeddings"):
        model = zero_shot_model(prompts, scoring=scoring)
        assert not model.training
        texts = texts_of(prompts, scoring=scoring).matrix
        expected = torch.stack([(20 * video @ matrix.T).softmax(-1) for matrix in texts]).mean(0)
        torch.testing.assert_close(model(x, mask).softmax(-1), expected)
