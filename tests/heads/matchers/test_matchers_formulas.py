"""What each matcher computes, against its formula written out with loops over pairs of videos and frames."""

import math
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F

from framebank.heads import MATCHERS
from framebank.heads.matchers.frames import overlaps
from framebank.heads.matchers.max import Max
from framebank.heads.matchers.otam import Otam

pytestmark = pytest.mark.usefixtures("one_thread")

DIM, WAYS, SHOTS, QUERIES = 6, 3, 2, 2


def episodes(*, frames=5, ragged=True, seed=0):
    """Double precision; where ragged, every video has its own frames masked out, from one frame to all."""
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(2, QUERIES, frames, DIM, generator=generator, dtype=torch.double)
    support = torch.randn(2, WAYS, SHOTS, frames, DIM, generator=generator, dtype=torch.double)
    text = torch.randn(2, WAYS, DIM, generator=generator, dtype=torch.double)
    masks = [torch.rand(x.shape[:-1], generator=generator) < (0.6 if ragged else 2) for x in (query, support)]
    for mask in masks:
        mask[..., 1] = True
    return query, support, text, *masks


def pairwise(score, batch, *, over_shots):
    """Score each query against each class by `score(frames of the query, list of the frames of each shot, text)`."""
    query, support, text, query_mask, support_mask = batch
    scores = torch.zeros(len(query), QUERIES, WAYS, dtype=torch.double)
    for e, q, n in torch.cartesian_prod(*(torch.arange(size) for size in scores.shape)).tolist():
        mine = query[e, q, query_mask[e, q]]
        theirs = [support[e, n, k, support_mask[e, n, k]] for k in range(SHOTS)]
        if over_shots:
            scores[e, q, n] = sum(score(mine, video) for video in theirs) / SHOTS
        else:
            scores[e, q, n] = score(mine, theirs, text[e, n])
    return scores


def cosine(a, b, eps=0.01):
    return float(a @ b / (a.norm() * b.norm() + eps))


def table(a, b, eps=0.01):
    return [[cosine(x, y, eps) for y in b] for x in a]


def softmin(*costs, smoothing):
    lowest = min(costs)
    return lowest - smoothing * math.log(sum(math.exp((lowest - cost) / smoothing) for cost in costs))


def hardmin(*costs, smoothing):
    return min(costs)


def alignment(costs, minimum, *, smoothing=0.1):
    """A.O. Cao's ordered alignment as the public code has it: a zero column on either side, one direction."""
    padded = [[0.0, *row, 0.0] for row in costs]
    end = len(padded[0]) - 1
    total = [[0.0] * (end + 1) for _ in padded]
    for m in range(1, end + 1):
        total[0][m] = total[0][m - 1] + padded[0][m]
    for r in range(1, len(padded)):
        for m in range(1, end + 1):
            ways = [total[r - 1][m - 1], total[r][m - 1]]
            if m in (1, end):
                ways.append(total[r - 1][m])
            total[r][m] = padded[r][m] + minimum(*ways, smoothing=smoothing)
    return total[-1][end]


def otam(a, b, minimum=softmin, smoothing=0.1):
    costs = [[1 - similarity for similarity in row] for row in table(a, b)]
    turned = [list(column) for column in zip(*costs, strict=True)]
    forth, back = (alignment(one, minimum, smoothing=smoothing) for one in (costs, turned))
    return -(forth * len(a) / len(b) + back)


def bi_mhm(a, b):
    costs = [[1 - similarity for similarity in row] for row in table(a, b, eps=0)]
    return -(sum(map(min, costs)) + sum(map(min, zip(*costs, strict=True))) * len(a) / len(b))


def chamfer(a, b):
    cosines = table(a, b)
    return (sum(map(max, cosines)) / len(a) + sum(map(max, zip(*cosines, strict=True))) / len(b)) / 2


def diagonal(a, b):
    """Both videos shown 60 times slower, each frame for an equal part of the time."""
    cosines, ticks = table(a, b), 60
    return sum(cosines[t * len(a) // ticks][t * len(b) // ticks] for t in range(ticks)) / ticks


def tuples_of(video, length):
    if len(video) < length:
        video = [video[(2 * step + 1) * len(video) // (2 * length)] for step in range(length)]
    return list(combinations(video, length))


def chamfer_plus(query, videos, text):
    mine = tuples_of(query, 3)
    theirs = [found for video in videos for found in tuples_of(video, 3)]
    alike = [[sum(map(cosine, one, other)) / 3 for other in theirs] for one in mine]
    return (sum(map(max, alike)) / len(mine) + sum(map(max, zip(*alike, strict=True))) / len(theirs)) / 2


def tuple_matching(query, videos, text, *, length=2):
    def flat(found):
        return F.normalize(torch.cat([F.normalize(frame, dim=0) for frame in found]), dim=0)

    theirs = torch.stack([flat(found) for video in videos for found in tuples_of(video, length)])
    distances = []
    for found in tuples_of(query, length):
        mine = flat(found)
        made = (math.sqrt(1152) * theirs @ mine).softmax(0) @ theirs
        distances.append(float((mine - made).square().sum()))
    return -sum(distances) / len(distances)


def mean(query, videos, text):
    prototype = torch.stack([F.normalize(video.mean(0), dim=0) for video in videos]).mean(0)
    return float(F.cosine_similarity(query.mean(0), prototype, dim=0))


def zero_shot(query, videos, text):
    return float(F.cosine_similarity(query.mean(0), text, dim=0))


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("name", ["otam", "bi-mhm", "chamfer", "max", "diagonal", "linear"])
def test_by_the_formula_of_two_videos(name, ragged):
    formulas = {
        "otam": otam,
        "bi-mhm": bi_mhm,
        "chamfer": chamfer,
        "max": lambda a, b: max(map(max, table(a, b))),
        "diagonal": diagonal,
        "linear": diagonal,  # as it starts; its five parts of the time are the five frames of the longest video
    }
    batch = episodes(ragged=ragged and name != "linear")
    matcher = MATCHERS[name](DIM, **({"num_frames": 5} if name == "linear" else {}))
    expected = pairwise(formulas[name], batch, over_shots=True)
    torch.testing.assert_close(matcher(*batch), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("name", ["mean", "text", "chamfer++", "tuple"])
def test_by_the_formula_of_a_query_and_a_class(name, ragged):
    formulas = {"mean": mean, "text": zero_shot, "chamfer++": chamfer_plus, "tuple": tuple_matching}
    batch = episodes(ragged=ragged)
    expected = pairwise(formulas[name], batch, over_shots=False)
    torch.testing.assert_close(MATCHERS[name](DIM)(*batch), expected, rtol=1e-5, atol=1e-5)


def test_tuples_of_three_by_the_formula():
    batch = episodes()

    def score(query, videos, text):
        return tuple_matching(query, videos, text, length=3)

    expected = pairwise(score, batch, over_shots=False)
    torch.testing.assert_close(MATCHERS["tuple"](DIM, length=3)(*batch), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 9])
@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_otam_by_the_formula_at_any_length(frames, smoothing):
    batch = episodes(frames=max(frames, 2), ragged=frames == 1, seed=frames)

    def score(a, b):
        return otam(a, b, smoothing=smoothing)

    expected = pairwise(score, batch, over_shots=True)
    torch.testing.assert_close(Otam(DIM, smoothing=smoothing)(*batch), expected, rtol=1e-5, atol=1e-5)


def test_otam_without_smoothing_is_the_hard_alignment():
    batch = episodes()

    def score(a, b):
        return otam(a, b, minimum=hardmin)

    expected = pairwise(score, batch, over_shots=True)
    gaps = [float((Otam(DIM, smoothing=s)(*batch) - expected).abs().max()) for s in (0.3, 0.1, 0.03, 0.01, 0.001)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 0.01
    assert (
        Otam(DIM, smoothing=1e-5)(*(part.float() if part.is_floating_point() else part for part in batch))
        .isfinite()
        .all()
    )


@pytest.mark.parametrize("name", ["max", "diagonal", "otam", "bi-mhm", "chamfer", "chamfer++"])
def test_two_videos_of_one_length_score_alike_both_ways(name):
    query, support, *_ = episodes(ragged=False)
    a, b = query[:, :1], support[:, :1, :1]
    real = torch.ones(2, 1, 5).bool()
    forth = MATCHERS[name](DIM)(a, b, None, real, real[:, None])
    back = MATCHERS[name](DIM)(b[:, 0], a[:, None], None, real, real[:, None])
    torch.testing.assert_close(forth, back)


@pytest.mark.parametrize("name", ["diagonal", "linear", "otam", "chamfer++", "tuple"])
def test_some_see_the_order_of_the_frames(name):
    query, support, text, *masks = episodes(ragged=False)
    matcher = MATCHERS[name](DIM)
    assert (matcher(query.flip(2), support, text, *masks) - matcher(query, support, text, *masks)).abs().max() > 0.01


@pytest.mark.parametrize("name", ["mean", "max", "bi-mhm", "chamfer", "text"])
def test_others_are_blind_to_it(name):
    query, support, text, *masks = episodes(ragged=False)
    matcher = MATCHERS[name](DIM)
    torch.testing.assert_close(matcher(query.flip(2), support, text, *masks), matcher(query, support, text, *masks))


@pytest.mark.parametrize("name", ["otam", "bi-mhm"])
def test_a_shorter_video_is_not_nearer_for_it(name):
    """Frames that are all equally far: whatever the number of a class's frames, the classes are equally far."""
    query, support = torch.zeros(1, 1, 8, DIM), torch.zeros(1, 2, 1, 8, DIM)
    query[..., 0] = support[..., 1] = 100
    lengths = torch.tensor([8, 3])[None, :, None, None]
    scores = MATCHERS[name](DIM, **({"smoothing": 0.001} if name == "otam" else {}))(
        query, support, None, torch.ones(1, 1, 8).bool(), torch.arange(8) < lengths
    )
    assert scores[0, 0].tolist() == pytest.approx([-16, -16], abs=0.5)


@pytest.mark.parametrize("name", ["mean", "max", "diagonal", "bi-mhm", "chamfer", "text", "chamfer++", "tuple"])
def test_frames_that_all_repeat_count_once(name):
    """Every video shown at half the speed, the repeats masked out, scores as it did."""
    query, support, text, query_mask, support_mask = episodes(ragged=False)
    slow = torch.arange(5).repeat_interleave(2)
    first = torch.arange(10) % 2 == 0
    scores = MATCHERS[name](DIM)(
        query[:, :, slow],
        support[:, :, :, slow],
        text,
        first.expand(2, QUERIES, 10),
        first.expand(2, WAYS, SHOTS, 10),
    )
    torch.testing.assert_close(scores, MATCHERS[name](DIM)(query, support, text, query_mask, support_mask))


def test_combine_is_the_product_of_both_probabilities():
    batch = episodes()
    by_text = MATCHERS["text"](DIM)(*batch).softmax(-1)
    by_videos = (MATCHERS["otam"](DIM, smoothing=0.5)(*batch) / 8).softmax(-1)
    product = by_text**0.9 * by_videos**0.1
    torch.testing.assert_close(MATCHERS["combine"](DIM)(*batch).exp(), product)


def test_combine_takes_any_metric():
    batch = episodes()
    alone = MATCHERS["combine"](DIM, metric=Max, text_share=0.0, metric_scale=3.0)(*batch)
    torch.testing.assert_close(alone, (3 * Max(DIM)(*batch)).log_softmax(-1))


@pytest.mark.parametrize("name", ["text", "combine"])
def test_what_needs_texts_says_so(name):
    query, support, _, *masks = episodes()
    with pytest.raises(ValueError, match="by the texts of the classes; got none"):
        MATCHERS[name](DIM)(query, support, None, *masks)


def test_linear_averages_a_longer_video_into_its_parts():
    query, support, text, *masks = episodes(frames=6, ragged=False)
    matcher = MATCHERS["linear"](DIM, num_frames=2)
    matcher.weight.data = torch.tensor([[0.0, 1.0], [0.0, 0.0]])  # the query's first half against the other's second

    def score(a, b):
        cosines = torch.tensor(table(a, b), dtype=torch.double)
        return float(cosines[:3, 3:].mean())

    expected = pairwise(score, (query, support, text, *masks), over_shots=True)
    torch.testing.assert_close(matcher(query, support, text, *masks), expected, rtol=1e-5, atol=1e-5)


def test_overlaps_are_shares_of_the_time():
    shares = overlaps(torch.tensor([2, 3]), torch.tensor([3, 3]), 3, 4)
    expected = torch.tensor([[[2, 1, 0, 0], [0, 1, 2, 0], [0, 0, 0, 0]], [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]]])
    torch.testing.assert_close(shares, expected / 6)


@pytest.mark.parametrize("name", ["otam", "tuple", "diagonal", "chamfer++", "combine"])
def test_gradient_by_finite_differences(name):
    query, support, text, *masks = (part[:1] for part in episodes(frames=3))

    def scores(*inputs):
        return MATCHERS[name](DIM)(*inputs, *masks)

    inputs = [part.clone().requires_grad_() for part in (query, support, text)]
    assert torch.autograd.gradcheck(scores, inputs, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("otam", "smoothing", 0.0),  # the quotient by it is no number
        ("otam", "smoothing", -1.0),  # the soft minimum would be a maximum
        ("otam", "smoothing", math.nan),
        ("tuple", "length", 0),
        ("chamfer++", "length", 0),
    ],
)
def test_options_without_a_meaning_are_refused(name, option, value):
    with pytest.raises(ValueError, match=f"{option} is {value}; expected"):
        MATCHERS[name](DIM, **{option: value})
