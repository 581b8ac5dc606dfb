"""Made-up videos for the tests of classifiers, and a classifier that is fitted to them."""

import torch

from framebank.heads import CLASSIFIERS
from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers import Fitted


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def videos(num_classes=5, *, each=6, groups=2, dim=8, seed=0):
    """Pooled (V, G, D) around a direction for each class, target (V,)."""
    target = torch.arange(num_classes).repeat(each)
    centres = draw(num_classes, dim, seed=99)
    return centres[target].unsqueeze(1) + 0.7 * draw(len(target), groups, dim, seed=seed), target


def built(name, num_classes=5, dim=8, *, texts=None, fit=True, **options):
    texts = texts or ClassTexts.of_matrix(draw(2, num_classes, dim, seed=7), logit_scale=20)
    classifier = CLASSIFIERS[name](dim, num_classes, texts, **options)
    if fit and isinstance(classifier, Fitted):
        classifier.fit(*videos(num_classes, dim=dim), val=videos(num_classes, dim=dim, each=3, seed=1))
    return classifier
