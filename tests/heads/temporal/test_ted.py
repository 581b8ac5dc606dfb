import pytest
import torch

from framebank.heads.temporal.ted import Ted
from framebank.tests.worlds.formulas import attention_block, everything, frames, gelu, linear, shaken

pytestmark = pytest.mark.usefixtures("one_thread")


@torch.no_grad()
def test_ted_by_the_formula():
    head = shaken(Ted(8, num_heads=2))
    x = frames(1, 4, 8)[0]
    enhanced = attention_block(head.enhance, list(x))
    change = [linear(head.down, x[t] - x[t - 1] if t else torch.zeros(8)) for t in range(4)]
    taps = head.conv.weight[:, 0]  # (D / 4, 3)
    total = torch.zeros(8)
    for t in range(4):
        local = sum(taps[:, tap] * change[t + tap - 1] for tap in range(3) if 0 <= t + tap - 1 < 4)
        total = total + enhanced[t] + linear(head.up, gelu(local))
    torch.testing.assert_close(head(x[None], everything(x[None]))[0], total / 4, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_still_video_has_no_difference():
    head = shaken(Ted(8))
    for parameter in (*head.enhance.out.parameters(), *head.enhance.mlp[2].parameters(), head.up.bias):
        parameter.zero_()
    still = frames(2, 1, 8).expand(-1, 6, -1)
    torch.testing.assert_close(head(still, everything(still)), still[:, 0])
    moving = frames(2, 6, 8)
    assert (head(moving, everything(moving)) - moving.mean(1)).abs().max() > 0.01
