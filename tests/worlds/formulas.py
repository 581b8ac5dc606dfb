"""Formulas of the heads written out frame by frame, slow and plain, for the tests to compare with."""

import math

import torch


def shaken(head, *, seed=0):
    """The head in eval mode, every parameter moved far from its start, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return head.eval()


def frames(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def everything(x):
    return torch.ones(x.shape[:2], dtype=torch.bool)


def linear(layer, x):
    return layer.weight @ x + (0 if layer.bias is None else layer.bias)


def norm(x, layer=None, *, eps=1e-5):
    centred = (x - x.mean()) / (((x - x.mean()) ** 2).mean() + eps).sqrt()
    return centred if layer is None else centred * layer.weight + layer.bias


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def read(query, keys, values, *, num_heads):
    """What one query (D,) reads from the values (D,) of some frames, head by head."""
    width = len(query) // num_heads
    parts = []
    for channels in (slice(first, first + width) for first in range(0, len(query), width)):
        weights = [math.exp(float(query[channels] @ key[channels]) / math.sqrt(width)) for key in keys]
        parts.append(
            sum(weight / sum(weights) * value[channels] for weight, value in zip(weights, values, strict=True))
        )
    return torch.cat(parts)


def attention_block(block, h, *, eps=1e-5, activation=quick_gelu):
    """The pre-norm block on a list of frames (D,): x + attention(norm(x)), then x + mlp(norm(x))."""
    dim = len(h[0])
    qkv = [linear(block.qkv, norm(frame, block.attention_norm, eps=eps)).split(dim) for frame in h]
    queries, keys, values = zip(*qkv, strict=True)
    h = [
        frame + linear(block.out, read(query, keys, values, num_heads=block.num_heads))
        for frame, query in zip(h, queries, strict=True)
    ]
    return [
        frame + linear(block.mlp[2], activation(linear(block.mlp[0], norm(frame, block.mlp_norm, eps=eps))))
        for frame in h
    ]


def attributes_by_a_loop(scorer, frames, mask, pooled, lexicon, texts, share):
    """The logits of each video for each class, in that order, of unit phrases (M, D) and class texts (C, D)."""
    logits = []
    for b in range(len(frames)):
        rows = []
        for t in range(frames.shape[1]):
            if mask[b, t]:
                row = [float(frames[b, t] @ phrase) for phrase in lexicon]
                mean = sum(row) / len(row)
                spread = math.sqrt(sum((score - mean) ** 2 for score in row) / len(row) + 1e-5)
                rows.append([(score - mean) / spread for score in row])
        features = [0.0] * len(lexicon)
        for t in range(len(rows)):
            for m in range(len(lexicon)):
                around = [rows[t + shift][m] if 0 <= t + shift < len(rows) else 0.0 for shift in (-1, 0, 1)]
                moved = sum(float(scorer.taps[m, 0, i]) * around[i] for i in range(3))
                features[m] += (rows[t][m] + moved) / len(rows)
        for c in range(len(texts)):
            own = float(scorer.bias[c]) + sum(
                float(scorer.weight[c, m] * feature) for m, feature in enumerate(features)
            )
            text = float(scorer.scale(torch.nn.functional.cosine_similarity(pooled[b], texts[c], dim=0)))
            logits.append((1 - share) * text + share * own)
    return logits
