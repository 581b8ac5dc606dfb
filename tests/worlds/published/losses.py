"""The published forms of losses, written out, beside ours on the same values."""

import torch
import torch.nn.functional as F
from torch import nn

from framebank.heads import LOSSES
from framebank.heads.losses.froster import _distance
from framebank.heads.losses.kl import symmetric_kl
from framebank.heads.losses.step import Step
from framebank.tests.worlds.published.parts import B, C, D, T, apart, draw


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
