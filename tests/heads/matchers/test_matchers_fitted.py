"""The matchers that learn from the support of an episode, against loops over episodes with torch's own optimisers."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from framebank.heads import CLASSIFIERS, MATCHERS
from framebank.heads.fewshot.episodes import Episodes
from framebank.heads.fewshot.scores import EpisodeFrames, score_episodes
from framebank.tests.heads.matchers.test_matchers_formulas import DIM, QUERIES, SHOTS, WAYS, episodes

pytestmark = pytest.mark.usefixtures("one_thread")

FITTED = ["ridge", "linear-probe", "tip-adapter", "text-residual"]
fitted = pytest.mark.parametrize("name", FITTED)
ragged = pytest.mark.parametrize("ragged", [False, True])


def one_by_one(score, batch):
    """Score each episode by `score(queries (Q, D), videos (R, D), classes (R,), texts (N, D))`, all rows unit."""
    query, support, text, query_mask, support_mask = batch
    scores = []
    for e in range(len(query)):
        queries = [F.normalize(query[e, q, query_mask[e, q]].mean(0), dim=0) for q in range(QUERIES)]
        videos = [
            F.normalize(support[e, n, k, support_mask[e, n, k]].mean(0), dim=0)
            for n in range(WAYS)
            for k in range(SHOTS)
        ]
        classes = torch.tensor([n for n in range(WAYS) for _ in range(SHOTS)])
        scores.append(score(torch.stack(queries), torch.stack(videos), classes, F.normalize(text[e], dim=-1)))
    return torch.stack(scores)


def primal_ridge(queries, videos, classes, texts, *, penalty):
    """Normal equations of each class with a bias of its own column, in the channels themselves."""
    spread = videos.var(0, correction=0).mean().sqrt()
    columns = torch.cat([videos / spread, torch.ones(len(videos), 1)], dim=1)  # (R, D + 1)
    penalties = torch.diag(torch.tensor([penalty * len(videos)] * DIM + [0.0]))
    asked = torch.cat([queries / spread, torch.ones(len(queries), 1)], dim=1)
    scores = []
    for way in range(WAYS):
        target = torch.where(classes == way, 1.0, -1.0).double()
        scores.append(asked @ torch.linalg.solve(columns.T @ columns + penalties, columns.T @ target))
    return torch.stack(scores, dim=1)


def descended(queries, videos, classes, texts, *, steps, lr):
    centre = videos.mean(0)
    norm = (videos - centre).square().sum(1).mean().sqrt()
    layer = nn.Linear(DIM, WAYS, dtype=torch.double)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(layer.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(layer((videos - centre) / norm), classes).backward()
        optimizer.step()
    return layer((queries - centre) / norm).detach()


def moved_texts(queries, videos, classes, texts, *, steps, lr, alpha, scale):
    offsets = nn.Parameter(torch.zeros_like(texts))
    optimizer = torch.optim.Adam([offsets], lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def scores(rows):
        return torch.stack([scale * F.cosine_similarity(row, texts + alpha * offsets, dim=-1) for row in rows])

    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(scores(videos), classes).backward()
        optimizer.step()
        schedule.step()
    return scores(queries).detach()


def cached(queries, videos, classes, texts, *, alpha, beta, scale):
    scores = torch.zeros(len(queries), WAYS, dtype=torch.double)
    for q, query in enumerate(queries):
        for n in range(WAYS):
            keys = [video for video, own in zip(videos, classes.tolist(), strict=True) if own == n]
            scores[q, n] = scale * query @ texts[n]
            scores[q, n] += alpha * sum(math.exp(-beta * (1 - float(query @ key))) for key in keys)
    return scores


@ragged
@pytest.mark.parametrize("penalty", [1e-3, 1.0, 30.0])
def test_ridge_is_the_normal_equations(ragged, penalty):
    batch = episodes(ragged=ragged)

    def score(*rows):
        return primal_ridge(*rows, penalty=penalty)

    torch.testing.assert_close(MATCHERS["ridge"](DIM, penalty=penalty)(*batch), one_by_one(score, batch))


def test_ridge_is_the_classifier_fitted_on_the_support():
    batch = episodes()

    def score(queries, videos, classes, texts):
        classifier = CLASSIFIERS["ridge"](DIM, WAYS, penalty=2.0, standardise=False).double()
        held = (videos.unsqueeze(1), classes)  # chooses the scale alone
        classifier.fit(videos.unsqueeze(1), classes, val=held)
        return classifier(queries).detach()

    scores, expected = MATCHERS["ridge"](DIM, penalty=2.0)(*batch), one_by_one(score, batch)
    scale = (expected / scores).flatten(1).mean(1)[:, None, None]  # of each episode
    torch.testing.assert_close(scores * scale, expected)


@ragged
@pytest.mark.parametrize(("steps", "lr"), [(1, 1.0), (7, 3.0), (100, 1.0)])
def test_linear_probe_is_gradient_descent(ragged, steps, lr):
    batch = episodes(ragged=ragged)

    def score(*rows):
        return descended(*rows, steps=steps, lr=lr)

    matcher = MATCHERS["linear-probe"](DIM, steps=steps, lr=lr)
    torch.testing.assert_close(matcher(*batch), one_by_one(score, batch))


@pytest.mark.parametrize("spread", [1e-3, 1.0, 1e3])
def test_each_step_of_the_linear_probe_lowers_the_loss(spread):
    _, support, text, _, mask = episodes()
    support = spread * support + 1.0  # from videos that are nearly one to some far apart
    target = torch.arange(WAYS).repeat_interleave(SHOTS).expand(2, -1)
    losses = []
    for steps in range(1, 8):
        matcher = MATCHERS["linear-probe"](DIM, steps=steps, lr=3.9)
        scores = matcher(support.flatten(1, 2), support, text, mask.flatten(1, 2), mask)
        losses.append(float(F.cross_entropy(scores.flatten(0, 1), target.flatten())))
    assert losses == sorted(losses, reverse=True)


@ragged
@pytest.mark.parametrize(("steps", "lr", "alpha", "scale"), [(1, 0.1, 0.5, 10.0), (20, 0.01, 1.0, 100.0)])
def test_text_residual_is_adam(ragged, steps, lr, alpha, scale):
    batch = episodes(ragged=ragged)

    def score(*rows):
        return moved_texts(*rows, steps=steps, lr=lr, alpha=alpha, scale=scale)

    matcher = MATCHERS["text-residual"](DIM, steps=steps, lr=lr, alpha=alpha, text_scale=scale)
    torch.testing.assert_close(matcher(*batch), one_by_one(score, batch), rtol=1e-5, atol=1e-5)


@ragged
@pytest.mark.parametrize(("alpha", "beta", "scale"), [(3.0, 1.0, 100.0), (0.5, 5.5, 1.0)])
def test_tip_adapter_by_the_formula(ragged, alpha, beta, scale):
    batch = episodes(ragged=ragged)

    def score(*rows):
        return cached(*rows, alpha=alpha, beta=beta, scale=scale)

    matcher = MATCHERS["tip-adapter"](DIM, alpha=alpha, beta=beta, text_scale=scale)
    torch.testing.assert_close(matcher(*batch), one_by_one(score, batch))


@pytest.mark.parametrize("name", ["tip-adapter", "text-residual"])
def test_without_alpha_only_the_texts_count(name):
    batch = episodes()
    scores = MATCHERS[name](DIM, alpha=0.0, text_scale=7.0)(*batch)
    torch.testing.assert_close(scores, 7 * MATCHERS["text"](DIM)(*batch))


@pytest.mark.parametrize("name", ["tip-adapter", "text-residual"])
def test_what_needs_texts_says_so(name):
    query, support, _, *masks = episodes()
    with pytest.raises(ValueError, match=f"'{name}' scores by the texts of the classes; got none"):
        MATCHERS[name](DIM)(query, support, None, *masks)


@fitted
def test_order_of_the_frames_is_not_seen(name):
    query, support, text, *masks = episodes(ragged=False)
    matcher = MATCHERS[name](DIM)
    flipped = matcher(query.flip(2), support.flip(3), text, *masks)
    torch.testing.assert_close(flipped, matcher(query, support, text, *masks))


@pytest.mark.parametrize("name", ["ridge", "linear-probe"])
def test_neither_the_texts_nor_the_norm_of_a_frame_count(name):
    query, support, text, *masks = episodes()
    matcher = MATCHERS[name](DIM)
    torch.testing.assert_close(matcher(9 * query, 0.1 * support, None, *masks), matcher(query, support, text, *masks))


@fitted
def test_support_is_learned(name):
    """The videos of the support, asked for again, are theirs, against texts that say nothing."""
    _, support, text, _, support_mask = episodes(seed=4)
    scores = MATCHERS[name](DIM, **({"alpha": 500.0} if name == "tip-adapter" else {}), **strong(name))(
        support.flatten(1, 2), support, text[:, :1].expand_as(text), support_mask.flatten(1, 2), support_mask
    )
    assert (scores.argmax(-1) == torch.arange(WAYS).repeat_interleave(SHOTS)).float().mean() > 0.9


def strong(name):
    return {"ridge": {"penalty": 1e-6}, "linear-probe": {"steps": 3000, "lr": 3.0}, "tip-adapter": {"beta": 50.0}}.get(
        name, {}
    )


@pytest.mark.parametrize("name", ["ridge", "linear-probe", "tip-adapter"])
def test_videos_that_are_all_one_give_equal_scores(name):
    query, frames, text, *_ = (part[:1, :1].float() for part in episodes(frames=4))
    text, support = text.expand(1, WAYS, DIM), frames[:, :, :1].expand(1, WAYS, SHOTS, 4, DIM)
    real = torch.ones(1, 1, 4).bool()
    scores = MATCHERS[name](DIM)(query, support, text, real, real[:, None].expand(1, WAYS, SHOTS, 4))
    torch.testing.assert_close(scores, scores[..., :1].expand_as(scores), rtol=1e-4, atol=1e-4)


@fitted
def test_gradient_by_finite_differences(name):
    query, support, text, *masks = (part[:1] for part in episodes(frames=3))
    matcher = MATCHERS[name](DIM, **({"steps": 3} if name in ("linear-probe", "text-residual") else {}))

    def scores(*inputs):
        return matcher(*inputs, *masks)

    inputs = [part.clone().requires_grad_() for part in (query, support, text)]
    assert torch.autograd.gradcheck(scores, inputs, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options"),
    [("ridge", {"penalty": 0.0}), ("linear-probe", {"steps": 0}), ("text-residual", {"lr": -1.0})],
)
def test_options_that_cannot_be(name, options):
    with pytest.raises(ValueError, match="expected"):
        MATCHERS[name](DIM, **options)


@fitted
def test_many_queries_are_one_fit(name):
    """An episode of many queries: where pairs of frames would go in parts, the support is learned once."""
    generator = torch.Generator().manual_seed(0)
    frames = EpisodeFrames(
        torch.randn(20, 8, DIM, generator=generator),
        torch.ones(20, 8).bool(),
        torch.randn(WAYS, DIM, generator=generator),
    )
    count = torch.arange(20).numpy()
    one = Episodes(
        ("a", "b", "c"),
        count[None, :WAYS],
        count[None, : 2 * WAYS].reshape(1, WAYS, 2),
        count[None, 6:],
        count[None, 6:],
        "",
    )
    matcher, asked = MATCHERS[name](DIM), []
    matcher.register_forward_hook(lambda module, given, scores: asked.append(scores.shape[1]))
    scores = score_episodes(matcher, frames, one, device=torch.device("cpu"), max_values=2000)
    assert asked == [14]
    apart = score_episodes(matcher, frames, one, device=torch.device("cpu"), max_values=200)
    assert len(asked) > 2
    torch.testing.assert_close(apart, scores, rtol=1e-4, atol=1e-5)
