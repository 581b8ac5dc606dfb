import copy

import numpy as np
import pytest
import torch

from framebank.extract.encoders.encoder import Encoder
from framebank.extract.encoders.text_tower import TextTower
from framebank.store import DataError
from framebank.tests.worlds.tower import network_of, tokenize

NAMES = ["a photo of a spinning ball", "archery", "a man who is riding a very small bicycle"]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def encoder():
    return Encoder("demo", device="cpu")


def test_the_demo_encoder_gives_what_encode_text_gives(encoder):
    tower = encoder.text_tower()
    assert (tower.width, tower.num_positions, tower.num_heads, tower.quick_gelu) == (64, 32, 2, False)
    tokens, lengths = tower.embed(NAMES)
    assert tokens.shape == (3, 32, 64)
    assert lengths.tolist() == [8, 3, 11]
    found = tower.encode(tokens[:, :12], lengths - 1)  # what follows the ends is not read
    np.testing.assert_allclose(found.numpy(), encoder.encode_texts(NAMES), atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("CLIP", {}),
        ("CLIP", {"proj_bias": True}),
        ("CustomTextCLIP", {}),
        ("CustomTextCLIP", {"pool_type": "eos", "eos_id": 49407}),
        ("CLIP", {"pool_type": "eos", "eos_id": 49407}),
    ],
)
def test_any_causal_tower_gives_what_encode_text_gives(kind, text):
    network = network_of(48, kind=kind, **text)
    tower = TextTower(network, tokenize, model="small")
    tokens, lengths = tower.embed(NAMES)
    expected = network.encode_text(tokenize(NAMES))
    torch.testing.assert_close(tower.encode(tokens[:, :14], lengths - 1), expected, atol=1e-5, rtol=1e-4)
    each = tower.encode_tokens(tokens[:, :14])
    assert each.shape == (3, 14, 48)
    torch.testing.assert_close(each[torch.arange(3), lengths - 1], expected, atol=1e-5, rtol=1e-4)


def test_a_token_reads_what_stands_before_it():
    network = network_of(48)
    tower = TextTower(network, tokenize, model="small")
    each = [tower.encode_tokens(tower.embed([name])[0])[0] for name in ("archery on a horse", "archery on a boat")]
    torch.testing.assert_close(each[0][:4], each[1][:4], atol=1e-6, rtol=1e-5)
    assert not torch.allclose(each[0][4], each[1][4], atol=1e-3)
    with torch.no_grad():
        network.text_projection.zero_()
    assert not tower.encode_tokens(tower.embed(NAMES)[0]).any()


def test_gradients_reach_the_sentence_and_not_the_weights(encoder):
    tower = encoder.text_tower()
    tokens, lengths = tower.embed(NAMES[:1])
    tokens = tokens.clone().requires_grad_()
    tower.encode(tokens, lengths - 1).sum().backward()
    reached = tokens.grad[0].abs().sum(-1) > 0
    assert reached.tolist() == [True] * 8 + [False] * 24
    assert all(parameter.grad is None for parameter in encoder._network.parameters())


def test_a_copy_shares_the_tower(encoder):
    tower = encoder.text_tower()
    assert copy.deepcopy({"tower": tower})["tower"] is tower


def test_blocks_are_those_of_clip(encoder):
    blocks = encoder.text_tower().blocks()
    assert len(blocks) == 2
    assert blocks[0]["attn.in_proj_weight"].shape == (192, 64)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"no_causal_mask": True}, "reads a sentence both ways, without a causal mask"),
        ({"embed_cls": True}, "reads a special token and not the end of a sentence"),
        ({"pool_type": "last"}, "reads its 'last' token and not the end of a sentence"),
    ],
)
def test_refuses_other_towers(text, message):
    with pytest.raises(DataError) as caught:
        TextTower(network_of(48, kind="CustomTextCLIP", **text), tokenize, model="odd")
    assert str(caught.value) == f"odd: its text tower {message}; expected a tower like CLIP's, such as that of ViT-B-32"


def test_refuses_a_tower_that_is_not_built_as_clips():
    network = network_of(48, kind="CustomTextCLIP")
    network.text = torch.nn.Linear(2, 2)  # as one of the package transformers, it has none of CLIP's parts
    with pytest.raises(DataError, match="odd: its text tower is a Linear, which is not built like CLIP's; expected"):
        TextTower(network, tokenize, model="odd")
