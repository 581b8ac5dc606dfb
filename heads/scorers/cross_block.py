"""CrossBlock: the pre-norm residual block in which texts or units read the frames."""

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.temporal.attention import QuickGelu


class CrossBlock(nn.Module):
    """x + attention(norm(x) to memory), then x + mlp(norm(x)), as in X-CLIP (Ni et al. 2022, arXiv 2208.02816).

    Queries, keys and values have no bias, as there. Masked memory is never attended to.
    """

    def __init__(self, dim: int, *, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim, bias=False)
        self.key_value = nn.Linear(dim, 2 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.mlp_norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), QuickGelu(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """Read memory (B, T, D), mask (B, T) true where real, from x (B, Q, D) -> (B, Q, D)."""
        q = self.query(self.attention_norm(x)).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, H, Q, D/H)
        k, v = self.key_value(memory).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)  # 2 x (B, H, T, .)
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        x = x + self.out(read.transpose(1, 2).flatten(2))  # (B, Q, D)
        mixed: Tensor = x + self.mlp(self.mlp_norm(x))
        return mixed
