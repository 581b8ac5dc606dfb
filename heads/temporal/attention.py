"""The pre-norm residual attention block of CLIP's own transformers, with a mask over frames."""

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.masking import if_any_real, masked_mean


class QuickGelu(nn.Module):
    """The activation that OpenAI's CLIP was trained with: x * sigmoid(1.702 x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply elementwise; the shape stays."""
        return F.silu(1.702 * x) / 1.702


class AttentionBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); masked frames are never attended to."""

    def __init__(
        self, dim: int, *, num_heads: int, norm_eps: float = 1e-5, activation: Callable[[], nn.Module] = QuickGelu
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"dim ({dim}) must be divisible by num_heads ({num_heads})")
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.mlp_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), activation(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Mix frames x (B, T, D), mask (B, T) true where real -> (B, T, D)."""
        x = self._attend(x, mask)
        mixed: Tensor = x + self._last(self._hidden(self.mlp_norm(x)))
        return mixed

    def mean(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of the real frames of `forward`, (B, D), in a third less products for many frames.

        The last layer of the mlp is linear: it reads the mean of what it would read in each frame.
        """
        x = self._attend(x, mask)
        hidden = self._hidden(self.mlp_norm(x))  # (B, T, 4D)
        return masked_mean(x, mask) + if_any_real(self._last(masked_mean(hidden, mask)), mask)

    def _attend(self, x: Tensor, mask: Tensor) -> Tensor:
        """Add what each frame reads in the real ones: (B, T, D)."""
        qkv = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.num_heads, -1))  # (B, T, 3, H, D/H)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # 3 x (B, H, T, D/H)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        read: Tensor = x + self.out(attended.transpose(1, 2).flatten(2))  # (B, T, D)
        return read

    def _hidden(self, x: Tensor) -> Tensor:
        """Return what the last layer of the mlp reads, (..., 4D). The two factors of quick-GELU are in the weights."""
        first, activation, _ = self._layers()
        if isinstance(activation, QuickGelu):
            return F.silu(F.linear(x, 1.702 * first.weight, 1.702 * first.bias))
        hidden: Tensor = activation(first(x))
        return hidden

    def _last(self, hidden: Tensor) -> Tensor:
        """Apply the last layer of the mlp: (..., 4D) -> (..., D)."""
        _, activation, last = self._layers()
        weight = last.weight / 1.702 if isinstance(activation, QuickGelu) else last.weight
        return F.linear(hidden, weight, last.bias)

    def _layers(self) -> tuple[nn.Linear, nn.Module, nn.Linear]:
        return cast(tuple[nn.Linear, nn.Module, nn.Linear], tuple(self.mlp))


def mean_after(blocks: nn.ModuleList, x: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of the real frames after attention blocks: x (B, T, D), mask (B, T) -> (B, D)."""
    for block in blocks[:-1]:
        x = block(x, mask)
    return cast(AttentionBlock, blocks[-1]).mean(x, mask) if len(blocks) else masked_mean(x, mask)


def heads_for(dim: int, *, width: int = 64) -> int:
    """Return CLIP's number of attention heads, one for every `width` channels, or the next lower that divides dim."""
    return next(number for number in range(max(1, dim // width), 0, -1) if dim % number == 0)


def positions_for(table: Tensor, mask: Tensor) -> Tensor:
    """Return the positions of packed frames, mask (B, T) -> (T, D) or (B, T, D).

    They are the first rows of the table. If a video has more real frames than rows, all rows are stretched over it.
    """
    num_frames, last = mask.shape[1], len(table) - 1
    if num_frames <= len(table):
        return table[:num_frames]
    spacing = (last / (mask.sum(1, keepdim=True) - 1).clamp(min=1)).clamp(max=1)  # (B, 1)
    place = (torch.arange(num_frames, device=mask.device) * spacing).clamp(max=last)  # (B, T)
    below = place.long()
    return table[below].lerp(table[(below + 1).clamp(max=last)], (place - below).unsqueeze(-1))  # (B, T, D)


def initialise(module: nn.Module, *, std: float = 0.02) -> None:
    """Draw linear and embedding weights from N(0, std), set biases to zero: BERT's and ActionCLIP's start."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=std)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)


def silence(block: AttentionBlock) -> None:
    """Set the last layer of both branches to zero: the block starts as the identity and learns from there."""
    for last in (block.out, block.mlp[2]):
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
