import pytest
import torch
from open_clip.transformer import QuickGELU, ResidualAttentionBlock
from torch import nn

from framebank.heads.temporal.vivit import Vivit
from framebank.store.errors import DataError
from framebank.tests.worlds.formulas import attention_block, everything, frames, gelu, linear, quick_gelu, shaken

pytestmark = pytest.mark.usefixtures("one_thread")


def text_blocks(number, width, *, heads=2, activation=QuickGELU):
    blocks = [ResidualAttentionBlock(width, heads, act_layer=activation) for _ in range(number)]
    return [shaken(block, seed=seed) for seed, block in enumerate(blocks)]


def states(blocks):
    return [block.state_dict() for block in blocks]


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("width", [6, 8])
@torch.no_grad()
def test_vivit_by_the_formula(width, quick):
    head = shaken(Vivit(6, num_layers=2, width=width, num_heads=2, quick_gelu=quick))
    x = frames(1, 4, 6)
    projected = width != 6
    h = [linear(head.enter, frame) if projected else frame for frame in x[0]]
    h = [frame + head.positions[t] for t, frame in enumerate(h)]
    for block in head.blocks:
        h = attention_block(block, h, activation=quick_gelu if quick else gelu)
    h = [linear(head.leave, frame) if projected else frame for frame in h]
    torch.testing.assert_close(head(x, everything(x))[0], (x[0] + torch.stack(h)).mean(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("activation", "quick"), [(QuickGELU, True), (nn.GELU, False)])
@torch.no_grad()
def test_loaded_blocks_are_those_of_open_clip(activation, quick):
    theirs = text_blocks(3, 16, activation=activation)
    head = Vivit(16, num_layers=3, num_heads=2, quick_gelu=quick)
    head.load_blocks(states(theirs))
    x = frames(2, 5, 16)
    for ours, block in zip(head.blocks, theirs, strict=True):
        torch.testing.assert_close(ours(x, everything(x)), block(x), rtol=1e-5, atol=1e-5)
    # and the whole head, through all three
    h = x + head.positions[:5]
    for block in theirs:
        h = block(h)
    torch.testing.assert_close(head.eval()(x, everything(x)), (x + h).mean(1), rtol=1e-4, atol=1e-4)


def test_the_other_activation_is_another_head():
    theirs = text_blocks(1, 16)
    x = frames(2, 5, 16)
    heads = [Vivit(16, num_layers=1, num_heads=2, quick_gelu=quick) for quick in (True, False)]
    for head in heads:
        head.load_blocks(states(theirs))
    assert not torch.allclose(heads[0].blocks[0](x, everything(x)), heads[1].blocks[0](x, everything(x)), atol=1e-4)


def test_blocks_of_half_precision_are_loaded():
    theirs = text_blocks(1, 16)
    head = Vivit(16, num_layers=1, num_heads=2)
    head.load_blocks([{name: value.half() for name, value in theirs[0].state_dict().items()}])
    assert head.blocks[0].qkv.weight.dtype == torch.float32
    assert torch.equal(head.blocks[0].qkv.weight, theirs[0].attn.in_proj_weight.half().float())


@pytest.mark.parametrize("width", [None, 12])
def test_frozen_blocks_stay_and_all_else_learns(width):
    head = Vivit(8, num_layers=2, width=width, num_heads=2, freeze_blocks=True)
    theirs = text_blocks(2, width or 8)
    head.load_blocks(states(theirs))
    learned = {name for name, parameter in head.named_parameters() if parameter.requires_grad}
    assert learned == {"positions", "enter.weight", "enter.bias", "leave.weight", "leave.bias"}
    x = frames(4, 6, 8)
    torch.testing.assert_close(head(x, everything(x)), x.mean(1))  # the way back starts at zero
    optimizer = torch.optim.AdamW([p for p in head.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (head(x, everything(x)) * frames(4, 8, seed=3)).sum().backward()
        optimizer.step()
    assert all(head.get_parameter(name).grad.abs().sum() > 0 for name in learned)
    assert torch.equal(head.blocks[1].qkv.weight, theirs[1].attn.in_proj_weight)
    assert (head(x, everything(x)) - x.mean(1)).abs().max() > 0.01


def test_projections_are_there_only_where_needed():
    assert isinstance(Vivit(8).enter, nn.Identity)
    assert isinstance(Vivit(8, width=8).leave, nn.Identity)
    assert torch.equal(Vivit(8, freeze_blocks=True).enter.weight, torch.eye(8))
    into = Vivit(8, width=12).enter.weight  # (12, 8)
    torch.testing.assert_close(into.T @ into, torch.eye(8))


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (lambda: states(text_blocks(1, 8)), r"1 text block given; expected 2, one for each layer"),
        (
            lambda: states([*text_blocks(1, 8), *text_blocks(1, 12)]),
            r"text block 1: ln_1.weight is \(12,\); expected \(8,\), as the head's blocks are 8 wide",
        ),
        (
            lambda: [{}, {}],
            r"text block 0 has no 'attn.in_proj_bias'; expected the parameters of CLIP's attention block",
        ),
        (
            lambda: states([ResidualAttentionBlock(8, 2, ls_init_value=0.1) for _ in range(2)]),
            r"text block 0 has a 'ls_1.gamma'; expected the parameters of CLIP's attention block",
        ),
        (
            lambda: states([ResidualAttentionBlock(8, 2, mlp_ratio=2) for _ in range(2)]),
            r"text block 0: mlp.c_fc.weight is \(16, 8\); expected \(32, 8\)",
        ),
    ],
)
def test_other_blocks_are_refused_and_none_is_copied(blocks, message):
    head = Vivit(8, num_layers=2, num_heads=2)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    with pytest.raises(DataError, match=message):
        head.load_blocks(blocks())
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())
