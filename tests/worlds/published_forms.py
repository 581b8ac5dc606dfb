"""The published forms of methods, written out, beside ours with the same weights: how far the two are apart.

Each function gives the largest difference as a share of the largest value. What is written here follows the authors'
code in what it computes, in words of our own: whole batches without padding, one layer after the other.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads import CLASSIFIERS, HEADS, LOSSES, MATCHERS, SCORERS, TEXTS
from framebank.heads.class_texts import ClassTexts
from framebank.heads.losses.froster import _distance
from framebank.heads.losses.kl import symmetric_kl
from framebank.heads.losses.step import Step
from framebank.heads.matchers.hyrsm_plus_plus import temporal_coherence
from framebank.heads.training.build import build_model
from framebank.heads.training.recipe import read_recipe
from framebank.tests.worlds.formulas import shaken
from framebank.tests.worlds.tower import network_of, tokenize, tower_of

B, T, D, C = 3, 8, 128, 4


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def apart(found: Tensor, expected: Tensor) -> float:
    """The largest difference as a share of the largest value."""
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Softmax attention, head by head: q (..., N, D), k and v (..., M, D) -> (..., N, D)."""
    parts = []
    for query, key, value in zip(*(x.chunk(heads, dim=-1) for x in (q, k, v)), strict=True):
        parts.append(torch.softmax(query @ key.mT / math.sqrt(query.shape[-1]), dim=-1) @ value)
    return torch.cat(parts, dim=-1)


def quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def residual_block(block: nn.Module, x: Tensor, heads: int, gelu: Callable[[Tensor], Tensor] = quick_gelu) -> Tensor:
    """CLIP's block: x + attention(ln(x)), then x + mlp(ln(x))."""
    x = x + block.out(attend(*block.qkv(block.attention_norm(x)).chunk(3, dim=-1), heads))
    return x + block.mlp[2](gelu(block.mlp[0](block.mlp_norm(x))))


def head(name: str, expected: Callable[[nn.Module, Tensor], Tensor], **options: object) -> float:
    ours, x = shaken(HEADS[name](D, **options)), draw(B, T, D)
    return apart(ours(x, torch.ones(B, T, dtype=torch.bool)), expected(ours, x))


def over_frames(h: nn.Module, x: Tensor, heads: int) -> Tensor:
    """Positions and blocks of ActionCLIP's, X-CLIP's and A5's transformers, before anything is added."""
    table = h.positions if isinstance(h.positions, nn.Parameter) else h.positions.weight
    y = x + table[:T]
    for block in h.blocks:
        y = residual_block(block, y, heads)
    return y


def actionclip_transformer_cls(h: nn.Module, x: Tensor) -> Tensor:
    y = torch.cat([h.token.expand(B, 1, D), x], dim=1) + h.positions[: T + 1]
    for layer in h.encoder.layers:  # norm after each part, ReLU
        weights, bias = layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias
        y = layer.norm1(y + layer.self_attn.out_proj(attend(*F.linear(y, weights, bias).chunk(3, dim=-1), 8)))
        y = layer.norm2(y + layer.linear2(F.relu(layer.linear1(y))))
    return h.encoder.norm(y)[:, 0]


def actionclip_conv1d(h: nn.Module, x: Tensor) -> Tensor:
    weight, padded = h.conv.weight[:, 0].T, F.pad(x, (0, 0, 1, 1))  # (3, D), (B, T + 2, D)
    return (x + sum(weight[tap] * padded[:, tap : tap + T] for tap in range(3))).mean(1)


def actionclip_lstm(h: nn.Module, x: Tensor) -> Tensor:
    lstm, state, cell, out = h.lstm, torch.zeros(B, D), torch.zeros(B, D), []
    for t in range(T):
        gates = F.linear(x[:, t], lstm.weight_ih_l0, lstm.bias_ih_l0) + F.linear(
            state, lstm.weight_hh_l0, lstm.bias_hh_l0
        )
        i, f, g, o = gates.chunk(4, dim=-1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        state = o.sigmoid() * cell.tanh()
        out.append(state)
    return (x + torch.stack(out, dim=1)).mean(1)


def v_jepa_pooler(h: nn.Module, x: Tensor) -> Tensor:
    k, v = h.kv(h.frame_norm(x)).chunk(2, dim=-1)
    q = h.query + attend(h.q(h.query).expand(B, 1, D), k, v, h.num_heads)  # no projection behind the attention
    q = q + h.mlp(h.mlp_norm(q))
    return q[:, 0]


def m2clip_adapter(h: nn.Module, x: Tensor) -> Tensor:
    inner = F.pad(h.down(x), (0, 0, 1, 1))
    near = sum(h.conv.weight[:, 0, tap] * inner[:, tap : tap + T] for tap in range(3)) + h.conv.bias
    assert inner.shape[-1] == D // 2
    return (x + h.up(near)).mean(1)


# classifiers, scorers and texts


def texts(*, rows: int = 1, norms: bool = False) -> ClassTexts:
    words = F.normalize(draw(C, rows, D, seed=4), dim=-1)
    lengths = 5 + draw(C, seed=5).abs() if norms else torch.ones(C)
    matrix = F.normalize(words.mean(1), dim=-1)[None]
    return ClassTexts(matrix, words, torch.full((C,), rows), 20.0, (), lengths)


def zero_shot() -> float:
    given, video = texts(), draw(B, D)
    expected = 20 * F.normalize(video, dim=-1) @ given.matrix[0].T
    return apart(CLASSIFIERS["text"](D, C, given)(video), expected)


def actionclip_test() -> float:
    """The probabilities of the templates, each a softmax over the classes, averaged."""
    templates, video = F.normalize(draw(5, C, D, seed=4), dim=-1), draw(B, D)
    given = ClassTexts.of_matrix(templates)
    each = [(100 * F.normalize(video, dim=-1) @ template.T).softmax(-1) for template in templates]
    return apart(CLASSIFIERS["text"](D, C, given)(video).exp(), sum(each) / 5)


def text4vis() -> float:
    given, video = texts(), draw(B, D)
    expected = F.linear(F.normalize(video, dim=-1), given.matrix[0]) * 20
    return apart(CLASSIFIERS["text-linear"](D, C, given)(video), expected)


def tip_adapter(name: str) -> float:
    given, views, target = texts(), draw(6, 10, D, seed=8), torch.tensor([0, 0, 1, 2, 3, 3])
    ours, video = CLASSIFIERS[name](D, C, given, alpha=1.17, beta=5.5), draw(B, D)
    ours.fit(views, target, val=None)
    keys = F.normalize(views.mean(1), dim=-1)  # the mean of the views as they are, then unit
    f = F.normalize(video, dim=-1)
    cached = (-5.5 * (1 - f @ keys.T)).exp() @ F.one_hot(target, C).float()
    return apart(ours(video), 20 * f @ given.matrix[0].T + 1.17 * cached)


def twlv_knn() -> float:
    rows, target, video = draw(40, 1, D, seed=8), torch.arange(40) % C, draw(B, D)
    ours = CLASSIFIERS["knn"](D, C, None, k=7, temperature=0.1)
    ours.fit(rows, target, val=None)
    cosines = F.normalize(video, dim=-1) @ F.normalize(rows[:, 0], dim=-1).T
    votes = torch.zeros(B, C)
    for b in range(B):
        for place in cosines[b].argsort(descending=True)[:7]:
            votes[b, target[place]] += torch.exp(cosines[b, place] / 0.1)
    return apart(ours(video).exp(), (votes / votes.sum(1, keepdim=True)).clamp(min=1e-12))


def bike(frames: Tensor, words: Tensor, classes: Tensor) -> Tensor:
    """VCS of frames (B, T, D), words (C, W, D) and class embeddings (C, D): nothing is divided by the norm of v."""
    f, s, c = (F.normalize(x, dim=-1) for x in (frames, words, classes))
    attention = torch.einsum("cwd,btd->cbwt", s, f).div(0.01).softmax(-1).mean(2)
    return torch.einsum("cbt,btd,cd->bc", attention, f, c)


def bike_scorer() -> float:
    given, frames = texts(rows=5), F.normalize(draw(B, T, D), dim=-1)
    ours = SCORERS["vcs"](D, C, given)
    expected = 20 * bike(frames, given.rows, given.matrix[0])
    return apart(ours(frames, torch.ones(B, T, dtype=torch.bool), None), expected)


def bike_under_the_transformer() -> float:
    """The recipe, frames as they are stored: six blocks over the frames, added to them, and VCS."""
    given, frames = texts(rows=5), 10 * draw(B, T, D)
    model = shaken(build_model(read_recipe("bike"), dim=D, num_classes=C, texts=given))
    assert len(model.head.blocks) == 6
    made = frames + over_frames(model.head, frames, 2)
    expected = model.classifier.scale(bike(made, given.rows, given.matrix[0]))
    return apart(model(frames, torch.ones(B, T, dtype=torch.bool)), expected)


def x_clip() -> float:
    given, patches, video = texts(norms=True), draw(B, T, D), draw(B, D, seed=2)
    ours = shaken(SCORERS["x-clip"](D, C, given))
    classes = given.matrix[0] * given.norms[:, None]  # with the norms that the text tower gave them
    memory, prompt = ours.norm(patches), classes.expand(B, C, D)
    for block in ours.blocks:
        k, v = block.key_value(memory).chunk(2, dim=-1)
        prompt = prompt + block.out(attend(block.query(block.attention_norm(prompt)), k, v, D // 64))
        prompt = prompt + block.mlp[2](quick_gelu(block.mlp[0](block.mlp_norm(prompt))))
    prompted = F.normalize(classes + ours.alpha * prompt, dim=-1)
    expected = ours.scale(torch.einsum("bd,bcd->bc", F.normalize(video, dim=-1), prompted))
    return apart(ours(patches, torch.ones(B, T, dtype=torch.bool), video), expected)


def task_res() -> float:
    ours, given = shaken(TEXTS["residual"](D, C)), draw(C, D)
    return apart(ours(given, torch.arange(C)), given + 0.5 * ours.offsets)


def clip_adapter() -> float:
    ours, given = shaken(TEXTS["adapter"](D, C)), draw(C, D)
    mlp = F.relu(F.relu(given @ ours.down.weight.T) @ ours.up.weight.T)
    return apart(ours(given, torch.arange(C)), 0.2 * mlp + 0.8 * given)


NAMES = ("archery", "a man riding a bicycle", "juggling balls")


def encode_tokens(network: nn.Module, embedded: Tensor, end: int) -> Tensor:
    x = embedded + network.positional_embedding[: embedded.shape[1]]
    size = x.shape[1]
    x = network.transformer(x, attn_mask=network.attn_mask[:size, :size])
    return network.ln_final(x)[:, end] @ network.text_projection


def coop() -> float:
    """Start, 16 vectors shared by the classes, the name, a full stop, end."""
    network, ours = network_of(D), TEXTS["context"](D, 3, num_prefix=6)
    ours.meet(tower_of(D), NAMES)
    expected = []
    for name in NAMES:
        tokens = tokenize([f"{name}."])
        length = int((tokens[0] != 0).sum())
        words = network.token_embedding(tokens)[:, :length]
        sentence = torch.cat([words[:, :1], ours.vectors[None], words[:, 1:]], dim=1)
        expected.append(encode_tokens(network, sentence, length + 5))
    return apart(ours(torch.zeros(3, D), torch.arange(3)), torch.cat(expected))


def a5_prompts() -> float:
    """One table of a row for each place; the start, the name after the prefix and the end overwrite theirs."""
    network, ours = network_of(D), TEXTS["context"](D, 3, num_prefix=4, num_suffix=5, by_position=True, stop=False)
    ours.meet(tower_of(D), NAMES)
    expected = []
    for name in NAMES:
        tokens = tokenize([name])
        words, end = network.token_embedding(tokens)[0], int(tokens[0].argmax())
        sentence = ours.vectors.clone()
        sentence[0], sentence[5 : 4 + end], sentence[4 + end + 5] = words[0], words[1:end], words[end]
        expected.append(encode_tokens(network, sentence[None], 4 + end + 5))
    return apart(ours(torch.zeros(3, D), torch.arange(3)), torch.cat(expected))


# losses


def actionclip_kl() -> float:
    logits, labels = 5 * draw(6, 6), torch.tensor([0, 1, 0, 2, 3, 1])
    truth = (10 * (labels[:, None] == labels[None, :]).float()).softmax(1)
    ways = [(truth * (truth.log() - z.log_softmax(1))).mean() * len(labels) for z in (logits, logits.T)]
    return apart(symmetric_kl(logits, labels), sum(ways) / 2)


def froster() -> float:
    projection = nn.Sequential(nn.Linear(D, D, bias=False), nn.GELU(), nn.Linear(D, D, bias=False))
    learned, frozen = draw(B, D), draw(B, D, seed=2)
    z = F.normalize(learned, dim=-1)
    gelu = F.gelu(z @ projection[0].weight.T) @ projection[2].weight.T
    expected = (1 - F.cosine_similarity(z + 0.1 * gelu, frozen, dim=-1)).mean()
    return apart(_distance(learned, frozen, projection), expected)


def softmax_ce() -> float:
    model = nn.Module()
    model.reads_pooled, logits, labels = False, 5 * draw(B, C), torch.tensor([0, 1, 3])
    model.score = lambda frames, mask, pooled: logits
    model.frames = lambda x: x
    step = Step(
        model,  # type: ignore[arg-type] # all that the loss asks of it
        draw(B, T, D),
        torch.ones(B, T, dtype=torch.bool),
        labels,
        texts=None,
        generator=torch.Generator(),
        frequency=torch.ones(C),
    )
    shares = logits.exp() / logits.exp().sum(1, keepdim=True)
    twice = shares.exp() / shares.exp().sum(1, keepdim=True)
    return apart(LOSSES["softmax-ce"](D, C)(step), -twice[torch.arange(B), labels].log().mean())


# matchers, of one episode of Q queries, N classes and K shots

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
