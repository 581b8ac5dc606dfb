import pytest
import torch

from framebank.heads.temporal.sloshnet import SloshNet
from framebank.tests.worlds.formulas import attention_block, everything, frames, gelu, linear, shaken

pytestmark = pytest.mark.usefixtures("one_thread")


@torch.no_grad()
def test_sloshnet_by_the_formula():
    head = shaken(SloshNet(6, num_heads=2))
    x = frames(1, 4, 6)
    long = attention_block(head.long, list(x[0]), eps=1e-12)
    q, k, v = zip(*(linear(head.qkv, frame).split(6) for frame in x[0]), strict=True)
    first, second = head.branch_bias.exp() / head.branch_bias.exp().sum()
    total = torch.zeros(6)
    for t in range(4):
        motion = k[t + 1] - q[t] if t < 3 else torch.zeros(6)
        gate = linear(head.gate[2], gelu(linear(head.gate[0], motion))).sigmoid()
        total = total + 2 * first * long[t] - 2 * second * gate * v[t]
    torch.testing.assert_close(head(x, everything(x))[0], total / 4, rtol=1e-4, atol=1e-5)


def test_the_long_part_is_blind_to_order_and_the_short_part_is_not():
    head = shaken(SloshNet(8))
    x = frames(2, 5, 8)
    with torch.no_grad():
        head.branch_bias.copy_(torch.tensor([50.0, -50.0]))
        torch.testing.assert_close(head(x.flip(1), everything(x)), head(x, everything(x)), rtol=1e-4, atol=1e-5)
        head.branch_bias.copy_(torch.tensor([-50.0, 50.0]))
        assert (head(x.flip(1), everything(x)) - head(x, everything(x))).abs().max() > 0.01


def test_sloshnet_is_as_published():
    head = SloshNet(512)
    assert head.long.num_heads == 8
    assert head.long.attention_norm.eps == 1e-12
    assert head.qkv.bias is None
    assert SloshNet(12).long.num_heads == 4
