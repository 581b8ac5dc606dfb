"""Trunk: the last blocks, run on what entered them, give what the whole tower gives."""

import json
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from framebank.extract.encoders.encoder import Encoder
from framebank.store import DataError

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 3}
TOWERS: dict[str, dict[str, Any]] = {
    "tok": TINY,
    "avg-late-norm": {**TINY, "pool_type": "avg", "final_ln_after_pool": True},
    "attention": {**TINY, "attentional_pool": True, "attn_pooler_heads": 2},
    "timm-token": {"timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": "linear", "image_size": 160},
    "timm-map": {"timm_model_name": "test_vit", "timm_pool": "map", "timm_proj": "none", "image_size": 160},
    "timm-rope": {
        "timm_model_name": "vit_pe_core_tiny_patch16_384",
        "timm_pool": "map",
        "timm_proj": "linear",
        "image_size": 384,
    },
    "resnet": {"image_size": 32, "layers": [1, 2, 1, 1], "width": 16, "head_width": 32},
}
OTHERS: dict[str, dict[str, Any]] = {
    "convolutions": {"timm_model_name": "test_convnext", "timm_proj": "linear", "timm_pool": "", "image_size": 160},
    "relpos": {"timm_model_name": "test_vit_relpos", "timm_proj": "linear", "image_size": 160},
}


@pytest.fixture(scope="module", autouse=True)
def configs(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("configs")
    text = {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    for name, tower in {**TOWERS, **OTHERS}.items():
        config = {"embed_dim": 64 if name == "timm-map" else 24, "vision_cfg": tower, "text_cfg": text}
        (folder / f"cut-{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


def tiny(name: str, streams: str) -> Encoder:
    return Encoder(f"cut-{name}", "none", device="cpu", precision="fp32", streams=streams)


def pictures(encoder: Encoder) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (3, *encoder.preprocessing.size, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize("blocks", [1, 2])
def test_the_last_blocks_on_the_stream_give_the_embeddings_of_the_tower(name: str, blocks: int) -> None:
    if name == "timm-rope" and blocks == 1:
        pytest.skip("the largest of these towers: once is enough")
    encoder = tiny(name, f"frame,trunk:{blocks}")
    found = encoder.encode_frames(pictures(encoder))
    trunk = encoder.trunk(blocks)
    for tokens, tolerance in (
        (found["trunk"], 1e-5),
        (found["trunk"].astype(np.float16).astype(np.float32), 1e-3),
    ):
        x = torch.from_numpy(tokens.copy())
        with torch.inference_mode():
            for block in trunk.blocks[-blocks:]:
                x = block(x, **trunk.beside)
            embeddings = trunk.finish(x).numpy()
        scale = np.abs(found["frame"]).max()
        np.testing.assert_allclose(embeddings / scale, found["frame"] / scale, rtol=0, atol=tolerance)


def test_the_stream_stands_beside_the_others_and_changes_nothing() -> None:
    plain, full = tiny("tok", "frame,layers:1"), tiny("tok", "frame,layers:1,trunk:2")
    expected, found = plain.encode_frames(pictures(plain)), full.encode_frames(pictures(full))
    assert found["frame"].tobytes() == expected["frame"].tobytes()
    np.testing.assert_array_equal(found["trunk"][:, 0], expected["layers"][:, 0])  # block 1 of 3 gives what enters 2


@pytest.mark.parametrize("name", OTHERS)
def test_a_tower_that_cannot_be_cut_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=rf"cut-{name} has no stream trunk: its image tower \(.*\) cannot be cut"):
        tiny(name, "frame,trunk:1")


def test_other_makers_are_refused() -> None:
    with pytest.raises(DataError, match="timm:test_vit has no stream trunk: models of timm are not cut"):
        Encoder("timm:test_vit", "none", device="cpu", streams="frame,trunk:1")


@pytest.mark.parametrize("streams", ["frame,trunk", "frame,trunk:0", "frame,trunk:-1", "frame,trunk:1+2"])
def test_a_trunk_needs_one_number(streams: str) -> None:
    with pytest.raises(DataError, match=r"trunk.* is not understood; expected .*trunk:2"):
        tiny("tok", streams)


def test_more_blocks_than_there_are_is_refused() -> None:
    with pytest.raises(DataError, match="cut-tok has 3 blocks; expected trunk:3 at the most"):
        tiny("tok", "frame,trunk:4")
