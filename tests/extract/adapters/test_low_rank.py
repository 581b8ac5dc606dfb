"""LowRank: it starts as nothing, is LoRA's formula, and merged it is the same network."""

import pytest
import torch
from open_clip.modified_resnet import Bottleneck
from open_clip.transformer import ResidualAttentionBlock
from torch import nn
from torch.nn import functional as F

from framebank.extract.adapters.low_rank import LowRank, add_low_rank, merge_low_rank

BLOCKS = {
    "transformer": (lambda: ResidualAttentionBlock(32, 2), (3, 5, 32)),
    "convolutions": (lambda: Bottleneck(16, 8, stride=2), (3, 16, 4, 4)),
}


def changed(block: nn.Module) -> None:
    for module in block.modules():
        if isinstance(module, LowRank):
            nn.init.normal_(module.up, std=0.1)


@pytest.mark.parametrize("name", BLOCKS)
def test_merged_is_the_same_network_as_unmerged(name: str) -> None:
    torch.manual_seed(0)
    build, shape = BLOCKS[name]
    block, x = build().eval().requires_grad_(False), torch.randn(shape)
    names, before = set(block.state_dict()), block(x)
    add_low_rank([block], rank=4)
    torch.testing.assert_close(block(x), before)
    changed(block)
    unmerged = block(x).detach()
    assert (unmerged - before).abs().max() > 1e-2
    merge_low_rank([block])
    assert set(block.state_dict()) == names
    torch.testing.assert_close(block(x), unmerged, rtol=0, atol=1e-5)


def test_only_the_thin_matrices_learn() -> None:
    block = ResidualAttentionBlock(32, 2).requires_grad_(False)
    add_low_rank([block], rank=4)
    learned = sum(parameter.numel() for parameter in block.parameters() if parameter.requires_grad)
    assert learned == 4 * ((32 + 96) + (32 + 32) + (32 + 128) + (128 + 32))  # in, out, up and down of the mlp


def test_a_linear_layer_has_the_formula_of_the_paper() -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(6, 5), torch.randn(2, 6)
    add_low_rank([layer], rank=9)
    changed(layer)
    own = layer.parametrizations["weight"][0]
    assert own.down.shape == (5, 6)  # the rank is at most the smaller side
    weight = layer.parametrizations["weight"].original
    expected = F.linear(x, weight, layer.bias) + 2 * x @ own.down.T @ own.up.T
    torch.testing.assert_close(layer(x), expected)
