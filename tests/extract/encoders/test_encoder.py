"""The encoder: the right weights under the right config, its own preprocessing, and what it refuses."""

import json
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from framebank.extract.encoders import weights as module
from framebank.extract.encoders.encoder import Encoder, encoder_like, normalise, resolve_device
from framebank.extract.encoders.weights import LOCAL_MODELS, build_network
from framebank.store import DataError

SMALL = "RN50"


@pytest.fixture(scope="module")
def demo() -> Encoder:
    return Encoder("demo", device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Four frames (4, 90, 120, 3) of smooth colour, no two alike."""
    ramp = np.linspace(0, 255, 90 * 120 * 3).reshape(90, 120, 3)
    return np.stack([np.roll(ramp, shift, axis=(0, 2)) for shift in range(4)]).astype(np.uint8)


def cut(encoder: Encoder, frames: np.ndarray) -> np.ndarray:
    """Frames (T, H, W, 3) -> their views (T * V, S, S, 3)."""
    return np.concatenate([encoder.preprocessing(frame) for frame in frames])


def cosines(a: Encoder, b: Encoder, frames: np.ndarray) -> np.ndarray:
    left, right = (encoder.encode_frames(cut(encoder, frames))["frame"] for encoder in (a, b))
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


def test_embeddings_are_those_of_open_clip(demo: Encoder, frames: np.ndarray) -> None:
    config, weights = LOCAL_MODELS["demo"]
    plain, _, preprocess = open_clip.create_model_and_transforms(config.stem, pretrained=str(weights))
    with torch.inference_mode():
        pixels = torch.stack([preprocess(Image.fromarray(frame)) for frame in frames])
        images = plain.eval().encode_image(pixels).numpy()
        texts = plain.encode_text(open_clip.get_tokenizer(config.stem)(["a person sitting", "a red shirt"])).numpy()
    mean, std = demo.preprocessing.mean, demo.preprocessing.std
    assert torch.equal(normalise(torch.from_numpy(cut(demo, frames)), mean=mean, std=std), pixels)
    np.testing.assert_allclose(demo.encode_frames(cut(demo, frames))["frame"], images, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(demo.encode_texts(["a person sitting", "a red shirt"]), texts, rtol=1e-4, atol=1e-5)
    assert demo.logit_scale == pytest.approx(float(plain.logit_scale.detach().exp()))
    assert demo.spec.dim == images.shape[1]


@pytest.fixture
def coca(tmp_path: Path) -> str:
    """The name of a tiny CoCa, whose encode_image and encode_text normalise unless they are told not to."""
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1, "embed_cls": True}
    config = {
        "embed_dim": 24,
        "vision_cfg": {
            "image_size": 32, "patch_size": 16, "width": 32, "layers": 2, "head_width": 16,
            "attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 8, "output_tokens": True,
        },
        "text_cfg": {**text, "output_tokens": True},
        "multimodal_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
        "custom_text": True,
    }  # fmt: skip
    name = "coca_tiny-test"
    (tmp_path / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / f"{name}.json")
    return name


def test_a_model_that_normalises_by_itself_is_told_not_to(coca: str, frames: np.ndarray) -> None:
    encoder = Encoder(coca, "none", device="cpu", precision="fp32", streams="frame,pre_proj,layers:1")
    found = encoder.encode_frames(cut(encoder, frames))
    assert {name: rows.shape for name, rows in found.items()} == {
        "frame": (4, 24), "pre_proj": (4, 24), "layers": (4, 1, 32)
    }  # fmt: skip
    texts = ["a person sitting", "a red shirt"]
    network = build_network(coca, "none").eval()
    mean, std = encoder.preprocessing.mean, encoder.preprocessing.std
    with torch.inference_mode():
        pixels = normalise(torch.from_numpy(cut(encoder, frames)), mean=mean, std=std)
        images, units = network.visual(pixels)[0], network.encode_image(pixels)
        sentences = network.text(open_clip.get_tokenizer(coca)(texts))[0]
    np.testing.assert_allclose(units.norm(dim=1), 1, rtol=1e-5)  # the default that is turned off
    assert images.norm(dim=1).sub(1).abs().min() > 0.01
    np.testing.assert_allclose(found["frame"], images, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_texts(texts), sentences, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_fills_what_is_not_drawn(coca: str, tmp_path: Path) -> None:
    with module._Undrawn():
        assert torch.nn.init.normal_(torch.ones(3)).tolist() == [1.0, 1.0, 1.0]
    wanted = {name: tensor + 1 for name, tensor in build_network(coca, "none").state_dict().items()}
    save_file(wanted, tmp_path / "weights.safetensors")
    found = build_network(coca, str(tmp_path / "weights.safetensors")).state_dict()
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():  # one that open_clip never fills may hold NaN
        np.testing.assert_array_equal(found[name], tensor, err_msg=name)


def test_a_frame_does_not_depend_on_its_batch(demo: Encoder, frames: np.ndarray) -> None:
    pixels = cut(demo, frames)
    together = demo.encode_frames(pixels)["frame"]
    np.testing.assert_array_equal(together[::-1], demo.encode_frames(pixels[::-1].copy())["frame"])


def test_a_batch_may_be_finished_after_the_next_is_started(demo: Encoder, frames: np.ndarray) -> None:
    pixels = torch.from_numpy(cut(demo, frames))
    first, second = demo.start(pixels[:2]), demo.start(pixels[2:])
    found = [demo.finish(running)["frame"] for running in (first, second)]
    np.testing.assert_allclose(np.concatenate(found), demo.encode_frames(pixels)["frame"], rtol=1e-5, atol=1e-6)
    assert found[0].dtype == np.float32


def test_views_are_cut_by_the_encoder_and_stand_in_its_spec(demo: Encoder, frames: np.ndarray) -> None:
    both = Encoder("demo", device="cpu", precision="fp32", view="centre+flip")
    pixels = cut(both, frames[:1])
    np.testing.assert_array_equal(pixels, np.stack([pixels[0], pixels[0, :, ::-1]]))
    assert (both.spec.view, demo.spec.view, both.spec.streams) == ("centre+flip", "centre", "frame")
    assert encoder_like(both.spec, device="cpu").preprocessing == both.preprocessing
    with pytest.raises(DataError, match="'corner'"):
        Encoder("demo", view="corner")


def test_bf16_is_close_to_fp32_and_says_so(demo: Encoder, frames: np.ndarray) -> None:
    half = Encoder("demo", device="cpu", precision="bf16")
    assert cosines(demo, half, frames).min() > 0.99
    assert (demo.spec.precision, half.spec.precision) == ("cpu-fp32", "cpu-bf16")
    assert demo.spec.weights_hash == half.spec.weights_hash


def test_a_checkpoint_file_is_the_same_encoder_under_any_name(demo: Encoder, tmp_path: Path) -> None:
    state = torch.load(LOCAL_MODELS["demo"][1], weights_only=True)
    save_file({name: tensor.float().contiguous() for name, tensor in state.items()}, tmp_path / "w.safetensors")
    named = Encoder("demo", str(tmp_path / "w.safetensors"), device="cpu", precision="fp32")
    assert named.spec.weights_hash == demo.spec.weights_hash
    assert named.spec.pretrained == str(tmp_path / "w.safetensors")
    assert encoder_like(named.spec, device="cpu").spec.weights_hash == demo.spec.weights_hash
    (tmp_path / "w.safetensors").unlink()
    with pytest.raises(DataError, match=r"w\.safetensors"):
        encoder_like(named.spec)


def test_other_weights_under_the_same_path_are_noticed(tmp_path: Path) -> None:
    state = torch.load(LOCAL_MODELS["demo"][1], weights_only=True)
    state = {name: tensor.float().contiguous() for name, tensor in state.items()}
    save_file(state, tmp_path / "w.safetensors")
    spec = Encoder("demo", str(tmp_path / "w.safetensors")).spec
    save_file({**state, "logit_scale": state["logit_scale"] + 1}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="when the embeddings were made"):
        encoder_like(spec)


def test_random_weights_are_the_same_every_time_and_known_as_such() -> None:
    before = torch.random.get_rng_state()
    first, second = Encoder(SMALL, "none"), Encoder(SMALL, "none")
    assert first.random_weights
    assert first.spec.pretrained == ""
    assert first.spec.weights_hash == second.spec.weights_hash
    assert torch.equal(before, torch.random.get_rng_state())


def test_openai_tags_get_the_activation_they_were_trained_with() -> None:
    assert module._needs_quick_gelu("ViT-B-16", "openai")
    assert not module._needs_quick_gelu("ViT-B-16-quickgelu", "openai")
    assert not module._needs_quick_gelu("ViT-B-16", "laion2b_s34b_b88k")


def test_openai_files_are_refused_under_a_config_without_quick_gelu(tmp_path: Path) -> None:
    path = tmp_path / "ViT-B-32.pt"
    torch.save({"visual.proj": torch.zeros(2, 2), "input_resolution": torch.tensor(224)}, path)
    with pytest.raises(DataError, match="need quick-GELU, which ViT-B-32 does not have; use ViT-B-32-quickgelu"):
        Encoder("ViT-B-32", str(path))


@pytest.mark.parametrize(
    ("model", "pretrained", "told"),
    [
        ("ViT-B-61", None, "no model 'ViT-B-61' in open_clip; the nearest names: .*ViT-B-16"),
        ("demmo", None, "demo"),
        ("ViT-B-16", "opneai", "neither a tag of ViT-B-16 .*openai.* nor a checkpoint file"),
        ("demo", "nope", r"'nope' is neither a tag of demo \(none\) nor a checkpoint file"),
    ],
)
def test_what_is_not_known_is_said(model: str, pretrained: str | None, told: str) -> None:
    with pytest.raises(DataError, match=told):
        Encoder(model, pretrained)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    save_file({"visual.conv1.weight": torch.zeros(8, 3, 3, 3)}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="cannot be loaded into RN50"):
        Encoder(SMALL, str(tmp_path / "w.safetensors"))


def test_devices_and_precisions_that_are_not_there() -> None:
    with pytest.raises(DataError, match="'tpu'"):
        resolve_device("tpu")
    with pytest.raises(DataError, match="cuda:99"):
        resolve_device("cuda:99")
    with pytest.raises(DataError, match="int3"):
        Encoder("demo", precision="int3")


def test_a_tokenizer_that_is_not_here_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # as if it were not installed
    with pytest.raises(DataError, match="the tokenizer of ViT-B-16-SigLIP, which texts need, is not available"):
        module.read_tokenizer("ViT-B-16-SigLIP")


@pytest.mark.slow
def test_a_compiled_encoder_gives_the_same(tmp_path: Path, frames: np.ndarray) -> None:
    """Of one block: to compile the demo's tower takes twice as long."""
    vision = {"image_size": 32, "patch_size": 16, "width": 32, "layers": 1, "head_width": 16}
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    place = tmp_path / "vit_tiny-test.json"
    place.write_text(json.dumps({"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(place)
    plain, compiled = (
        Encoder(place.stem, "none", device="cpu", precision="fp32", compile=compiles) for compiles in (False, True)
    )
    assert compiled.spec == plain.spec
    assert compiled._network.visual._compiled_call_impl is not None
    assert cosines(plain, compiled, frames).min() > 0.9999


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_gives_the_embeddings_of_the_cpu(demo: Encoder, frames: np.ndarray) -> None:
    on_gpu = Encoder("demo", device="cuda")
    assert cosines(demo, on_gpu, frames).min() > 0.99
    assert on_gpu.spec.precision == "cuda-fp16"


@pytest.mark.parametrize("pretrained", [None, ""])
def test_weights_that_are_not_named_are_refused(pretrained: str | None) -> None:
    with pytest.raises(DataError) as caught:
        Encoder(SMALL, pretrained)
    assert str(caught.value) == (
        "RN50 is given without --pretrained, and the embeddings of random weights mean nothing; expected "
        "--pretrained with one of its tags (openai, yfcc15m, cc12m), or with none for random weights"
    )
    with pytest.raises(DataError, match="expected --pretrained with a checkpoint file"):
        Encoder("ViT-S-32-alt", pretrained)


def test_a_store_of_random_weights_has_its_encoder_back() -> None:
    spec = Encoder(SMALL, "none", device="cpu").spec
    assert spec.pretrained == ""  # as stores have called them from the start
    assert encoder_like(spec, device="cpu").spec.weights_hash == spec.weights_hash
    random = Encoder("demo", "none", device="cpu")
    assert random.random_weights
    assert encoder_like(random.spec, device="cpu").spec == random.spec


def test_models_that_bring_their_weights_need_no_tag() -> None:
    assert module.chosen_weights("hf-hub:someone/model", None) is None
    with pytest.raises(DataError, match="hf-hub:someone/model brings its own weights; expected no others"):
        module.chosen_weights("hf-hub:someone/model", "none")
    assert module.pretrained_name("hf-hub:someone/model", None) == "own"
    assert [module.weights_of("hf-hub:someone/model", name) for name in ("own", "")] == [None, None]
    assert [module.weights_of("demo", name) for name in ("demo", "")] == [None, "none"]
