import pytest
import torch

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


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match=r"dim \(10\) must be divisible by num_heads \(3\)"):
        Attentive(10, num_heads=3)
