"""M2Clip: add to each frame what its neighbours say, through a bottleneck, and take the mean."""

from typing import final

from torch import Tensor, nn

from framebank.heads.masking import masked_mean, pack
from framebank.heads.temporal.head import HeadTraits, MixesFrames


@final
class M2Clip(nn.Module, MixesFrames):
    """M2-CLIP's adapter of frame embeddings (Wang et al. 2024, arXiv 2401.11649): x + fc2(conv3(fc1 x)), mean.

    As published: half the width inside, a depthwise convolution over three frames that starts at zero, no activation;
    untrained, it is the mean of the frames. The TED-Adapters of M2-CLIP are inside the blocks of its image tower, which
    frozen embeddings do not have; the head `ted` is a reading of those.
    """

    traits = HeadTraits()

    def __init__(self, dim: int) -> None:
        super().__init__()
        inner = max(1, dim // 2)
        self.down = nn.Linear(dim, inner)
        self.conv = nn.Conv1d(inner, inner, 3, padding=1, groups=inner)
        self.up = nn.Linear(inner, dim)
        for parameter in (self.conv.weight, self.conv.bias, self.down.bias, self.up.bias):
            if parameter is not None:
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        return masked_mean(*self.mix(x, mask))

    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, packed, and their mask: (B, T, D), (B, T)."""
        x, mask = pack(x, mask)
        inner = self.down(x) * mask.unsqueeze(-1).to(x.dtype)  # (B, T, D / 2); a bias must not change padding
        near = self.conv(inner.transpose(1, 2)).transpose(1, 2)  # (B, T, D / 2)
        return x + self.up(near), mask
