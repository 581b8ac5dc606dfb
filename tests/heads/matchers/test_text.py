import math

import pytest
import torch
import torch.nn.functional as F

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.text import TextClassifier


def text_classifier(matrix, *, logit_scale=100.0):
    texts = ClassTexts.of_matrix(matrix, logit_scale=logit_scale)
    return TextClassifier(matrix.shape[-1], len(texts), texts)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_logits_are_scaled_cosines():
    classifier = text_classifier(torch.tensor([[2.0, 0.0], [0.0, 0.5]]), logit_scale=10)
    logits = classifier(torch.tensor([[3.0, 4.0]]))
    assert logits.tolist()[0] == pytest.approx([6, 8], rel=1e-5)


def test_probabilities_of_the_templates_are_averaged():
    matrices, embeddings = draw(3, 5, 8), draw(4, 8, seed=1)
    classifier = text_classifier(matrices, logit_scale=7)
    found = classifier(embeddings).softmax(-1)
    for row, embedding in enumerate(embeddings):
        for c in range(5):
            total = 0.0
            for p in range(3):
                scores = [7 * float(F.cosine_similarity(embedding, matrices[p, k], dim=0)) for k in range(5)]
                total += math.exp(scores[c]) / sum(math.exp(score) for score in scores)
            assert found[row, c].item() == pytest.approx(total / 3, rel=1e-4)


def test_several_templates_give_log_probabilities():
    logits = text_classifier(draw(3, 5, 8), logit_scale=7)(draw(4, 8, seed=1))
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(4))


def test_one_template_or_a_plain_matrix():
    matrix, embeddings = draw(5, 8), draw(4, 8, seed=1)
    assert torch.equal(text_classifier(matrix)(embeddings), text_classifier(matrix[None])(embeddings))
    repeated = text_classifier(matrix.expand(3, 5, 8))(embeddings)
    torch.testing.assert_close(repeated.softmax(-1), text_classifier(matrix)(embeddings).softmax(-1))


def test_norms_do_not_count():
    matrix, embeddings = draw(3, 5, 8), draw(4, 8, seed=1)
    torch.testing.assert_close(text_classifier(9 * matrix)(0.1 * embeddings), text_classifier(matrix)(embeddings))


@pytest.mark.parametrize("scale", [14.2857, 100.0])
def test_scale_is_learned(scale):
    classifier = text_classifier(draw(5, 8), logit_scale=scale)
    assert classifier.logit_scale.item() == pytest.approx(scale)
    classifier(draw(4, 8, seed=1))[:, 0].sum().backward()
    assert classifier.log_scale.grad != 0  # at CLIP's own 100 too


def test_scale_is_brought_back_to_100():
    classifier = text_classifier(draw(5, 8), logit_scale=117)  # SigLIP's, say: untrained, it stays
    assert classifier.logit_scale.item() == pytest.approx(117)
    classifier.bound_scale()
    assert classifier.logit_scale.item() == pytest.approx(100)
    classifier = text_classifier(draw(5, 8), logit_scale=30)
    classifier.bound_scale()
    assert classifier.logit_scale.item() == pytest.approx(30)


def test_only_the_scale_is_learned():
    assert [name for name, _ in text_classifier(draw(5, 8)).named_parameters()] == ["log_scale"]


def test_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"\(C, D\) or \(P, C, D\), got \(8,\)"):
        text_classifier(draw(8))
