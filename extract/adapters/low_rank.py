"""LowRank: a small change of a weight as the product of two thin matrices; merged, it is the weight."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization, remove_parametrizations

SCALE = 2.0  # of the product: LoRA's alpha over its rank


class LowRank(nn.Module):
    """LoRA (Hu et al. 2021, arXiv 2106.09685): a weight W (O, ...) becomes W + 2 B A, with A (r, I) and B (O, r).

    B starts as zeros, so that the first output is that of W alone. A weight of a convolution is read as a matrix
    (O, I). The rank is at most the smaller side of the matrix.
    """

    def __init__(self, weight: Tensor, *, rank: int) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        rank = min(rank, rows, columns)
        self.down = nn.Parameter(torch.randn(rank, columns).to(weight.device) / columns**0.5)
        self.up = nn.Parameter(torch.zeros(rows, rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the changed weight, of the same shape."""
        return weight + SCALE * (self.up @ self.down).view_as(weight)


def add_low_rank(blocks: Iterable[nn.Module], *, rank: int) -> None:
    """Put a LowRank on every matrix and every convolution of the blocks; it alone learns."""
    for module, name in _matrices(blocks):
        weight = getattr(module, name)
        register_parametrization(module, name, LowRank(weight, rank=rank))


def merge_low_rank(blocks: Iterable[nn.Module]) -> None:
    """Turn each weight into what its LowRank makes of it, and take the LowRank away."""
    for block in blocks:
        for module in list(block.modules()):
            for name in list(getattr(module, "parametrizations", {})):
                remove_parametrizations(module, name, leave_parametrized=True)


def _matrices(blocks: Iterable[nn.Module]) -> Iterator[tuple[nn.Module, str]]:
    for block in blocks:
        for module in list(block.modules()):
            for name, parameter in list(module.named_parameters(recurse=False)):
                if parameter.ndim >= 2:
                    yield module, name
