"""SloshNet: attention over all frames, and a gate that opens on what changes to the next, with learned weights."""

import math
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.masking import masked_mean, pack
from framebank.heads.temporal.attention import AttentionBlock, initialise, silence
from framebank.heads.temporal.head import HeadTraits, MixesFrames


@final
class SloshNet(nn.Module, MixesFrames):
    """SloshNet's long-term and short-term modelling (Xing et al. 2023, arXiv 2301.07944), and the mean of the frames.

    Long-term is one attention block of 8 heads without positions; a width that 8 does not divide gets fewer. Short-term
    is -sigmoid(mlp(K_(t+1) - Q_t)) * V_t, without biases, the difference zero for the last frame: it sees the order.
    They are added with weights 2 softmax(`branch_bias`), at first 1 and 1. The block starts as the identity and V at
    zero: untrained, it is the mean of the frames.

    The published code mixes up axes in the long-term part (attention along the batch, then a view that scrambles time
    and channels); here they are right. What frozen embeddings cannot give: its feature maps, the convolutions over
    space in Q and K, and the search over the stages of a ResNet, for which see `LayerFusion`. Its few-shot matcher is
    no part of a head.
    """

    traits = HeadTraits()

    def __init__(self, dim: int, *, num_heads: int | None = None) -> None:
        super().__init__()
        self.long = AttentionBlock(dim, num_heads=num_heads or math.gcd(dim, 8), norm_eps=1e-12)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.gate = nn.Sequential(nn.Linear(dim, dim, bias=False), nn.GELU(), nn.Linear(dim, dim, bias=False))
        self.branch_bias = nn.Parameter(torch.zeros(2))
        initialise(self.long)
        silence(self.long)
        with torch.no_grad():
            self.qkv.weight[2 * dim :] = 0

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        x, mask = pack(x, mask)
        weights = 2 * self.branch_bias.softmax(0)
        return weights[0] * self.long.mean(x, mask) + weights[1] * masked_mean(self._short(x, mask), mask)

    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, packed, and their mask: (B, T, D), (B, T)."""
        x, mask = pack(x, mask)
        weights = 2 * self.branch_bias.softmax(0)
        return weights[0] * self.long(x, mask) + weights[1] * self._short(x, mask), mask

    def _short(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the branch of neighbouring packed frames, (B, T, D)."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)  # 3 x (B, T, D)
        followed = F.pad(mask[:, 1:], (0, 1)).unsqueeze(-1).to(x.dtype)  # (B, T, 1), zero for the last real frame
        motion = F.pad(k[:, 1:] - q[:, :-1], (0, 0, 0, 1)) * followed  # (B, T, D)
        short: Tensor = -self.gate(motion).sigmoid() * v
        return short
