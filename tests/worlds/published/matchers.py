"""The published forms of matchers, beside ours with the same weights: one episode, Q queries, N classes, K shots."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads import MATCHERS
from framebank.heads.matchers.hyrsm_plus_plus import temporal_coherence
from framebank.tests.worlds.formulas import shaken
from framebank.tests.worlds.published.parts import D, T, apart, attend, draw, residual_block

Q, N, K = 3, 4, 2


def episode(shots: int = K) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    query, support, text = draw(1, Q, T, D), draw(1, N, shots, T, D, seed=2), draw(1, N, D, seed=3)
    return query, support, text, torch.ones(1, Q, T, dtype=torch.bool), torch.ones(1, N, shots, T, dtype=torch.bool)


def matcher(name: str, expected: Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor], **options: object) -> float:
    """`expected` scores queries (Q, T, D) against a support (N, K, T, D) with texts (N, D) -> (Q, N)."""
    build, given = MATCHERS[name], episode()
    ours = shaken(build(D, **options))
    return apart(ours(*given)[0], expected(ours, *(part[0] for part in given[:3])))


def cosines(x: Tensor, y: Tensor, eps: float) -> Tensor:
    if not eps:
        return F.normalize(x, dim=-1) @ F.normalize(y, dim=-1).mT
    return x @ y.mT / (x.norm(dim=-1)[..., :, None] * y.norm(dim=-1)[..., None, :] + eps)


def otam_distance(distances: Tensor, smoothing: float) -> Tensor:
    """One direction of OTAM's code, distances (T, S)."""
    padded = F.pad(distances, (1, 1))
    total = [[torch.zeros(()) for _ in range(padded.shape[1])] for _ in range(len(padded))]
    for m in range(1, padded.shape[1]):
        total[0][m] = padded[0, m] + total[0][m - 1]
    for r in range(1, len(padded)):
        for m in range(1, padded.shape[1]):
            ways = [total[r - 1][m - 1], total[r][m - 1]]
            if m in (1, padded.shape[1] - 1):
                ways.append(total[r - 1][m])
            total[r][m] = padded[r, m] - smoothing * torch.logsumexp(-torch.stack(ways) / smoothing, 0)
    return total[-1][-1]


def otam(query: Tensor, support: Tensor, smoothing: float) -> Tensor:
    rows = []
    for q in query:
        for videos in support:
            each = [1 - cosines(q, video, 0.01) for video in videos]
            both = [otam_distance(d, smoothing) + otam_distance(d.T, smoothing) for d in each]
            rows.append(-torch.stack(both).mean())
    return torch.stack(rows).view(len(query), len(support))


def hausdorff(query: Tensor, support: Tensor) -> Tensor:
    """HyRSM's metric: (Q, T, D) against (N, K, T, D), or of each query's own (Q, N, K, T, D) -> (Q, N)."""
    known = support if support.ndim == 5 else support.expand(len(query), *support.shape)
    distances = 1 - cosines(query[:, None, None], known, 0)
    return -(distances.amin(-1).sum(-1) + distances.amin(-2).sum(-1)).mean(-1)


def chamfer(query: Tensor, support: Tensor) -> Tensor:
    similar = cosines(query[:, None, None], support, 0.01)
    return ((similar.amax(-1).mean(-1) + similar.amax(-2).mean(-1)) / 2).mean(-1)


def largest(_: nn.Module, query: Tensor, support: Tensor, text: Tensor) -> Tensor:
    return cosines(query[:, None, None], support, 0.01).amax((-1, -2)).mean(-1)


def diagonal(_: nn.Module, query: Tensor, support: Tensor, text: Tensor) -> Tensor:
    return cosines(query[:, None, None], support, 0.01).diagonal(dim1=-2, dim2=-1).mean((-1, -2))


def combine(_: nn.Module, query: Tensor, support: Tensor, text: Tensor) -> Tensor:
    by_text = cosines(query.mean(1), text, 0).softmax(-1)
    by_frames = ((8 + otam(query, support, 0.5)) / 8).softmax(-1)
    return (by_text**0.9 * by_frames**0.1).log()


def tip_adapter_of_an_episode(_: nn.Module, query: Tensor, support: Tensor, text: Tensor) -> Tensor:
    f, keys = (F.normalize(x.mean(-2), dim=-1) for x in (query, support))
    near = (-1.0 * (1 - torch.einsum("qd,nkd->qnk", f, keys))).exp().sum(-1)
    return 100 * f @ F.normalize(text, dim=-1).T + 3 * near


def tuples(x: Tensor, size: int) -> Tensor:
    places = torch.combinations(torch.arange(T), size)
    return x[..., places, :].flatten(-2)


def sines(scale: float) -> Tensor:
    """Sine and cosine positions (T, D), the exponent 2 c / D times `scale` for an even channel c and the one after."""
    table = torch.zeros(T, D)
    for t in range(T):
        for c in range(0, D, 2):
            table[t, c] = math.sin(t / 10000 ** (c / D))
            table[t, c + 1] = math.cos(t / 10000 ** (c / D))
    return scale * table


def trx_part(part: nn.Module, query: Tensor, support: Tensor) -> Tensor:
    size = part.cardinality
    q, s = (tuples(x + sines(0.1), size) for x in (query, support))
    q_key, s_key, q_value, s_value = part.norm(part.key(q)), part.norm(part.key(s)), part.value(q), part.value(s)
    scores = []
    for key, value in zip(s_key.flatten(1, 2), s_value.flatten(1, 2), strict=True):
        weights = (q_key @ key.T / math.sqrt(key.shape[-1])).softmax(-1)
        scores.append(-(q_value - weights @ value).square().sum((-1, -2)) / q_value.shape[1])
    return torch.stack(scores, dim=1)


def trx(m: nn.Module, query: Tensor, support: Tensor, _: Tensor) -> Tensor:
    return sum(trx_part(part, query, support) for part in m.transformers) / len(m.transformers)


def hyrsm_alone(m: nn.Module, x: Tensor, scale: float) -> Tensor:
    positions = torch.zeros(T, D)
    for t in range(T):
        for c in range(0, D, 2):
            positions[t, c] = math.sin(t / 10000 ** (2 * c / D))
            positions[t, c + 1] = math.cos(t / 10000 ** (2 * (c + 1) / D))
    x = x * math.sqrt(D / scale) + positions
    y, attention = m.norm(x), m.within_video
    return F.relu(x + attention.out(attend(attention.query(y), *attention.key_value(y).chunk(2, dim=-1), 8)))


def hyrsm_related(m: nn.Module, query: Tensor, support: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """The frames of queries (Q, T, D) and of the classes as each query sees them (Q, N, T, D)."""
    query, classes = hyrsm_alone(m, query, scale), hyrsm_alone(m, support, scale).mean(1)
    nodes = torch.cat([classes.mean(1).expand(Q, N, D), query.mean(1)[:, None]], dim=1)  # (Q, N + 1, D)
    attention = m.within_episode
    read = attend(attention.query(nodes), *attention.key_value(nodes).chunk(2, dim=-1), 8)
    nodes = F.relu(m.episode_norm(nodes + attention.out(read)))
    joined = torch.cat([m.join_frame.weight, m.join_video.weight], dim=1)  # a convolution of width one on both

    def join(frames: Tensor, node: Tensor) -> Tensor:
        both = torch.cat([frames, node.unsqueeze(-2).expand_as(frames)], dim=-1)
        return both @ joined.T + m.join_frame.bias

    return join(query, nodes[:, -1]), join(classes.expand(Q, N, T, D), nodes[:, :-1])


def hyrsm(m: nn.Module, query: Tensor, support: Tensor, _: Tensor) -> Tensor:
    asked, known = hyrsm_related(m, query, support, 10.0)
    return hausdorff(asked, known.unsqueeze(2))


def hyrsm_plus_plus(m: nn.Module, query: Tensor, support: Tensor, _: Tensor) -> Tensor:
    asked, known = hyrsm_related(m.relation, query, support, 50.0)
    return hausdorff(asked, known.unsqueeze(2))


def coherence() -> float:
    x = draw(5, T, D)
    distance = 1 - F.normalize(x, dim=2) @ F.normalize(x, dim=2).mT
    weight, near = torch.zeros(T, T), torch.zeros(T, T)
    for i in range(T):
        for j in range(T):
            near[i, j] = abs(i - j) <= 1
            weight[i, j] = 1 / ((i - j) ** 2 + 1) if near[i, j] else 1 - math.exp(-((abs(i - j) - 1) ** 2) / 51)
    expected = torch.mean(distance * near * weight + 20 * (1 - near) * F.relu(weight - distance))
    mask = torch.ones(5, T, dtype=torch.bool)
    return apart(temporal_coherence(x, mask, window=1, softness=51, balance=20), expected)


def clip_fsar(m: nn.Module, query: Tensor, support: Tensor, text: Tensor) -> Tensor:
    def block(x: Tensor, context: Tensor) -> Tensor:
        a, y, z = m.block.attention, m.block.norm(x), m.block.norm(context)
        x = x + a.out(attend(a.query(y), *a.key_value(z).chunk(2, dim=-1), 8))
        return x + m.block.mlp[3](F.gelu(m.block.mlp[0](x)))

    query, classes = block(query, query), support.mean(1)  # MERGE_BEFORE
    context = torch.cat([classes, text[:, None]], dim=1)  # the frames and the text of a class, of which frames stay
    return otam(query, block(context, context)[:, :T, :].unsqueeze(1), 0.5)


def sloshnet(m: nn.Module, query: Tensor, support: Tensor, _: Tensor) -> Tensor:
    def mixed(x: Tensor) -> Tensor:
        long = residual_block(m.long_term, x, 8)
        motion = m.short_term
        q, k, v = motion.qkv(x).chunk(3, dim=-1)
        step = F.pad((k * motion.key_scale)[..., 1:, :] - (q * motion.query_scale)[..., :-1, :], (0, 0, 0, 1))
        short = -(motion.gate[2](F.gelu(motion.gate[0](step))).sigmoid() * v)  # minus, as published
        shares = 2 * m.mixture.softmax(0)
        return shares[0] * long + shares[1] * short

    return trx_part(m.matcher, mixed(query), mixed(support))
