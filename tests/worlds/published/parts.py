"""Parts that published forms share: drawn values, attention, CLIP's block, and how far two results are apart.

The modules beside this one write out the published forms of methods, and compare them with ours with the same weights.
Each function gives the largest difference as a share of the largest value. What is written there follows the authors'
code in what it computes, in words of our own: whole batches without padding, one layer after the other.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

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


def over_frames(h: nn.Module, x: Tensor, heads: int) -> Tensor:
    """Positions and blocks of ActionCLIP's, X-CLIP's and A5's transformers, before anything is added."""
    table = h.positions if isinstance(h.positions, nn.Parameter) else h.positions.weight
    y = x + table[:T]
    for block in h.blocks:
        y = residual_block(block, y, heads)
    return y
