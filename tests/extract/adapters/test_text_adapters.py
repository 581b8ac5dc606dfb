"""TextAdapters: they start as nothing, are M2-CLIP's formula, and leave the tower as it was."""

import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import nn

from framebank.extract.adapters.text_adapters import TextAdapter, TextAdapters, both_towers, of_both_towers


def filled(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.requires_grad_(False)


def test_it_starts_as_nothing_and_is_the_formula() -> None:
    x = torch.randn(2, 5, 8)
    adapter = TextAdapter(8)
    assert adapter.down.weight.shape == (6, 8)  # three quarters
    torch.testing.assert_close(adapter(x), x)
    filled(adapter)
    hidden = x @ adapter.down.weight.T + adapter.down.bias
    gelu = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
    torch.testing.assert_close(adapter(x), x + gelu @ adapter.up.weight.T + adapter.up.bias)


def test_they_stand_before_the_last_blocks_until_they_are_taken_out() -> None:
    torch.manual_seed(0)
    blocks = [ResidualAttentionBlock(8, 2).eval().requires_grad_(False) for _ in range(3)]
    x, mask = torch.randn(2, 5, 8), torch.full((5, 5), -torch.inf).triu(1)
    before = [block(x, attn_mask=mask) for block in blocks]
    adapters = filled(TextAdapters(8, blocks=2))
    adapters.put_into(blocks)
    adapted = [block(x, attn_mask=mask) for block in blocks]
    torch.testing.assert_close(adapted[0], before[0], rtol=0, atol=0)
    adapters.take_out()
    for number in (1, 2):
        expected = blocks[number](adapters.before[number - 1](x), attn_mask=mask)
        torch.testing.assert_close(adapted[number], expected)
        torch.testing.assert_close(blocks[number](x, attn_mask=mask), before[number], rtol=0, atol=0)


def test_both_towers_share_a_file() -> None:
    images, texts = {"before.0.up": torch.ones(1)}, {"before.0.up": torch.zeros(1)}
    assert of_both_towers(both_towers(images, texts) or {}) == (images, texts)
    assert of_both_towers(both_towers(images) or {}) == (images, {})
    assert both_towers(None, None) is None
