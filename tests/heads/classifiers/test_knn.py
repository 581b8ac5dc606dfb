import math

import pytest
import torch
import torch.nn.functional as F

from framebank.store import DataError
from framebank.tests.worlds.classifier import built, draw, videos

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("mode", ["uniform", "video", "clip"])
@pytest.mark.parametrize("k", [1, 4, 7, 500])
@pytest.mark.parametrize("part", [5, 65536])
def test_knn_by_the_formula(monkeypatch, mode, k, part):
    monkeypatch.setattr("framebank.heads.classifiers.knn.PART", part)
    pooled, target = videos(each=4, groups=3)
    classifier = built("knn", fit=False, mode=mode, k=k, temperature=0.1)
    classifier.fit(pooled, target, val=None)
    bank = []
    for video, label in zip(F.normalize(pooled, dim=-1), target.tolist(), strict=True):
        rows = {"uniform": [video[0]], "video": [video.sum(0)], "clip": list(video)}[mode]
        bank += [(row, label) for row in rows]
    for x, logits in zip(draw(6, 8, seed=3), classifier(draw(6, 8, seed=3)), strict=True):
        near = sorted(((float(F.cosine_similarity(x, row, dim=0)), label) for row, label in bank), reverse=True)[:k]
        shares = torch.zeros(5)
        for cosine, label in near:
            shares[label] += math.exp(cosine / 0.1)
        torch.testing.assert_close(logits.exp(), shares / shares.sum(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("mode", ["uniform", "video", "clip"])
def test_knn_of_its_own_bank_is_right_and_no_row_is_dropped(mode):
    pooled, target = videos(each=13, groups=3)
    classifier = built("knn", fit=False, mode=mode, k=1)
    classifier.fit(pooled, target, val=None)
    assert len(classifier.rows) == len(classifier.owners) == len(target) * (3 if mode == "clip" else 1)
    assert (classifier(classifier.rows).argmax(1) == classifier.owners).all()


def test_knn_modes_agree_where_there_is_one_view_and_clip():
    pooled, target = videos(groups=1)
    found = []
    for mode in ("uniform", "video", "clip"):
        classifier = built("knn", fit=False, mode=mode, k=5)
        classifier.fit(pooled, target, val=None)
        found.append(classifier(draw(6, 8)))
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], found[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "frame"}, "mode 'frame' is not known; expected one of uniform, video, clip"),
        ({"k": 0}, "k is 0 and temperature 0.1; expected 1 or more and a temperature above 0"),
        ({"temperature": 0.0}, "k is 200 and temperature 0.0; expected 1 or more and a temperature above 0"),
    ],
)
def test_knn_refuses(options, message):
    with pytest.raises(DataError, match=message):
        built("knn", fit=False, **options)
