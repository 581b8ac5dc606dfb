"""TextTrunk: a text tower cut before its last blocks gives the embeddings of the whole one."""

import json

import numpy as np
import open_clip
import pytest
import torch

from framebank.extract.adapters.text_tail import TextTail
from framebank.extract.encoders.encoder import Encoder
from framebank.store import DataError

SENTENCES = ["waving", "a person clapping", ""]
CLIP = {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 3}
TOWERS = {
    "clip": CLIP,
    "pe-core": {**CLIP, "pool_type": "argmax"},
    "both-ways": {**CLIP, "no_causal_mask": True, "proj_bias": True, "pool_type": "last"},
    "first": {**CLIP, "no_causal_mask": True, "pool_type": "first", "proj_type": "none", "width": 24},
    "eos": {**CLIP, "pool_type": "eos", "eos_id": 49407},
    "coca": {**CLIP, "embed_cls": True},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The names of tiny models with these text towers; all but the first keep them apart."""
    vision = {"image_size": 16, "patch_size": 8, "width": 16, "head_width": 8, "layers": 1}
    for name, text in TOWERS.items():
        path = tmp_path_factory.mktemp("config") / f"cut-{name}.json"
        config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
        path.write_text(json.dumps(config if name == "clip" else {**config, "custom_text": True}))
        open_clip.add_model_config(path)
    return {name: f"cut-{name}" for name in TOWERS}


def encoder(name: str, models: dict[str, str]) -> Encoder:
    how = ("demo", None) if name == "demo" else (models[name], "none")
    return Encoder(*how, device="cpu", precision="fp32")


@pytest.mark.parametrize("name", ["demo", *(name for name in TOWERS if name != "coca")])
def test_the_parts_give_the_embeddings_of_the_whole_tower(name: str, models: dict[str, str]) -> None:
    own = encoder(name, models)
    tokens = own.reader.read(SENTENCES)
    for blocks in (1, 2):
        trunk = own.text_trunk(blocks)
        entered = trunk.enter(tokens, blocks=blocks)
        with torch.no_grad():
            found = TextTail(trunk, blocks=blocks)(entered.states, entered.ends)
        np.testing.assert_allclose(found.numpy(), own.encode_texts(SENTENCES), rtol=0, atol=1e-5)


def test_a_causal_tower_is_not_run_behind_the_last_end(models: dict[str, str]) -> None:
    tokens = encoder("clip", models).reader.read(["waving"])  # start, one word, end
    assert encoder("clip", models).text_trunk(1).enter(tokens, blocks=1).states.shape == (1, 3, 16)
    assert encoder("both-ways", models).text_trunk(1).enter(tokens, blocks=1).states.shape == (1, 8, 16)


def test_towers_that_cannot_be_cut_are_one_sentence(models: dict[str, str]) -> None:
    with pytest.raises(DataError, match="cut-coca: its text tower hides the padding or reads a token of its own"):
        encoder("coca", models).text_trunk(1)
    with pytest.raises(DataError, match="the text tower of demo has 2 blocks, and 3 are asked for; expected 2 at the"):
        encoder("demo", models).text_trunk(3)
