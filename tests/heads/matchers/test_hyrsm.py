"""HyRSM and HyRSM++ against their formulas, one video and one query at a time."""

import math

import pytest
import torch
import torch.nn.functional as F

from framebank.heads.matchers.attention import Attention, ContextBlock
from framebank.heads.matchers.hyrsm import Hyrsm
from framebank.heads.matchers.hyrsm_plus_plus import HyrsmPlusPlus, temporal_coherence
from framebank.heads.matchers.task import EpisodeBatch, Truth
from framebank.tests.heads.matchers.test_matchers import build, episodes

pytestmark = pytest.mark.usefixtures("one_thread")

TRUTH = Truth(target=torch.tensor([[0, 3, 1], [2, 2, 0]]), classes=torch.tensor([[5, 1, 0, 3], [2, 4, 1, 0]]))


def attend(attention, x, context):
    """Attention of tokens x (T, D) over context (S, D), head by head."""
    width = x.shape[-1] // attention.num_heads
    key, value = (context @ part.T for part in attention.key_value.weight.chunk(2))
    query, read = x @ attention.query.weight.T, []
    for start in range(0, x.shape[-1], width):
        chosen = slice(start, start + width)
        weights = (query[:, chosen] @ key[:, chosen].T / math.sqrt(width)).softmax(1)
        read.append(weights @ value[:, chosen])
    return attention.out(torch.cat(read, dim=1))


def alone(hyrsm, frames):
    """A video's frames (T, D) that know of each other."""
    channels = range(frames.shape[1])
    angles = [[place / 10000 ** (2 * c / frames.shape[1]) for c in channels] for place in range(len(frames))]
    positions = [[math.cos(a) if c % 2 else math.sin(a) for c, a in enumerate(row)] for row in angles]
    placed = frames * math.sqrt(frames.shape[1] / 10) + torch.tensor(positions)
    return F.relu(placed + attend(hyrsm.within_video, hyrsm.norm(placed), hyrsm.norm(placed)))


def related(hyrsm, query, classes):
    """A query's frames and those of the prototypes once they know of each other."""
    nodes = torch.stack([*(one.mean(0) for one in classes), query.mean(0)])
    nodes = F.relu(hyrsm.episode_norm(nodes + attend(hyrsm.within_episode, nodes, nodes)))
    joined = [hyrsm.join_frame(x) + hyrsm.join_video(node) for x, node in zip([*classes, query], nodes, strict=True)]
    return joined[-1], joined[:-1]


def hausdorff(query, known):
    """Both sums of distances to the nearest frame, that over the known video's frames for as many as the query's."""
    distance = torch.tensor([[1 - a @ b / (a.norm() * b.norm()) for b in known] for a in query])
    return distance.amin(1).sum() + distance.amin(0).mean() * len(query)


def prototype_of(videos):
    """The mean frame by frame of videos of any length."""
    longest = max(len(video) for video in videos)
    return torch.stack([torch.stack([v[place] for v in videos if len(v) > place]).mean(0) for place in range(longest)])


@torch.no_grad()
def test_attention_against_its_formula_head_by_head():
    torch.manual_seed(0)
    attention, x, context = Attention(16).eval(), torch.randn(3, 16), torch.randn(5, 16)
    assert attention.num_heads == 8
    padded = F.pad(context, (0, 0, 0, 2), value=50.0)[None]
    found = attention(x[None], padded, torch.arange(7)[None] < 5)[0]
    torch.testing.assert_close(found, attend(attention, x, context))


@torch.no_grad()
def test_context_block_has_no_norm_before_its_mlp():
    torch.manual_seed(0)
    block, x, context = ContextBlock(16).eval(), torch.randn(3, 16), torch.randn(5, 16)
    read = x + attend(block.attention, block.norm(x), block.norm(context))
    expected = read + F.gelu(read @ block.mlp[0].weight.T + block.mlp[0].bias) @ block.mlp[3].weight.T
    found = block(x[None], context[None], torch.ones(1, 5, dtype=torch.bool))[0]
    torch.testing.assert_close(found, expected + block.mlp[3].bias)


@torch.no_grad()
@pytest.mark.parametrize("shots", [1, 3])
def test_hyrsm_against_its_formula(shots):
    matcher = build("hyrsm", shaken=True)
    query, support, text, query_mask, support_mask = episodes(1, shots=shots, ragged=True)
    scores = matcher(query, support, text, query_mask, support_mask)
    classes = [
        prototype_of([alone(matcher, video[real]) for video, real in zip(videos, reals, strict=True)])
        for videos, reals in zip(support[0], support_mask[0], strict=True)
    ]
    for number, (frames, real) in enumerate(zip(query[0], query_mask[0], strict=True)):
        asked, known = related(matcher, alone(matcher, frames[real]), classes)
        expected = torch.stack([-hausdorff(asked, one) for one in known])
        torch.testing.assert_close(scores[0, number], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_classification_is_of_every_real_frame():
    torch.manual_seed(0)
    matcher, (query, support, _, *masks) = Hyrsm(12, num_classes=6, classification=0.5).eval(), episodes(ragged=True)
    found = matcher.losses(EpisodeBatch(query, support, None, *masks, TRUTH))["classification"]
    every = []
    for episode in range(2):
        videos = [(query[episode, q], masks[0][episode, q], TRUTH.target[episode, q]) for q in range(3)]
        videos += [(support[episode, n, k], masks[1][episode, n, k], n) for n in range(4) for k in range(2)]
        for frames, real, way in videos:
            logits = matcher.classifier(alone(matcher, frames[real]))
            every += [-row.log_softmax(0)[TRUTH.classes[episode, way]] for row in logits]
    torch.testing.assert_close(found, 0.5 * torch.stack(every).mean())


@torch.no_grad()
def test_coherence_against_its_formula():
    frames = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    pairs = []
    for i in range(5):
        for j in range(5):
            distance = 1 - F.cosine_similarity(frames[i], frames[j], dim=0)
            if abs(i - j) <= 1:
                pairs.append(distance / ((i - j) ** 2 + 1))
            else:
                pairs.append(20 * max(0, 1 - math.exp(-((abs(i - j) - 1) ** 2) / 3.0) - distance))
    padded = F.pad(frames, (0, 0, 0, 2), value=9.0)
    found = temporal_coherence(padded, torch.arange(7) < 5, window=1, softness=3.0, balance=20.0)
    assert found == pytest.approx(float(sum(pairs)) / 25, rel=1e-5)


def test_coherence_is_least_where_frames_drift_slowly():
    """A slow turn, against frames that stand still and frames that jump about."""
    angle = torch.linspace(0, math.pi, 8)
    drifting = torch.stack([angle.cos(), angle.sin()], dim=1)
    still, jumping = drifting[:1].expand(8, 2), drifting[torch.tensor([0, 7, 1, 6, 2, 5, 3, 4])]
    real = torch.ones(8, dtype=torch.bool)
    losses = [float(temporal_coherence(x, real, window=1, softness=51, balance=20)) for x in (drifting, still, jumping)]
    assert losses[0] < min(losses[1:])


@torch.no_grad()
def test_plus_plus_scores_as_hyrsm_and_adds_the_coherence_of_queries_and_prototypes():
    torch.manual_seed(0)
    matcher, (query, support, _, *masks) = HyrsmPlusPlus(12, num_classes=6).eval(), episodes(ragged=True)
    torch.testing.assert_close(matcher(query, support, None, *masks), matcher.relation(query, support, None, *masks))
    losses, base = (
        one.losses(EpisodeBatch(query, support, None, *masks, TRUTH)) for one in (matcher, matcher.relation)
    )
    assert losses.keys() - base.keys() == {"coherence"}
    for name in base:
        torch.testing.assert_close(losses[name], base[name])
    prepared = matcher.prepare(query, masks[0]), matcher.prepare(support, masks[1])
    related = matcher.relation.relate(*prepared)
    masks_of = related.prototype_mask[:, None].expand(-1, 3, -1, -1)
    expected = sum(
        temporal_coherence(x, mask, window=1, softness=51, balance=20)
        for x, mask in ((related.query, related.query_mask), (related.prototype, masks_of))
    )
    torch.testing.assert_close(losses["coherence"], 0.2 * expected)


@torch.no_grad()
def test_other_classes_of_the_episode_change_a_score():
    matcher = build("hyrsm", shaken=True)
    query, support, text, query_mask, support_mask = episodes()
    whole = matcher(query, support, text, query_mask, support_mask)[:, :, :2]
    without = matcher(query, support[:, :2], text[:, :2], query_mask, support_mask[:, :2])
    assert not torch.allclose(whole, without, atol=1e-3)


def test_no_classifier_is_built_unasked():
    without, with_one = (set(dict(Hyrsm(12, num_classes=count).named_parameters())) for count in (0, 6))
    assert with_one - without == {"classifier.weight", "classifier.bias"}
