import pytest
import torch

from framebank.heads.temporal.tcn import Tcn
from framebank.tests.worlds.formulas import everything, frames, linear, shaken

pytestmark = pytest.mark.usefixtures("one_thread")


@torch.no_grad()
def test_tcn_by_the_formula():
    head = shaken(Tcn(3))
    x = frames(1, 7, 3)
    h = list(x[0])
    for conv, last, dilation in zip(head.convs, head.maps, (1, 2, 4), strict=True):
        mixed = []
        for t in range(7):
            near = conv.bias.clone()
            for tap in range(3):
                place = t + (tap - 1) * dilation
                if 0 <= place < 7:
                    near = near + conv.weight[:, :, tap] @ h[place]
            mixed.append(h[t] + linear(last, near.clamp(min=0)))
        h = mixed
    torch.testing.assert_close(head(x, everything(x))[0], sum(h) / 7, rtol=1e-4, atol=1e-5)


def test_tcn_sees_seven_frames_to_each_side():
    head = shaken(Tcn(4))
    layers = torch.nn.Sequential(*head.convs)
    x = frames(1, 4, 31).requires_grad_()  # (1, D, T), through the convolutions alone
    layers(x)[0, :, 15].sum().backward()
    touched = x.grad[0].abs().sum(0).nonzero().flatten().tolist()
    assert touched == list(range(8, 23))


def test_dilations_are_an_option():
    assert [conv.dilation for conv in Tcn(4, dilations=(1, 3)).convs] == [(1,), (3,)]
    x = frames(2, 5, 4)
    assert shaken(Tcn(4, dilations=(1, 3)))(x, everything(x)).shape == (2, 4)
