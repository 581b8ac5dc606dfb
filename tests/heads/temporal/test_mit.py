"""Mit and A5: the same block, with and without the frames added at the end."""

import pytest
import torch

from framebank.heads.temporal.a5 import A5
from framebank.heads.temporal.mit import Mit
from framebank.tests.worlds.formulas import attention_block, everything, frames, shaken

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(("head", "residual"), [(Mit, 1), (A5, 0)])
@pytest.mark.parametrize("num_layers", [1, 2])
@torch.no_grad()
def test_by_the_formula(head, residual, num_layers):
    head = shaken(head(6, num_layers=num_layers, num_heads=2))
    x = frames(1, 4, 6)
    h = [x[0, t] + head.positions[t] for t in range(4)]
    assert len(head.blocks) == num_layers
    for block in head.blocks:
        h = attention_block(block, h)
    expected = sum(residual * x[0, t] + h[t] for t in range(4)) / 4
    torch.testing.assert_close(head(x, everything(x))[0], expected, rtol=1e-4, atol=1e-5)


def test_mit_is_as_published_but_for_its_start():
    head = Mit(512)
    assert [block.num_heads for block in head.blocks] == [8]
    assert head.blocks[0].attention_norm.eps == 1e-5
    assert head.positions.std().item() == pytest.approx(0.02, rel=0.02)
    assert head.blocks[0].qkv.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert not any(p.any() for p in (*head.blocks[0].out.parameters(), *head.blocks[0].mlp[2].parameters()))


def test_a5_is_as_published():
    head = A5(512)
    assert [block.num_heads for block in head.blocks] == [8, 8]
    assert head.positions.std().item() == pytest.approx(0.01, rel=0.02)
    assert A5(12).blocks[0].num_heads == 4
    assert not any(isinstance(part, torch.nn.Dropout) for part in head.modules())
    # 12 D^2 + 13 D in each block, and the positions
    assert sum(p.numel() for p in head.parameters()) == 2 * (12 * 512**2 + 13 * 512) + 77 * 512
