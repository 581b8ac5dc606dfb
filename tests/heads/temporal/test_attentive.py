import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from framebank.heads.temporal.attentive import Attentive
from framebank.tests.worlds.formulas import everything, frames, gelu, linear, norm, read, shaken

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("projection", [True, False])
@pytest.mark.parametrize("positions", [True, False])
@torch.no_grad()
def test_attentive_by_the_formula(positions, projection):
    head = shaken(Attentive(6, num_heads=2, positions=positions, projection=projection))
    x = frames(1, 4, 6)
    keys, values = [], []
    for t, frame in enumerate(x[0]):
        placed = frame + head.positions[t] if positions else frame
        key, value = linear(head.kv, norm(placed, head.frame_norm)).split(6)
        keys.append(key)
        values.append(value)
    query = head.query[0]
    heard = read(linear(head.q, query), keys, values, num_heads=2)
    pooled = query + (linear(head.out, heard) if projection else heard)
    inner = gelu(linear(head.mlp[0], norm(pooled, head.mlp_norm)))
    expected = pooled + linear(head.mlp[2], inner)
    torch.testing.assert_close(head(x, everything(x))[0], expected, rtol=1e-4, atol=1e-5)


def test_without_positions_it_is_blind_to_order():
    head = shaken(Attentive(8, positions=False))
    x = frames(2, 7, 8)
    shuffled = x[:, torch.randperm(7, generator=torch.Generator().manual_seed(0))]
    torch.testing.assert_close(head(shuffled, everything(x)), head(x, everything(x)), rtol=1e-4, atol=1e-5)


def test_one_frame_is_read_whatever_the_query_asks():
    head = shaken(Attentive(8, num_heads=2))
    x = frames(1, 1, 8)
    before = head(x, everything(x))
    with torch.no_grad():
        head.q.weight.mul_(3)
    torch.testing.assert_close(head(x, everything(x)), before)


def test_attentive_starts_as_published():
    torch.manual_seed(0)
    assert Attentive(512).out is None
    head = Attentive(512, projection=True)
    assert head.num_heads == 8
    for drawn in (head.query, head.positions, head.q.weight, head.kv.weight, head.mlp[0].weight):
        assert drawn.std().item() == pytest.approx(0.02, rel=0.1)
    for last in (head.out, head.mlp[2]):
        assert last.weight.std().item() == pytest.approx(0.02 / 2**0.5, rel=0.02)
        assert not last.bias.any()


def test_its_blocks_start_as_those_of_v_jepa_2():
    torch.manual_seed(0)
    head = Attentive(256, blocks=3)
    for depth, block in enumerate(head.blocks, 1):
        assert block.mlp[0].weight.std().item() == pytest.approx(0.02, rel=0.02)
        for last in (block.out, block.mlp[2]):
            assert last.weight.std().item() == pytest.approx(0.02 / (2 * depth) ** 0.5, rel=0.02)
    assert head.mlp[2].weight.std().item() == pytest.approx(0.02 / 6**0.5, rel=0.02)


def test_token_norm_gives_tokens_a_variance_of_one_before_the_blocks():
    head = shaken(Attentive(8, num_heads=2, blocks=1, token_norm=True))
    x = frames(2, 5, 8)
    placed = x + head.positions[:5]
    normed = (placed - placed.mean(-1, keepdim=True)) / placed.std(-1, keepdim=True, unbiased=False)
    plain = Attentive(8, num_heads=2, blocks=1)
    plain.load_state_dict(head.state_dict())
    with torch.no_grad():
        plain.positions.zero_()
    torch.testing.assert_close(head(x, everything(x)), plain(normed, everything(x)), rtol=1e-3, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("token_norm", [True, False])
def test_with_token_norm_the_blocks_do_not_drown_what_tells_tokens_apart(token_norm):
    """As drawn, on unit frames, whose root mean square is 1 / sqrt(D)."""
    torch.manual_seed(0)
    head = Attentive(512, blocks=3, token_norm=token_norm)
    seen: list[torch.Tensor] = []
    head.frame_norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    x = torch.nn.functional.normalize(frames(4, 8, 512) + frames(4, 1, 512), dim=-1)
    head(x, everything(x))
    apart, before = (y.var(1).sum(-1).mean() / y.square().sum(-1).mean() for y in (seen[0], x))
    assert (apart > 0.8 * before) == token_norm


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match=r"dim \(10\) must be divisible by num_heads \(3\)"):
        Attentive(10, num_heads=3)


def tokens(count: int = 2, times: int = 4, places: int = 3, dim: int = 8) -> torch.Tensor:
    return frames(count, times * places, dim)


def test_blocks_and_a_query_are_the_decoder_of_v_jepa_2():
    """With the weights of transformers' own pooler: three self-attention layers, then one of cross-attention."""
    library = pytest.importorskip("transformers")
    from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2AttentivePooler

    config = library.VJEPA2Config(hidden_size=8, num_attention_heads=2, mlp_ratio=4, num_pooler_layers=3)
    config._attn_implementation = "eager"
    theirs = shaken(VJEPA2AttentivePooler(config)).eval()
    ours = Attentive(8, num_heads=2, positions=False, blocks=3, places=3)
    with torch.no_grad():
        for block, layer in zip(ours.blocks, theirs.self_attention_layers, strict=True):
            attention = layer.self_attn
            parts = [attention.q_proj, attention.k_proj, attention.v_proj]
            block.qkv.weight.copy_(torch.cat([part.weight for part in parts]))
            block.qkv.bias.copy_(torch.cat([part.bias for part in parts]))
            block.out.load_state_dict(attention.out_proj.state_dict())
            block.attention_norm.load_state_dict(layer.layer_norm1.state_dict())
            block.mlp_norm.load_state_dict(layer.layer_norm2.state_dict())
            block.mlp[0].load_state_dict(layer.mlp.fc1.state_dict())
            block.mlp[2].load_state_dict(layer.mlp.fc2.state_dict())
        cross = theirs.cross_attention_layer
        ours.query.copy_(theirs.query_tokens[0])
        ours.q.load_state_dict(cross.cross_attn.q_proj.state_dict())
        parts = [cross.cross_attn.k_proj, cross.cross_attn.v_proj]
        ours.kv.weight.copy_(torch.cat([part.weight for part in parts]))
        ours.kv.bias.copy_(torch.cat([part.bias for part in parts]))
        ours.frame_norm.load_state_dict(cross.layer_norm1.state_dict())
        ours.mlp_norm.load_state_dict(cross.layer_norm2.state_dict())
        ours.mlp[0].load_state_dict(cross.mlp.fc1.state_dict())
        ours.mlp[2].load_state_dict(cross.mlp.fc2.state_dict())
        x = tokens()
        torch.testing.assert_close(ours(x, everything(x)), theirs(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("blocks", [0, 1])
def test_what_the_query_reads_is_attention_over_keys_and_values(blocks: int):
    """The head makes neither; here each token has both, and the key of another bias changes nothing."""
    head = shaken(Attentive(8, num_heads=2, places=3, blocks=blocks, positions=False))
    x, mask = tokens(), torch.ones(2, 12, dtype=torch.bool)
    mask[1, 3:6] = False
    seen = head.blocks[0](x, mask) if blocks else x
    k, v = head.kv(head.frame_norm(seen)).unflatten(-1, (2, 2, 4)).permute(2, 0, 3, 1, 4)  # 2 x (B, H, N, D/H)
    q = head.q(head.query).unflatten(-1, (2, 1, 4)).expand(2, -1, -1, -1)
    read = scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None]).flatten(1)
    pooled = head.query + read
    expected = pooled + head.mlp(head.mlp_norm(pooled))
    torch.testing.assert_close(head(x, mask), expected, rtol=1e-5, atol=1e-5)


def test_place_and_time_are_kept_apart():
    head = shaken(Attentive(8, num_heads=2, places=3, blocks=1))
    x = tokens()
    grid = x.unflatten(1, (4, 3))
    for other in (grid.roll(1, dims=1), grid.roll(1, dims=2)):  # the frames in another order; the places
        moved = head(other.flatten(1, 2), everything(x))
        assert (moved - head(x, everything(x))).abs().max() > 1e-3
    with torch.no_grad():
        head.place_positions.zero_()
    blind = head(grid.roll(1, dims=2).flatten(1, 2), everything(x))
    torch.testing.assert_close(blind, head(x, everything(x)), rtol=1e-4, atol=1e-5)


def test_padding_of_whole_frames_is_never_read_wherever_it_lies():
    head = shaken(Attentive(8, num_heads=2, places=3, blocks=2))
    x = tokens()
    expected = head(x, everything(x))
    noise = torch.full((2, 3, 8), 9.0)
    for at in (0, 3, 12):  # before the first frame, after it, behind the last
        longer = torch.cat([x[:, :at], noise, x[:, at:]], dim=1)
        mask = torch.ones(longer.shape[:2], dtype=torch.bool)
        mask[:, at : at + 3] = False
        torch.testing.assert_close(head(longer, mask), expected, rtol=1e-4, atol=1e-5)


def test_places_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="10 embeddings are not of frames with 3 places each"):
        Attentive(8, places=3)(frames(1, 10, 8), torch.ones(1, 10, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"places \(0\)"):
        Attentive(8, places=0)
