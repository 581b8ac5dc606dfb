"""LayerFusion: low and high layers of the image tower become one sequence of frames, which a head then pools."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.temporal.head import HeadTraits
from framebank.heads.temporal.sloshnet import SloshNet


class LayerFusion(nn.Module):
    """SloshNet's fusion of low and high features (Xing et al. 2023, arXiv 2301.07944), on the stream of layers.

    Each layer of a frame is normalised and projected to D; the sum has the weights softmax(`layer_bias`), which are
    learned. As published the last layer starts with 0.6 and the others share 0.4. What follows is `inner`, a head on
    frames (B, T, D); a fused frame starts about as long as a unit frame.

    The paper searches for operations between the stages of a ResNet (as DARTS does), on maps with space; of the layers
    of a frozen transformer there is one vector each, so only the weights of the layers are searched for.
    """

    traits = HeadTraits(reads_layers=True)

    def __init__(self, dim: int, *, in_shape: tuple[int, ...], inner: Callable[[int], nn.Module] = SloshNet) -> None:
        super().__init__()
        if len(in_shape) != 2:
            raise ValueError(f"in_shape is {in_shape}; expected (layers, width)")
        num_layers, width = in_shape
        self.projection = nn.Parameter(torch.empty(num_layers, width, dim))
        self.layer_bias = nn.Parameter(torch.zeros(num_layers))
        self.inner = inner(dim)
        nn.init.normal_(self.projection, std=(width * dim) ** -0.5)
        if num_layers > 1:
            with torch.no_grad():
                self.layer_bias[-1] = math.log(0.6 / 0.4 * (num_layers - 1))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, L, W), mask (B, T) true where real -> (B, D)."""
        normed = F.layer_norm(x, x.shape[-1:])
        weighted = normed * self.layer_bias.softmax(0).unsqueeze(-1)  # (B, T, L, W)
        fused = torch.einsum("btlw,lwd->btd", weighted, self.projection)
        pooled: Tensor = self.inner(fused, mask)
        return pooled
