"""CLIP-FSAR and MA-CLIP against their formulas, one video at a time."""

import pytest
import torch
import torch.nn.functional as F

from framebank.heads.matchers.clip_fsar import ClipFsar
from framebank.heads.matchers.ma_clip import METRICS, MaClip
from framebank.heads.matchers.otam import Otam
from framebank.heads.matchers.sequences import sinusoid_like
from framebank.heads.matchers.task import EpisodeBatch, Truth, match_loss
from framebank.tests.heads.matchers.test_hyrsm import attend, prototype_of
from framebank.tests.heads.matchers.test_matchers import build, episodes

pytestmark = pytest.mark.usefixtures("one_thread")

TRUTH = Truth(target=torch.tensor([[0, 3, 1]]), classes=torch.tensor([[5, 1, 0, 3]]), class_text=torch.eye(6, 12))


def read(block, x, context):
    mixed = x + attend(block.attention, block.norm(x), block.norm(context))
    return mixed + block.mlp(mixed)


def aligned(query, known, smoothing):
    """The score of two videos, (T, D) and (S, D), by OTAM."""
    masks = (torch.ones(1, 1, len(query), dtype=torch.bool), torch.ones(1, 1, 1, len(known), dtype=torch.bool))
    return Otam(query.shape[1], smoothing=smoothing)(query[None, None], known[None, None, None], None, *masks)[0, 0, 0]


@torch.no_grad()
@pytest.mark.parametrize("merge_before", [True, False])
def test_clip_fsar_against_its_formula(merge_before):
    torch.manual_seed(0)
    matcher = ClipFsar(12, merge_before=merge_before).eval()
    query, support, text, query_mask, support_mask = episodes(1, shots=3, ragged=True)
    scores = matcher(query, support, text, query_mask, support_mask)
    for known in range(4):
        videos = [video[real] for video, real in zip(support[0, known], support_mask[0, known], strict=True)]
        if merge_before:
            videos = [prototype_of(videos)]
        name = text[0, known][None]
        prototype = prototype_of([read(matcher.block, video, torch.cat([video, name])) for video in videos])
        for number in range(3):
            frames = query[0, number][query_mask[0, number]]
            expected = aligned(read(matcher.block, frames, frames), prototype, 0.5)
            torch.testing.assert_close(scores[0, number, known], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_texts_of_all_classes_are_a_part_of_the_loss():
    torch.manual_seed(0)
    matcher, batch = ClipFsar(12, classification=0.7).eval(), episodes(1, ragged=True)
    query, support, _, query_mask, support_mask = batch
    matcher.text_scale.fill_(3.0)
    losses = matcher.losses(EpisodeBatch(*batch, TRUTH))
    every = []
    videos = [(query[0, q][query_mask[0, q]], TRUTH.target[0, q]) for q in range(3)]
    videos += [(support[0, n, k][support_mask[0, n, k]], n) for n in range(4) for k in range(2)]
    for frames, way in videos:
        logits = 3 * torch.stack([F.cosine_similarity(frames.mean(0), text, dim=0) for text in TRUTH.class_text])
        every.append(-logits.log_softmax(0)[TRUTH.classes[0, way]])
    torch.testing.assert_close(losses["classification"], 0.7 * torch.stack(every).mean())
    torch.testing.assert_close(losses["match"], match_loss(matcher(*batch), TRUTH.target))


@torch.no_grad()
def test_combine_is_the_product_of_the_two_probabilities():
    torch.manual_seed(0)
    matcher, batch = ClipFsar(12, combine=0.9).eval(), episodes(1)
    query, text = batch[0], batch[2]
    combined = matcher(*batch)
    matcher.train()
    matcher.block.eval()
    alone = matcher(*batch)  # in training the texts are left out
    by_frames = ((6 + alone) / 6).softmax(-1)
    by_text = torch.einsum("eqd,end->eqn", F.normalize(query.mean(2), dim=-1), F.normalize(text, dim=-1)).softmax(-1)
    torch.testing.assert_close(combined.exp(), by_text**0.9 * by_frames**0.1)
    with pytest.raises(ValueError, match="combine is 2"):
        ClipFsar(12, combine=2)


@torch.no_grad()
@pytest.mark.parametrize("metric", METRICS)
def test_ma_clip_guides_the_videos_of_any_metric(metric):
    torch.manual_seed(0)
    matcher = MaClip(12, metric=metric).eval()
    query, support, text, *masks = episodes(1)

    def guided(frames, name=None):
        unit = F.normalize(frames, dim=-1)
        unit = unit + 0.1 * sinusoid_like(unit) / (12 / 2) ** 0.5
        return read(matcher.block, unit, unit if name is None else torch.cat([unit, F.normalize(name, dim=-1)[None]]))

    queries = torch.stack([guided(frames) for frames in query[0]])[None]
    supports = torch.stack([guided(x, text[0, way]) for way in range(4) for x in support[0, way]])
    expected = matcher.metric(queries, supports.view_as(support), None, *masks)
    torch.testing.assert_close(matcher(query, support, text, *masks), expected, rtol=1e-4, atol=1e-5)


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="'clip-fsar' is not known; expected one of otam"):
        MaClip(12, metric="clip-fsar")


@torch.no_grad()
@pytest.mark.parametrize("name", ["clip-fsar", "ma-clip"])
def test_the_text_matters_and_is_asked_for(name):
    matcher = build(name, shaken=True)
    query, support, text, *masks = episodes()
    assert not torch.allclose(matcher(query, support, text, *masks), matcher(query, support, text.flip(1), *masks))
    with pytest.raises(ValueError, match=f"{name} needs the texts"):
        matcher(query, support, None, *masks)
