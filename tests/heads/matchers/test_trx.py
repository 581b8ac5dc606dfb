"""TRX and SloshNet against their formulas, one frame at a time."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from framebank.heads.matchers.sloshnet import Motion, SloshNet
from framebank.heads.matchers.trx import Trx, TupleTransformer
from framebank.tests.heads.matchers.test_matchers import episodes
from framebank.tests.largest import LargestTensor

pytestmark = pytest.mark.usefixtures("one_thread")


def positions(place, dim):
    return torch.tensor(
        [
            math.sin(place / 10000 ** (channel / dim))
            if channel % 2 == 0
            else math.cos(place / 10000 ** ((channel - 1) / dim))
            for channel in range(dim)
        ],
        dtype=torch.float64,
    )


def tuples_of(frames, size):
    """The tuples of a video's real frames, with positions; a shorter video repeats its frames evenly."""
    if len(frames) < size:
        frames = [frames[(2 * place + 1) * len(frames) // (2 * size)] for place in range(size)]
    placed = [frame + 0.1 * positions(place, len(frame)) for place, frame in enumerate(frames)]
    return torch.stack([torch.cat(chosen) for chosen in itertools.combinations(placed, size)])


def score_of(transformer, query, videos):
    """Minus the mean squared distance of a query's tuples to their prototypes: frames (T, D) and a list of them."""
    size = transformer.cardinality
    asked, known = tuples_of(query, size), torch.cat([tuples_of(video, size) for video in videos])
    key, value = transformer.norm(transformer.key(known)), transformer.value(known)
    distances = []
    for one in asked:
        likeness = torch.stack([transformer.norm(transformer.key(one)) @ each for each in key]) / math.sqrt(len(key[0]))
        prototype = sum(weight * each for weight, each in zip(likeness.softmax(0), value, strict=True))
        distances.append((transformer.value(one) - prototype).square().sum())
    return -sum(distances) / len(distances)


def scored(transformer, query, support, query_mask, support_mask):
    return transformer(transformer.prepare(query, query_mask), transformer.prepare(support, support_mask))


def double(batch):
    query, support, text, *masks = batch
    return query.double(), support.double(), text.double(), *masks


@pytest.mark.parametrize("frames", [6, 3])
@pytest.mark.parametrize("cardinality", [1, 2, 3])
def test_a_cardinality_against_its_formula(cardinality, frames):
    torch.manual_seed(0)
    transformer = TupleTransformer(12, cardinality=cardinality, width=20).double().eval()
    torch.nn.init.normal_(transformer.norm.weight)
    query, support, _, query_mask, support_mask = double(episodes(1, frames=frames, ragged=True))
    assert frames == 6 or query_mask.sum(-1).min() < 3  # some are shorter than a triple
    scores = scored(transformer, query, support, query_mask, support_mask)
    for asked, known in itertools.product(range(query.shape[1]), range(support.shape[1])):
        videos = [support[0, known, shot][support_mask[0, known, shot]] for shot in range(support.shape[2])]
        expected = score_of(transformer, query[0, asked][query_mask[0, asked]], videos)
        torch.testing.assert_close(scores[0, asked, known], expected)


def test_likenesses_are_made_in_parts(monkeypatch):
    torch.manual_seed(0)
    transformer = TupleTransformer(12, cardinality=2, width=4).double().eval()
    query, support, _, *masks = double(episodes(1, frames=8, ragged=True))
    whole = scored(transformer, query, support, *masks)
    monkeypatch.setattr("framebank.heads.matchers.tuples.MAX_CPU", 200)
    with LargestTensor() as largest:
        torch.testing.assert_close(scored(transformer, query, support, *masks), whole)
    num_classes, num_shots = support.shape[1:3]
    columns, rows = num_classes * num_shots * 2 * 8, query.shape[1] * 28  # frames at both places, pairs of 8 frames
    assert largest.numel <= columns * rows


def test_no_tensor_holds_a_logit_for_each_two_tuples():
    torch.manual_seed(0)
    transformer = TupleTransformer(12, cardinality=3, width=4)
    query, support, _, *masks = episodes(1, frames=12)
    with LargestTensor() as largest:
        scored(transformer, query, support, *masks).sum().backward()
    num_classes, num_shots = support.shape[1:3]
    assert largest.numel < query.shape[1] * num_classes * num_shots * 220**2  # triples of 12 frames


def test_trx_is_the_mean_over_cardinalities():
    torch.manual_seed(0)
    matcher, batch = Trx(12, cardinalities=(2, 3), width=16).eval(), episodes()
    pairs, triples = (scored(part, batch[0], batch[1], *batch[3:]) for part in matcher.transformers)
    torch.testing.assert_close(matcher(*batch), (pairs + triples) / 2)


def test_order_of_the_frames_matters():
    torch.manual_seed(0)
    matcher = Trx(12).eval()
    query, support, text, *masks = episodes()
    assert not torch.allclose(matcher(query.flip(2), support, text, *masks), matcher(query, support, text, *masks))


def test_a_cardinality_below_one_is_refused():
    with pytest.raises(ValueError, match="cardinality is 0"):
        Trx(12, cardinalities=(0,))


def test_motion_against_its_formula():
    torch.manual_seed(0)
    motion = Motion(12)
    torch.nn.init.normal_(motion.query_scale)
    torch.nn.init.normal_(motion.key_scale)
    frames = torch.randn(4, 12)
    expected = []
    for place, frame in enumerate(frames):
        query, _, value = motion.qkv(frame).chunk(3)
        step = torch.zeros(12)
        if place < 3:
            step = motion.key_scale * motion.qkv(frames[place + 1]).chunk(3)[1] - motion.query_scale * query
        hidden = F.gelu(motion.gate[0].weight @ step)
        expected.append(-value * torch.sigmoid(motion.gate[2].weight @ hidden))
    padded = F.pad(frames, (0, 0, 0, 3), value=7.0)[None]
    found = motion(padded, torch.arange(7)[None] < 4)[0, :4]
    torch.testing.assert_close(found, torch.stack(expected))


def test_sloshnet_mixes_both_modules_before_trx_of_single_frames():
    torch.manual_seed(0)
    matcher, (query, support, text, *masks) = SloshNet(12, width=16).eval(), episodes()
    torch.nn.init.normal_(matcher.mixture)
    share = 2 * matcher.mixture.detach().softmax(0)
    assert share.sum() == pytest.approx(2)

    def mixed(x):
        frames = x.flatten(0, -3)
        real = torch.ones(frames.shape[:2], dtype=torch.bool)
        return (share[0] * matcher.long_term(frames, real) + share[1] * matcher.short_term(frames, real)).view_as(x)

    expected = scored(matcher.matcher, mixed(query), mixed(support), *masks)
    torch.testing.assert_close(matcher(query, support, text, *masks), expected)
