"""TransformerCls: a learned token reads the frames and is the answer."""

import math

import torch
from torch import Tensor, nn

from framebank.heads.masking import pack
from framebank.heads.temporal.attention import positions_for
from framebank.heads.temporal.head import HeadTraits


class TransformerCls(nn.Module):
    """ActionCLIP's Transf_cls (Wang et al. 2021, arXiv 2109.08472): class token, positions, six post-norm layers.

    No residual to the frames: untrained, its answer says nothing about them. As published: 8 attention heads, a hidden
    width of 2048, dropout 0.1; a width that 8 does not divide gets fewer heads.
    """

    traits = HeadTraits()

    def __init__(self, dim: int, *, num_layers: int = 6, max_frames: int = 77) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.empty(1, dim))
        self.positions = nn.Parameter(torch.empty(max_frames + 1, dim))
        layer = nn.TransformerEncoderLayer(dim, math.gcd(dim, 8), dim_feedforward=2048, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        nn.init.trunc_normal_(self.token, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        x, mask = pack(x, mask)
        # Not len(x): an exported model would keep it as a constant.
        token = (self.token + self.positions[:1]).expand(x.shape[0], 1, -1)
        tokens = torch.cat([token, x + positions_for(self.positions[1:], mask)], dim=1)  # (B, 1 + T, D)
        padding = torch.cat([mask.new_zeros(mask.shape[0], 1), ~mask], dim=1)  # (B, 1 + T), true where not real
        read: Tensor = self.encoder(tokens, src_key_padding_mask=padding)
        return read[:, 0]  # (B, D)
