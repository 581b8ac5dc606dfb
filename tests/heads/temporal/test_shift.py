import pytest
import torch

from framebank.heads.masking import masked_mean
from framebank.heads.temporal.shift import Shift
from framebank.tests.worlds.formulas import everything, frames

pytestmark = pytest.mark.usefixtures("one_thread")


def test_shift_by_hand():
    x = torch.tensor([[[3.0, 4, 0, 0], [0, 0, 3, 4], [8, 0, 0, 6]]])  # (1, T=3, D=4), of lengths 5, 5, 10
    # channel 0 from the frame before, channel 1 from the frame after, 2 and 3 stay:
    shifted = torch.tensor([[0.0, 0, 0, 0], [3, 0, 3, 4], [0, 0, 0, 6]])
    lengthened = torch.stack([shifted[0], shifted[1] * 5 / 34**0.5, shifted[2] * 10 / 6])
    expected = (x[0] + lengthened).sum(0) / 3
    torch.testing.assert_close(Shift(4, fold=4)(x, everything(x))[0], expected)


def test_an_eighth_of_the_channels_goes_each_way():
    x = torch.zeros(1, 3, 16)
    x[0, 1] = 1  # a lone frame between two of zeros, whose shifted selves are of no length
    pooled = Shift(16)(x, everything(x))[0]
    assert (pooled[:4] == 1 / 3).all()  # two channels each way have left
    torch.testing.assert_close(pooled[4:], torch.full((12,), (1 + (16 / 12) ** 0.5) / 3))


def test_nothing_is_shifted_where_the_width_is_too_small():
    x = frames(2, 5, 4)
    torch.testing.assert_close(Shift(4)(x, everything(x)), 2 * x.mean(1))


def test_nothing_is_learned():
    assert not list(Shift(16).parameters())


def test_order_between_the_ends_is_seen_but_only_by_the_length():
    x = frames(4, 8, 16)
    swapped = x[:, [0, 1, 4, 3, 2, 5, 6, 7]]
    head, mask = Shift(16), everything(x)
    assert (head(swapped, mask) - head(x, mask)).abs().max() > 1e-3
    # the shift alone, and a mean: blind to it
    shifted = x.clone()
    shifted[:, 1:, :2], shifted[:, 0, :2] = x[:, :-1, :2], 0
    shifted_swapped = swapped.clone()
    shifted_swapped[:, 1:, :2], shifted_swapped[:, 0, :2] = swapped[:, :-1, :2], 0
    torch.testing.assert_close(masked_mean(shifted_swapped, mask), masked_mean(shifted, mask))


def test_scale_of_the_frames_is_kept():
    x = frames(2, 5, 16)
    torch.testing.assert_close(Shift(16)(7 * x, everything(x)), 7 * Shift(16)(x, everything(x)))
