"""The published forms of heads, written out, beside ours with the same weights."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads import HEADS
from framebank.tests.worlds.formulas import shaken
from framebank.tests.worlds.published.parts import B, D, T, apart, attend, draw


def head(name: str, expected: Callable[[nn.Module, Tensor], Tensor], **options: object) -> float:
    ours, x = shaken(HEADS[name](D, **options)), draw(B, T, D)
    return apart(ours(x, torch.ones(B, T, dtype=torch.bool)), expected(ours, x))


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
