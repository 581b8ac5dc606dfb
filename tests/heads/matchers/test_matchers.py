"""The promises that every matcher keeps; what each computes is tested against its formula elsewhere."""

import pytest
import torch

from framebank.heads import MATCHERS

DIM, WAYS, SHOTS, QUERIES, FRAMES = 12, 4, 2, 3, 6
every_matcher = pytest.mark.parametrize("name", MATCHERS)

pytestmark = pytest.mark.usefixtures("one_thread")


def build(name, dim=DIM, *, seed=0, shaken=False):
    """A matcher in eval mode; `shaken`, every parameter moved far from its start, as training would."""
    torch.manual_seed(seed)
    matcher = MATCHERS[name](dim)
    if shaken:
        with torch.no_grad():
            for parameter in matcher.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return matcher.eval()


def episodes(count=2, *, ways=WAYS, shots=SHOTS, queries=QUERIES, frames=FRAMES, dim=DIM, seed=1, ragged=False):
    """Return (query, support, text, query_mask, support_mask) drawn at random; `ragged`, with frames masked out."""
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(count, queries, frames, dim, generator=generator)
    support = torch.randn(count, ways, shots, frames, dim, generator=generator)
    text = torch.randn(count, ways, dim, generator=generator)
    query_mask = torch.ones(query.shape[:-1], dtype=torch.bool)
    support_mask = torch.ones(support.shape[:-1], dtype=torch.bool)
    if ragged:
        query_mask = torch.rand(query_mask.shape, generator=generator) < 0.6
        support_mask = torch.rand(support_mask.shape, generator=generator) < 0.6
        query_mask[..., 2] = support_mask[..., 1] = True  # each video has a frame
    return query, support, text, query_mask, support_mask


@every_matcher
@pytest.mark.parametrize(("shots", "frames"), [(1, 1), (1, 8), (5, 3)])
def test_shape(name, shots, frames):
    scores = build(name)(*episodes(3, shots=shots, frames=frames))
    assert scores.shape == (3, QUERIES, WAYS)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()


@every_matcher
def test_episodes_of_a_batch_are_independent(name):
    matcher, batch = build(name, shaken=True), episodes(3, ragged=True)
    alone = torch.cat([matcher(*(part[row : row + 1] for part in batch)) for row in range(3)])
    torch.testing.assert_close(matcher(*batch), alone, rtol=1e-4, atol=1e-5)


@every_matcher
def test_order_of_classes_changes_the_columns_alone(name):
    matcher = build(name, shaken=True)
    query, support, text, query_mask, support_mask = episodes(ragged=True)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = matcher(query, support[:, order], text[:, order], query_mask, support_mask[:, order])
    expected = matcher(query, support, text, query_mask, support_mask)[:, :, order]
    torch.testing.assert_close(shuffled, expected, rtol=1e-4, atol=1e-5)


@every_matcher
def test_order_of_shots_changes_nothing(name):
    matcher = build(name, shaken=True)
    query, support, text, query_mask, support_mask = episodes(ragged=True)
    flipped = matcher(query, support.flip(2), text, query_mask, support_mask.flip(2))
    torch.testing.assert_close(flipped, matcher(query, support, text, query_mask, support_mask), rtol=1e-4, atol=1e-5)


@every_matcher
def test_order_of_queries_changes_the_rows_alone(name):
    matcher = build(name, shaken=True)
    query, support, text, query_mask, support_mask = episodes(ragged=True)
    flipped = matcher(query.flip(1), support, text, query_mask.flip(1), support_mask)
    expected = matcher(query, support, text, query_mask, support_mask).flip(1)
    torch.testing.assert_close(flipped, expected, rtol=1e-4, atol=1e-5)


@every_matcher
def test_each_query_is_scored_by_itself(name):
    matcher = build(name, shaken=True)
    query, support, text, query_mask, support_mask = episodes(ragged=True)
    alone = [
        matcher(query[:, q : q + 1], support, text, query_mask[:, q : q + 1], support_mask) for q in range(QUERIES)
    ]
    scores = matcher(query, support, text, query_mask, support_mask)
    torch.testing.assert_close(scores, torch.cat(alone, dim=1), rtol=1e-4, atol=1e-5)


@every_matcher
def test_padding_is_never_read(name):
    """Frames masked out may hold anything and lie anywhere, and there may be more of them."""
    matcher = build(name, shaken=True)
    query, support, text, query_mask, support_mask = episodes()
    expected = matcher(query, support, text, query_mask, support_mask)
    places = [1, 2, 5, 7, 8, 10]
    longer_query, longer_support = (torch.full((*x.shape[:-2], 12, DIM), 1e4) for x in (query, support))
    longer_query[..., places, :], longer_support[..., places, :] = query, support
    real = torch.zeros(12, dtype=torch.bool)
    real[places] = True
    scores = matcher(longer_query, longer_support, text, real.expand(2, QUERIES, 12), real.expand(2, WAYS, SHOTS, 12))
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)


@every_matcher
def test_videos_of_different_lengths_score_as_alone(name):
    matcher = build(name, shaken=True)
    query, support, text, query_mask, support_mask = episodes(shots=1, queries=1, ways=1, ragged=True, seed=3)
    shortened = [
        matcher(
            query[row : row + 1, :, query_mask[row, 0]],
            support[row : row + 1, :, :, support_mask[row, 0, 0]],
            text[row : row + 1],
            query_mask[row : row + 1, :, query_mask[row, 0]],
            support_mask[row : row + 1, :, :, support_mask[row, 0, 0]],
        )
        for row in range(2)
    ]
    torch.testing.assert_close(
        matcher(query, support, text, query_mask, support_mask), torch.cat(shortened), rtol=1e-4, atol=1e-5
    )


@every_matcher
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_comes_in(name, dtype):
    query, support, text, *masks = episodes(ragged=True)
    query, support, text = query.to(dtype), support.to(dtype), text.to(dtype)
    matcher = build(name, shaken=True)
    scores = matcher(query, support, text, *masks)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, matcher(query.float(), support.float(), text.float(), *masks))


@every_matcher
def test_gradient_is_finite_reaches_what_is_real_and_no_padding(name):
    matcher = build(name, shaken=True).train()
    query, support, text, query_mask, support_mask = episodes(ragged=True)
    query[~query_mask] = support[~support_mask] = 0  # as a bank pads
    inputs = [part.requires_grad_() for part in (query, support, text)]
    scores = matcher(*inputs, query_mask, support_mask)
    (scores * torch.randn(scores.shape, generator=torch.Generator().manual_seed(5))).sum().backward()
    for given in (*inputs, *matcher.parameters()):
        assert given.grad is None or given.grad.isfinite().all()
    assert query.grad[query_mask].abs().sum() > 0
    assert (query.grad[~query_mask] == 0).all()
    assert support.grad is None or (support.grad[~support_mask] == 0).all()


@every_matcher
def test_a_video_is_nearest_to_itself(name):
    """Support videos far from each other, asked for again, with texts that agree."""
    matcher = build(name, 8 * WAYS)
    support = torch.randn(1, WAYS, 1, 5, 8 * WAYS, generator=torch.Generator().manual_seed(2)) * 0.2
    for way in range(WAYS):
        support[0, way, ..., 8 * way : 8 * way + 8] += 2
    real = torch.ones(1, WAYS, 1, 5, dtype=torch.bool)
    scores = matcher(support[:, :, 0], support, support[:, :, 0].mean(2), real[:, :, 0], real)
    assert scores.argmax(-1).tolist() == [list(range(WAYS))]
