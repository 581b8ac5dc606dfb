import pytest
import torch
import torch.nn.functional as F

from framebank.heads import HEADS
from framebank.heads.masking import drop_frames, masked_mean, pack
from framebank.heads.temporal.attention import AttentionBlock, QuickGelu, heads_for, positions_for
from framebank.heads.temporal.conv1d import Conv1d
from framebank.heads.temporal.head import MixesFrames
from framebank.heads.temporal.lstm import Lstm
from framebank.heads.temporal.transformer import Transformer
from framebank.tests.worlds.formulas import attention_block, everything, frames
from framebank.tests.worlds.formulas import shaken as shake

# those on frames (B, T, D); temporal/test_layer_fusion.py has those on layers
ON_FRAMES = [name for name, head in HEADS.items() if not head.traits.reads_layers]
# the frames are added to what is learned of them
RESIDUAL = ("conv1d", "tcn", "lstm", "gru", "transformer", "mit", "a5", "vivit", "ted", "sloshnet")
# training starts at the mean, exactly or but for small positions
STARTS_AT_MEAN = ("mean", "tcn", "gru", "ted", "sloshnet")
STARTS_NEAR_MEAN = ("mit", "vivit")
POSITIONED = ("attentive", "transformer", "transformer-cls", "mit", "a5", "vivit")
ORDERED = tuple(name for name in ON_FRAMES if HEADS[name].traits.sees_order)
every_head = pytest.mark.parametrize("name", ON_FRAMES)


pytestmark = pytest.mark.usefixtures("one_thread")


def build(name, dim, *, seed=0, shaken=False):
    """A head in eval mode; `shaken`, every parameter moved far from its start, as training would."""
    torch.manual_seed(seed)
    head = HEADS[name](dim)
    return shake(head, seed=seed) if shaken else head.eval()


def test_every_head_reads_frames_or_layers():
    assert {name for name in HEADS if name not in ON_FRAMES} == {"sloshnet-layers"}
    assert HEADS["sloshnet-layers"].traits.reads_layers


@every_head
@pytest.mark.parametrize("dim", [8, 12, 64])
def test_shape(name, dim):
    head = build(name, dim)
    for batch, num_frames in ((2, 1), (2, 2), (1, 3), (5, 16), (2, 64), (2, 100)):
        x = frames(batch, num_frames, dim)
        pooled = head(x, everything(x))
        assert pooled.shape == (batch, dim)
        assert pooled.dtype == torch.float32
        assert pooled.isfinite().all()


@every_head
@pytest.mark.parametrize("padded_frames", [13, 120])
def test_padding_is_never_read(name, padded_frames):
    head = build(name, 8, shaken=True)
    real = [1, 4, 9, 13]
    alone = [frames(1, count, 8, seed=count) for count in real]
    x = 1e4 * frames(4, padded_frames, 8, seed=99)
    mask = torch.zeros(4, padded_frames, dtype=torch.bool)
    for row, video in enumerate(alone):
        x[row, : real[row]], mask[row, : real[row]] = video[0], True
    expected = torch.cat([head(video, everything(video)) for video in alone])
    torch.testing.assert_close(head(x, mask), expected, rtol=1e-4, atol=1e-5)


@every_head
def test_holes_are_never_read(name):
    head = build(name, 8, shaken=True)
    video = frames(1, 5, 8)
    x, mask = 1e4 * frames(1, 11, 8, seed=2), torch.zeros(1, 11, dtype=torch.bool)
    places = [1, 2, 5, 7, 10]
    x[0, places], mask[0, places] = video[0], True
    torch.testing.assert_close(head(x, mask), head(video, everything(video)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", POSITIONED)
def test_padding_is_never_read_beyond_the_table_of_positions(name):
    head = build(name, 8, shaken=True)
    video = frames(1, 90, 8)
    x, mask = frames(1, 120, 8, seed=2), torch.arange(120)[None] < 90
    x[:, :90] = video
    torch.testing.assert_close(head(x, mask), head(video, everything(video)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in ON_FRAMES if issubclass(HEADS[name], MixesFrames)])
def test_the_answer_is_the_mean_of_the_frames_that_a_head_makes(name):
    """It may be computed in fewer products. A video without a frame has the answer zero."""
    head = build(name, 12, shaken=True)
    x, mask = frames(4, 6, 12), torch.arange(6) < torch.tensor([[6], [1], [4], [0]])
    torch.testing.assert_close(head(x, mask), masked_mean(*head.mix(x, mask)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["transformer", "mit", "a5", "vivit"])
def test_a_head_without_blocks_adds_the_positions_alone(name):
    head = HEADS[name](12, num_layers=0)
    x = frames(2, 3, 12)
    assert not torch.equal(head(x, everything(x)), x.mean(1))
    torch.testing.assert_close(head(x, everything(x)), masked_mean(*head.mix(x, everything(x))))


@every_head
def test_rows_of_a_batch_are_independent(name):
    head = build(name, 8, shaken=True)
    x = frames(3, 6, 8)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0]]).bool()
    alone = torch.cat([head(x[row : row + 1], mask[row : row + 1]) for row in range(3)])
    torch.testing.assert_close(head(x, mask), alone, rtol=1e-4, atol=1e-5)


@every_head
def test_gradient_reaches_every_parameter_and_no_padding(name):
    head = build(name, 8, shaken=True).train()
    x = frames(3, 6, 8).requires_grad_()
    mask = torch.arange(6) < torch.tensor([[6], [4], [1]])
    (head(x, mask) * frames(3, 8, seed=3)).sum().backward()
    for label, parameter in head.named_parameters():
        assert parameter.grad is not None, label
        touched = parameter.grad[:6] if "positions" in label else parameter.grad
        assert touched.abs().sum() > 0, label
    assert (x.grad[~mask] == 0).all()
    assert (x.grad[mask].abs().sum(-1) > 0).all()


@every_head
def test_a_head_sees_the_order_if_it_says_so(name):
    x = frames(2, 7, 8)
    head = build(name, 8, shaken=True)
    apart = (head(x.flip(1), everything(x)) - head(x, everything(x))).abs().max()
    assert apart > 0.01 if HEADS[name].traits.sees_order else apart < 1e-6


@pytest.mark.parametrize("name", HEADS)
def test_a_head_has_parameters_if_it_says_that_it_learns(name):
    reads_layers = {"in_shape": (3, 8)} if HEADS[name].traits.reads_layers else {}
    parameters = list(HEADS[name](8, **reads_layers).parameters())
    assert bool(parameters) is HEADS[name].traits.learns


@every_head
def test_state_round_trip(name):
    head, other = build(name, 8, seed=1, shaken=True), build(name, 8, seed=2)
    other.load_state_dict(head.state_dict())
    x = frames(2, 5, 8)
    assert torch.equal(other(x, everything(x)), head(x, everything(x)))


@every_head
def test_same_seed_same_head(name):
    x = frames(2, 5, 8)
    first, second = build(name, 8, seed=3), build(name, 8, seed=3)
    assert torch.equal(first(x, everything(x)), second(x, everything(x)))


@pytest.mark.parametrize("name", RESIDUAL)
def test_residual_heads_with_zeroed_parameters_score_as_the_mean(name):
    head = build(name, 8)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
    x, mask = frames(3, 6, 8), torch.arange(6) < torch.tensor([[6], [4], [1]])
    texts = F.normalize(frames(5, 8, seed=4), dim=-1)
    expected = F.normalize(masked_mean(x, mask), dim=-1) @ texts.T
    torch.testing.assert_close(F.normalize(head(x, mask), dim=-1) @ texts.T, expected)


@pytest.mark.parametrize("name", STARTS_AT_MEAN)
def test_training_starts_at_the_mean(name):
    x, mask = frames(3, 6, 8), torch.arange(6) < torch.tensor([[6], [4], [1]])
    torch.testing.assert_close(build(name, 8)(x, mask), masked_mean(x, mask))


@pytest.mark.parametrize("name", STARTS_NEAR_MEAN)
def test_training_starts_near_the_mean_where_there_are_positions(name):
    x = F.normalize(frames(4, 1, 512) + frames(4, 16, 512, seed=2), dim=-1)  # unit frames with something in common
    pooled = build(name, 512)(x, everything(x))
    assert F.cosine_similarity(pooled, x.mean(1)).min() > 0.98


@pytest.mark.parametrize("name", [*STARTS_AT_MEAN[1:], *STARTS_NEAR_MEAN])
def test_what_starts_at_the_mean_leaves_it_in_a_step(name):
    head = build(name, 8)
    x = frames(4, 6, 8)
    before = head(x, everything(x))
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.1)
    for _ in range(3):  # a zero before a zero needs a step to open
        optimizer.zero_grad()
        (head(x, everything(x)) * frames(4, 8, seed=3)).sum().backward()
        optimizer.step()
    moved = head(x, everything(x)) - before
    assert (moved - moved.mean(0)).abs().max() > 0.01  # by more than a constant
    assert (head(x.flip(1), everything(x)) - head(x, everything(x))).abs().max() > 0.01


@pytest.mark.parametrize("name", [name for name in ORDERED if name not in ("conv1d", "shift", "transformer-cls")])
def test_a_reversal_is_learned(name):
    time, (start, end) = torch.linspace(0, 1, 6)[:, None], frames(2, 8)
    rising = start * (1 - time) + end * time  # (T, D)
    classes = torch.arange(64) % 2
    x = torch.where(classes[:, None, None] == 1, rising.flip(0), rising) + 0.1 * frames(64, 6, 8, seed=3)
    mask, head, readout = everything(x), build(name, 8).train(), torch.nn.Linear(8, 2)
    optimizer = torch.optim.Adam([*head.parameters(), *readout.parameters()], lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        F.cross_entropy(readout(head(x[:32], mask[:32])), classes[:32]).backward()
        optimizer.step()
    found = readout(head(x[32:], mask[32:])).argmax(1)  # of videos that were not trained on
    assert (found == classes[32:]).float().mean() > 0.9


def test_conv1d_starts_as_a_temporal_shift():
    head = Conv1d(4)
    ramp = torch.tensor([[[1.0, 10, 100, 1000], [2, 20, 200, 2000], [3, 30, 300, 3000]]])  # (1, T=3, D=4)
    shifted = head.conv(ramp.transpose(1, 2)).transpose(1, 2)[0]
    assert shifted[:, 0].tolist() == [0, 1, 2]  # from the frame before
    assert shifted[:, 1].tolist() == [10, 20, 30]
    assert shifted[:, 2].tolist() == [100, 200, 300]
    assert shifted[:, 3].tolist() == [2000, 3000, 0]  # from the frame after
    # (ramp + shifted) summed over the three frames, by hand
    expected = torch.tensor([[6.0 + 3, 60 + 60, 600 + 600, 6000 + 5000]]) / 3
    torch.testing.assert_close(head(ramp, everything(ramp)), expected)


def test_conv1d_shifts_a_quarter_of_the_channels_each_way():
    weight = Conv1d(10).conv.weight[:, 0]  # (D, 3)
    assert weight.argmax(1).tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 2, 2]
    assert (weight.sum(1) == 1).all()
    assert Conv1d(3).conv.weight[:, 0].argmax(1).tolist() == [1, 1, 1]


def test_conv1d_shift_steps_over_a_hole():
    head = Conv1d(4)
    x = torch.arange(1.0, 4)[:, None].expand(3, 4)[None]
    holed = torch.stack([x[:, 0], x[:, 1], 1e6 * x[:, 0], x[:, 2]], dim=1)
    mask = torch.tensor([[True, True, False, True]])
    torch.testing.assert_close(head(holed, mask), head(x, everything(x)))


@torch.no_grad()
def test_lstm_by_the_formula():
    head = Lstm(3)
    x = frames(1, 4, 3)
    lstm = head.lstm
    hidden, cell = torch.zeros(3), torch.zeros(3)
    total = torch.zeros(3)
    for frame in x[0]:
        gates = lstm.weight_ih_l0 @ frame + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ hidden + lstm.bias_hh_l0
        i, f, g, o = gates.split(3)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        total = total + frame + hidden
    torch.testing.assert_close(head(x, everything(x))[0], total / 4)


@torch.no_grad()
def test_transformer_by_the_formula():
    torch.manual_seed(0)
    head = Transformer(6, num_layers=2, num_heads=2)
    for parameter in head.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    x = frames(1, 3, 6)
    h = [x[0, t] + head.positions.weight[t] for t in range(3)]
    for block in head.blocks:
        h = attention_block(block, h, eps=1e-12)
    expected = sum(x[0, t] + h[t] for t in range(3)) / 3
    torch.testing.assert_close(head(x, everything(x))[0], expected, rtol=1e-4, atol=1e-5)


def test_transformer_is_as_published_but_for_its_positions():
    head = Transformer(512)
    assert len(head.blocks) == 6
    assert head.positions.weight.shape == (77, 512)
    assert head.blocks[0].num_heads == 8
    assert head.blocks[0].attention_norm.eps == 1e-12
    assert head.positions.weight.norm(dim=1).mean().item() == pytest.approx(1, rel=0.02)  # as long as a unit frame
    assert head.blocks[0].qkv.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert (head.blocks[0].qkv.bias == 0).all()
    # 12 D^2 + 13 D in each block, and the positions
    assert sum(p.numel() for p in head.parameters()) == 6 * (12 * 512**2 + 13 * 512) + 77 * 512


@pytest.mark.parametrize(
    ("dim", "expected"), [(512, 8), (768, 12), (640, 10), (8, 1), (64, 1), (130, 2), (200, 2), (67, 1)]
)
def test_number_of_attention_heads(dim, expected):
    assert heads_for(dim) == expected


def test_attention_block_refuses_heads_that_do_not_divide():
    with pytest.raises(ValueError, match=r"dim \(10\) must be divisible by num_heads \(3\)"):
        AttentionBlock(10, num_heads=3)


def test_quick_gelu():
    x = torch.linspace(-9, 9, 37)
    torch.testing.assert_close(QuickGelu()(x), x / (1 + (-1.702 * x).exp()))


def test_positions_are_the_first_rows_until_there_are_too_few():
    table = torch.tensor([[0.0], [10.0], [20.0]])
    assert positions_for(table, torch.ones(2, 2, dtype=torch.bool)).squeeze(-1).tolist() == [0, 10]
    mask = torch.arange(5) < torch.tensor([[5], [2], [1], [3]])
    places = positions_for(table, mask).squeeze(-1)
    assert places[0].tolist() == [0, 5, 10, 15, 20]  # 5 frames over the 3 rows
    assert places[1, :2].tolist() == [0, 10]
    assert places[2, :1].tolist() == [0]
    assert places[3, :3].tolist() == [0, 10, 20]


def test_pack_moves_real_frames_to_the_front():
    x = torch.arange(1.0, 6)[None, :, None]
    packed, mask = pack(x, torch.tensor([[False, True, False, True, True]]))
    assert packed.flatten().tolist() == [2, 4, 5, 0, 0]
    assert mask.tolist() == [[True, True, True, False, False]]


def test_masked_mean_by_hand():
    x = torch.tensor([[[1.0, 2], [3, 4], [100, 100]]])
    assert masked_mean(x, torch.tensor([[True, True, False]])).tolist() == [[2, 3]]
    assert masked_mean(x, torch.tensor([[False, False, False]])).tolist() == [[0, 0]]


def test_dropped_frames_are_some_of_the_real_ones_and_never_all() -> None:
    mask = torch.rand(500, 8, generator=torch.Generator().manual_seed(0)) < 0.5
    mask[:, 3] = True
    mask[0] = False
    mask[0, 2] = True
    kept = drop_frames(mask, 0.5)
    assert not (kept & ~mask).any()
    assert kept.any(1).all()
    assert 0.4 * mask.sum() < kept.sum() < 0.7 * mask.sum()
    assert torch.equal(drop_frames(mask, 0.0), mask)
