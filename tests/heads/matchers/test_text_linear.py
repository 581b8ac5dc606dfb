import pytest
import torch
import torch.nn.functional as F

from framebank.heads.class_texts import ClassTexts
from framebank.tests.worlds.classifier import built, draw
from framebank.tests.worlds.heads import DIM, prompts_of, texts_of

pytestmark = pytest.mark.usefixtures("one_thread")


def test_text_linear_starts_as_zero_shot_of_the_mean_of_the_templates():
    texts = texts_of(prompts_of())
    mean = F.normalize(texts.matrix.mean(0), dim=-1)
    one = built("text", texts=ClassTexts.of_matrix(mean, logit_scale=20), dim=DIM)
    x = draw(5, DIM)
    torch.testing.assert_close(built("text-linear", 4, DIM, texts=texts)(x), one(x))


def test_text_linear_serves_other_classes_unless_its_weights_were_learned():
    texts = ClassTexts.of_matrix(draw(3, 8, seed=2), logit_scale=20)
    frozen = built("text-linear")
    frozen.set_texts(texts)
    x = draw(4, 8)
    torch.testing.assert_close(frozen(x), 20 * F.normalize(x, dim=-1) @ texts.matrix[0].T)
    with pytest.raises(ValueError, match="the weights of the classifier were learned for its own classes"):
        built("text-linear", learn_weights=True).set_texts(texts)


def test_text_linear_keeps_its_scale_within_bounds():
    classifier = built("text-linear", texts=ClassTexts.of_matrix(draw(5, 8), logit_scale=117))
    assert classifier.scale(torch.tensor(1.0)).item() == pytest.approx(117)
    classifier.bound_scale()
    assert classifier.scale(torch.tensor(1.0)).item() == pytest.approx(100)
