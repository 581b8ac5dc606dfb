"""Ted: attention over all frames, and what changes from one frame to the next."""

from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.masking import if_any_real, masked_mean, pack
from framebank.heads.temporal.attention import AttentionBlock, heads_for, initialise, silence
from framebank.heads.temporal.head import HeadTraits, MixesFrames


@final
class Ted(nn.Module, MixesFrames):
    """After M2-CLIP's TED-Adapter (Wang et al. 2024, arXiv 2401.11649): temporal enhancement and temporal difference.

    Enhancement is one attention block over the frames. Difference is an adapter on F_t - F_(t-1), zero for the first
    frame: down to a quarter of the width, a depthwise convolution over three frames, GELU, up. Frames, enhancement and
    difference are added, and averaged. Both parts start at zero: untrained, it is the mean of the frames. Attention
    knows no positions; order is seen by the differences.

    The paper puts such adapters inside the blocks of a frozen image tower, on its patches, which frozen embeddings do
    not have: this is a reading of ours on frames, with sizes of ours. What the published code does with frame
    embeddings is the head `m2clip`.
    """

    traits = HeadTraits()

    def __init__(self, dim: int, *, num_heads: int | None = None) -> None:
        super().__init__()
        inner = max(1, dim // 4)
        self.enhance = AttentionBlock(dim, num_heads=num_heads or heads_for(dim))
        self.down = nn.Linear(dim, inner, bias=False)  # no bias: if nothing changes, the result is zero
        self.conv = nn.Conv1d(inner, inner, 3, padding=1, groups=inner, bias=False)
        self.up = nn.Linear(inner, dim)
        initialise(self.enhance)
        silence(self.enhance)
        for parameter in self.up.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        x, mask = pack(x, mask)
        changes: Tensor = self.up(masked_mean(self._local(x, mask), mask))
        return self.enhance.mean(x, mask) + if_any_real(changes, mask)

    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, packed, and their mask: (B, T, D), (B, T)."""
        x, mask = pack(x, mask)
        return self.enhance(x, mask) + self.up(self._local(x, mask)), mask

    def _local(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return what the branch of changes sees of packed frames, (B, T, D / 4)."""
        change = F.pad(x[:, 1:] - x[:, :-1], (0, 0, 1, 0)) * mask.unsqueeze(-1).to(x.dtype)  # (B, T, D)
        return F.gelu(self.conv(self.down(change).transpose(1, 2)).transpose(1, 2))
