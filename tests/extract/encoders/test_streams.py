"""Streams: what an image tower gives beside each embedding, on tiny towers with random weights."""

import json
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from framebank.extract.encoders.encoder import Encoder
from framebank.extract.encoders.streams import read_streams
from framebank.store import DataError

pytestmark = pytest.mark.usefixtures("one_thread")

EVERY = "frame,pre_proj,regions:2,tokens:2,patch_mean,layers:1+-1"

TINY = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 3}
TOWERS: dict[str, dict[str, Any]] = {
    "tok": TINY,
    "avg": {**TINY, "pool_type": "avg"},
    "avg-late-norm": {**TINY, "pool_type": "avg", "final_ln_after_pool": True},
    "timm-token": {"timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": "linear", "image_size": 160},
    "timm-head": {"timm_model_name": "test_vit", "timm_pool": "avg", "timm_proj": "", "image_size": 160},
    "timm-relpos": {"timm_model_name": "test_vit_relpos", "timm_proj": "linear", "image_size": 160},
}
OTHERS: dict[str, dict[str, Any]] = {
    "attention": {**TINY, "attentional_pool": True, "attn_pooler_heads": 2},
    "timm-map": {"timm_model_name": "test_vit", "timm_pool": "map", "timm_proj": "none", "image_size": 160},
    "convolutions": {"timm_model_name": "test_convnext", "timm_proj": "linear", "timm_pool": "", "image_size": 160},
    "resnet": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16, "head_width": 32},
}


@pytest.fixture(scope="module", autouse=True)
def configs(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("configs")
    text = {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    for name, tower in {**TOWERS, **OTHERS}.items():
        dim = 64 if name == "timm-map" else 24  # without a projection, the width of the trunk
        config = {"embed_dim": dim, "vision_cfg": tower, "text_cfg": text}
        (folder / f"tiny-{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


def tiny(name: str, streams: str) -> Encoder:
    return Encoder(f"tiny-{name}", "none", device="cpu", precision="fp32", streams=streams)


def pictures(encoder: Encoder) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (3, *encoder.preprocessing.size, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", TOWERS)
def test_frame_is_the_same_whatever_is_asked_for_beside_it(name: str) -> None:
    plain, full = tiny(name, "frame"), tiny(name, EVERY)
    expected = plain.encode_frames(pictures(plain))
    assert list(expected) == ["frame"]
    for _ in range(2):  # nothing is left from the pass before
        found = full.encode_frames(pictures(full))
        assert list(found) == ["frame", "pre_proj", "regions", "tokens", "patch_mean", "layers"]
        assert found["frame"].tobytes() == expected["frame"].tobytes()
    assert full.spec.streams == EVERY


@pytest.mark.parametrize("name", TOWERS)
def test_shapes_and_regions(name: str) -> None:
    encoder = tiny(name, EVERY)
    found = encoder.encode_frames(pictures(encoder))
    count, dim = found["frame"].shape
    side = 4 if name in ("tok", "avg", "avg-late-norm") else 10
    width = found["pre_proj"].shape[1]
    assert found["patch_mean"].shape == (count, side * side, dim)
    assert found["layers"].shape == (count, 2, width)
    assert found["tokens"].shape == (count, 4, width)
    grid = found["patch_mean"].reshape(count, 2, side // 2, 2, side // 2, dim)
    np.testing.assert_allclose(found["regions"], grid.mean((2, 4)).reshape(count, 4, dim), rtol=1e-4, atol=1e-5)
    assert all(stream.dtype == np.float32 for stream in found.values())


@pytest.mark.parametrize("name", [*TOWERS, "attention", "timm-map"])
def test_the_projection_of_pre_proj_is_the_frame(name: str) -> None:
    encoder = tiny(name, "frame,pre_proj,layers:-1")
    found = encoder.encode_frames(pictures(encoder))
    visual = encoder._network.visual
    pooled = torch.from_numpy(found["pre_proj"])
    with torch.inference_mode():
        projected = visual.head(visual.trunk.head(pooled)) if name.startswith("timm") else pooled @ visual.proj
    np.testing.assert_allclose(projected.numpy(), found["frame"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["tok", "avg-late-norm", "timm-token"])
def test_the_last_layer_becomes_the_pooled_output(name: str) -> None:
    encoder = tiny(name, "frame,pre_proj,layers:-1")
    found = encoder.encode_frames(pictures(encoder))
    visual = encoder._network.visual
    norm = visual.trunk.norm if name.startswith("timm") else visual.ln_post
    with torch.inference_mode():
        normed = norm(torch.from_numpy(found["layers"][:, 0]))
    np.testing.assert_allclose(normed.numpy(), found["pre_proj"], rtol=1e-4, atol=1e-5)


def test_the_mean_patch_of_an_averaging_tower_is_its_frame() -> None:
    encoder = tiny("avg", "frame,patch_mean")
    found = encoder.encode_frames(pictures(encoder))
    np.testing.assert_allclose(found["patch_mean"].mean(1), found["frame"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["tok", "timm-token"])
def test_tokens_are_what_the_projection_makes_regions_of(name: str) -> None:
    encoder = tiny(name, "frame,regions:4,tokens:4" if name == "tok" else "frame,regions:10,tokens:10")
    found = encoder.encode_frames(pictures(encoder))
    visual = encoder._network.visual
    normed = torch.from_numpy(found["tokens"])
    with torch.inference_mode():
        projected = visual.head(visual.trunk.head(normed)) if name.startswith("timm") else normed @ visual.proj
    np.testing.assert_allclose(projected.numpy(), found["regions"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["attention", "timm-map"])
def test_towers_that_pool_by_attention_have_tokens_too(name: str) -> None:
    encoder = tiny(name, "frame,tokens:2")
    found = encoder.encode_frames(pictures(encoder))
    assert found["tokens"].shape[:2] == (3, 4)
    assert found["tokens"].std() > 0.01


def test_the_pooling_of_a_resnet_reads_its_tokens() -> None:
    encoder = Encoder("demo", device="cpu", precision="fp32", streams="frame,tokens:2,trunk:2")
    found = encoder.encode_frames(pictures(encoder))
    assert (found["tokens"].shape, found["trunk"].shape) == ((3, 4, 512), (3, 128, 8, 8))
    last = torch.from_numpy(found["tokens"]).unflatten(1, (2, 2)).movedim(-1, 1)  # (N, C, H, W), row by row
    with torch.inference_mode():
        pooled = encoder._network.visual.attnpool(last)
    np.testing.assert_allclose(pooled.numpy(), found["frame"], rtol=1e-4, atol=1e-5)


def test_layers_come_in_the_order_asked_for() -> None:
    encoder, other = tiny("tok", "frame,layers:3+1+-2"), tiny("tok", "frame,layers:1+2+3")
    found, ordered = (each.encode_frames(pictures(each))["layers"] for each in (encoder, other))
    np.testing.assert_array_equal(found, ordered[:, [2, 0, 1]])


@pytest.mark.parametrize(
    ("name", "streams", "told"),
    [
        ("resnet", "frame,pre_proj", "tiny-resnet has no stream pre_proj: it pools by attention; use tokens:1$"),
        ("resnet", "frame,layers:1", "no stream layers: its blocks have different widths; use tokens:1"),
        ("resnet", "frame,regions:1", "tiny-resnet has no stream regions: it pools by attention"),
        ("resnet", "frame,tokens:2", "a grid of 1 x 1 patches; expected tokens:1 at the most"),
        ("convolutions", "frame,regions:2", r"tiny-convolutions has no stream regions: .*ConvNeXt"),
        ("attention", "frame,regions:2", "pools by attention.*use tokens:4 or layers:-1"),
        ("timm-map", "frame,patch_mean", "no stream patch_mean: it pools by attention"),
        ("tok", "frame,regions:5", "a grid of 4 x 4 patches; expected regions:4 at the most"),
        ("tok", "frame,tokens:5", "a grid of 4 x 4 patches; expected tokens:4 at the most"),
        ("tok", "frame,layers:4", "has 3 blocks"),
        ("tok", "frame,layers:3+-1", "once each"),
    ],
)
def test_what_a_tower_cannot_give_is_refused(name: str, streams: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        tiny(name, streams)


def test_specs() -> None:
    assert read_streams("frame,layers:3+-1") == {"frame": (), "layers": (3, -1)}
    assert read_streams("frame,tokens:7:8,regions:2:8") == {"frame": (), "tokens": (7,), "regions": (2,)}
    with pytest.raises(DataError, match="a compiled encoder gives only the frame stream"):
        Encoder("demo", streams="frame,pre_proj", compile=True)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("frame,audio", "'audio' is not known; expected frame, pre_proj"),
        ("regions:3", "lack the stream frame.*expected frame,regions:3"),
        ("frame,regions:3,regions:2", "name regions twice"),
        ("frame,regions", "expected numbers such as regions:3"),
        ("frame,regions:2+3", "expected one number above 0"),
        ("frame,tokens:2:16", "the stream tokens:2:16 is not understood; expected numbers such as tokens:7"),
        ("frame,layers:3:8", "the stream layers:3:8 is not understood"),
        ("frame,layers:0", "expected numbers such as layers:3"),
        ("frame:2", "takes no numbers"),
    ],
)
def test_specs_that_are_not_understood(spec: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_streams(spec)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", ["ViT-B-32", "ViT-B-16-SigLIP", "PE-Core-T-16-384", "vit_relpos_medium_patch16_cls_224"]
)
def test_towers_of_full_size(model: str) -> None:
    plain, full = (
        Encoder(model, "none", device="cpu", precision="fp32", streams=s)
        for s in ("frame", "frame,pre_proj,layers:1+-1")
    )
    expected, found = plain.encode_frames(pictures(plain)), full.encode_frames(pictures(full))
    assert found["frame"].tobytes() == expected["frame"].tobytes()
    assert found["layers"].shape[:2] == (3, 2)
    assert np.isfinite(found["pre_proj"]).all()
