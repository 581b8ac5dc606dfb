"""Mean: the average of the frames; the baseline of every table."""

from typing import final

from torch import Tensor, nn

from framebank.heads.masking import masked_mean
from framebank.heads.temporal.head import HeadTraits, MixesFrames


@final
class Mean(nn.Module, MixesFrames):
    """ActionCLIP's meanP (Wang et al. 2021, arXiv 2109.08472), and CLIP's own way with video. No parameters.

    Blind to the order of the frames.
    """

    traits = HeadTraits(sees_order=False, learns=False)

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        return masked_mean(*self.mix(x, mask))

    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, and their mask: (B, T, D), (B, T)."""
        return x, mask
