"""Attention between two sets of tokens, as the few-shot matchers of one family share it."""

import math

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention without biases before it; dropout is on what comes out.

    The number of heads is `fitting_heads`.
    """

    def __init__(self, dim: int, *, num_heads: int = 8, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads = fitting_heads(dim, num_heads)
        self.query = nn.Linear(dim, dim, bias=False)
        self.key_value = nn.Linear(dim, 2 * dim, bias=False)
        self.out = nn.Sequential(nn.Linear(dim, dim), nn.Dropout(dropout))

    def forward(self, x: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        """Read context (..., S, D), mask (..., S) true where real, for each of x (..., T, D) -> (..., T, D)."""
        query = self.query(x.flatten(0, -3)).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, H, T, D/H)
        key_value = self.key_value(context.flatten(0, -3)).unflatten(-1, (2, self.num_heads, -1))  # (B, S, 2, H, D/H)
        key, value = key_value.permute(2, 0, 3, 1, 4)  # 2 x (B, H, S, D/H)
        read = F.scaled_dot_product_attention(query, key, value, attn_mask=mask.flatten(0, -2)[:, None, None])
        out: Tensor = self.out(read.transpose(1, 2).flatten(2))  # (B, T, D)
        return out.view_as(x)


class ContextBlock(nn.Module):
    """x + attention(norm(x), norm(context)), then x + mlp(x): the block of CLIP-FSAR, whose MLP has no norm before.

    The MLP is `mlp_width` wide, or four times the width.
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: int = 8,
        dropout: float = 0.2,
        mlp_dropout: float = 0.05,
        mlp_width: int | None = None,
    ) -> None:
        super().__init__()
        mlp_width = mlp_width or 4 * dim
        self.norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, num_heads=num_heads, dropout=dropout)
        self.mlp = nn.Sequential(
            nn.Linear(dim, mlp_width),
            nn.GELU(),
            nn.Dropout(mlp_dropout),
            nn.Linear(mlp_width, dim),
            nn.Dropout(mlp_dropout),
        )

    def forward(self, x: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        """Mix context (..., S, D), mask (..., S) true where real, into x (..., T, D) -> (..., T, D)."""
        x = x + self.attention(self.norm(x), self.norm(context), mask)
        mixed: Tensor = x + self.mlp(x)
        return mixed


def fitting_heads(dim: int, num_heads: int) -> int:
    """Return `num_heads`, or its largest common divisor with the width if it does not divide it. ValueError below 1."""
    if num_heads < 1:
        raise ValueError(f"num_heads is {num_heads}; expected 1 or more")
    return math.gcd(dim, num_heads)
