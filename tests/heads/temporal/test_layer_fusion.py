import pytest
import torch

from framebank.heads import HEADS
from framebank.heads.temporal.layer_fusion import LayerFusion
from framebank.heads.temporal.mean import Mean
from framebank.heads.temporal.mit import Mit
from framebank.tests.worlds.formulas import everything, frames, norm, shaken

pytestmark = pytest.mark.usefixtures("one_thread")


@torch.no_grad()
def test_fusion_by_the_formula():
    head = shaken(LayerFusion(3, in_shape=(2, 5), inner=Mean))
    x = frames(1, 4, 2, 5)
    shares = head.layer_bias.exp() / head.layer_bias.exp().sum()
    total = sum(shares[layer] * norm(x[0, t, layer]) @ head.projection[layer] for t in range(4) for layer in range(2))
    torch.testing.assert_close(head(x, everything(x))[0], total / 4)


@torch.no_grad()
def test_the_inner_head_is_sloshnet():
    head = shaken(HEADS["sloshnet-layers"](8, in_shape=(3, 12)))
    x, mask = frames(2, 4, 3, 12), torch.tensor([[True, True, True, False], [False, True, True, True]])
    shares = head.layer_bias.softmax(0)
    fused = torch.stack(
        [
            torch.stack(
                [
                    sum(shares[layer] * norm(frame[layer]) @ head.projection[layer] for layer in range(3))
                    for frame in video
                ]
            )
            for video in x
        ]
    )
    torch.testing.assert_close(head(x, mask), head.inner(fused, mask), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_layers", [1, 2, 4])
def test_the_last_layer_starts_with_most(num_layers):
    shares = LayerFusion(8, in_shape=(num_layers, 12)).layer_bias.softmax(0)
    if num_layers == 1:
        assert shares.tolist() == [1]
    else:
        assert shares[-1].item() == pytest.approx(0.6)
        torch.testing.assert_close(shares[:-1], torch.full((num_layers - 1,), 0.4 / (num_layers - 1)))


@pytest.mark.parametrize("num_frames", [1, 2, 16, 64, 100])
@pytest.mark.parametrize("in_shape", [(1, 12), (3, 12), (4, 8)])
def test_shape(num_frames, in_shape):
    head = HEADS["sloshnet-layers"](8, in_shape=in_shape)
    for batch in (1, 3):
        x = frames(batch, num_frames, *in_shape)
        pooled = head(x, everything(x))
        assert pooled.shape == (batch, 8)
        assert pooled.isfinite().all()


def test_padding_is_never_read():
    head = shaken(HEADS["sloshnet-layers"](8, in_shape=(3, 12)))
    video = frames(1, 5, 3, 12)
    x, mask = 1e4 * frames(1, 11, 3, 12, seed=2), torch.zeros(1, 11, dtype=torch.bool)
    places = [1, 2, 5, 7, 10]
    x[0, places], mask[0, places] = video[0], True
    torch.testing.assert_close(head(x, mask), head(video, everything(video)), rtol=1e-4, atol=1e-5)


def test_gradient_reaches_every_parameter_and_every_layer():
    head = shaken(HEADS["sloshnet-layers"](8, in_shape=(3, 12)))
    x = frames(3, 6, 3, 12).requires_grad_()
    mask = torch.arange(6) < torch.tensor([[6], [4], [1]])
    (head(x, mask) * frames(3, 8, seed=3)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in head.parameters())
    assert (x.grad[mask].abs().sum(-1) > 0).all()
    assert (x.grad[~mask] == 0).all()


def test_order_is_seen():
    head = shaken(HEADS["sloshnet-layers"](8, in_shape=(3, 12)))
    x = frames(2, 7, 3, 12)
    assert (head(x.flip(1), everything(x)) - head(x, everything(x))).abs().max() > 0.01


def test_a_fused_frame_starts_about_as_long_as_a_unit_frame():
    torch.manual_seed(0)
    head = LayerFusion(512, in_shape=(1, 768), inner=Mean)
    x = frames(8, 1, 1, 768)
    assert head(x, everything(x)).norm(dim=-1).mean().item() == pytest.approx(1, rel=0.05)


def test_the_inner_head_can_be_another():
    assert isinstance(LayerFusion(8, in_shape=(3, 12), inner=Mit).inner, Mit)


def test_a_stream_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"in_shape is \(8,\); expected \(layers, width\)"):
        LayerFusion(8, in_shape=(8,))
