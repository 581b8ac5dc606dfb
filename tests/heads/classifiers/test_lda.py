import math

import pytest
import torch
import torch.nn.functional as F

from framebank.store import DataError
from framebank.tests.worlds.classifier import built, draw, videos

pytestmark = pytest.mark.usefixtures("one_thread")


@torch.no_grad()
@pytest.mark.parametrize("shrinkage", [0.0, 0.4, 1.0])
def test_lda_by_the_posterior_of_its_gaussians(shrinkage):
    pooled, target = videos(each=7, groups=2, dim=6)
    pooled = pooled * torch.linspace(0.2, 4, 6)
    pooled, target = pooled[4:], target[4:]  # the last class has more videos than the others
    classifier = built("lda", fit=False, dim=6, shrinkage=shrinkage)
    classifier.fit(pooled, target, val=None)
    rows, owner = F.normalize(pooled.double(), dim=-1).flatten(0, 1), target.repeat_interleave(2)
    means = torch.stack([rows[owner == c].mean(0) for c in range(5)])
    covariance = torch.zeros(6, 6, dtype=torch.double)
    for row, c in zip(rows, owner, strict=True):
        covariance += torch.outer(row - means[c], row - means[c]) / len(rows)
    identity = covariance.trace() / 6 * torch.eye(6, dtype=torch.double)
    if not shrinkage:
        error = sum(((torch.outer(r, r) - covariance) ** 2).sum() for r in rows - means[owner]) / len(rows) ** 2
        shrinkage = min(1.0, float(error / ((covariance - identity) ** 2).sum()))
        assert 0.01 < shrinkage < 0.9
    covariance = (1 - shrinkage) * covariance + shrinkage * identity
    query = F.normalize(draw(4, 6, seed=3).double(), dim=-1)
    expected = torch.stack(
        [
            torch.distributions.MultivariateNormal(means[c], covariance).log_prob(query)
            + math.log(float((owner == c).double().mean()))
            for c in range(5)
        ],
        dim=1,
    )
    found = classifier(query.float()).log_softmax(-1)
    torch.testing.assert_close(found, expected.log_softmax(-1).float(), rtol=1e-3, atol=1e-3)


def test_lda_needs_two_videos_of_a_class():
    pooled, target = videos(each=1, groups=1)
    with pytest.raises(DataError, match="'lda' needs several different videos of a class; expected more shots"):
        built("lda", fit=False).fit(pooled, target, val=None)


@pytest.mark.parametrize("learned", [True, False])
def test_lda_and_text_linear_are_frozen_unless_told(learned):
    for name in ("lda", "text-linear"):
        classifier = built(name, learn_weights=learned)
        assert classifier.weight.requires_grad == learned


def test_lda_refuses_a_shrinkage_beyond_one():
    with pytest.raises(DataError, match=r"shrinkage is 1.5; expected more than 0 and at most 1"):
        built("lda", shrinkage=1.5)
