"""timm: image models give what timm itself gives, with its own preprocessing, and have no texts."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from framebank.extract.encoders.encoder import Encoder, encoder_like, normalise
from framebank.store import DataError

pytestmark = pytest.mark.usefixtures("one_thread")

DINOV3 = "vit_tiny_patch16_dinov3_qkvb"


def frames_of(size: tuple[int, int] = (90, 120)) -> np.ndarray:
    ramp = np.linspace(0, 255, size[0] * size[1] * 3).reshape(*size, 3)
    return np.stack([np.roll(ramp, shift, axis=(0, 2)) for shift in range(3)]).astype(np.uint8)


def encode(encoder: Encoder, frames: np.ndarray) -> dict[str, np.ndarray]:
    return encoder.encode_frames(np.concatenate([encoder.preprocessing(frame) for frame in frames]))


@pytest.mark.parametrize("name", ["test_vit", "test_vit3", "test_convnext"])
def test_embeddings_are_those_of_timm(name: str, tmp_path: Path) -> None:
    """The weights are a plain state dict of the whole model, classifier included, as timm saves it."""
    torch.manual_seed(3)
    model = timm.create_model(name, pretrained=False).eval()
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    encoder = Encoder(f"timm:{name}", str(tmp_path / "w.safetensors"), device="cpu", precision="fp32")
    model.reset_classifier(0)
    config = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**config, is_training=False)
    frames = frames_of()
    pixels = torch.stack([transform(Image.fromarray(frame)) for frame in frames])
    ours = torch.from_numpy(np.concatenate([encoder.preprocessing(frame) for frame in frames]))
    mean, std = encoder.preprocessing.mean, encoder.preprocessing.std
    torch.testing.assert_close(normalise(ours, mean=mean, std=std), pixels, atol=1e-5, rtol=0)
    with torch.inference_mode():
        expected = model(pixels).numpy()
    np.testing.assert_allclose(encode(encoder, frames)["frame"], expected, atol=1e-3)
    assert encoder.spec.pretrained == str(tmp_path / "w.safetensors")
    assert encoder_like(encoder.spec, device="cpu").spec == encoder.spec


def test_dinov3_with_its_streams() -> None:
    encoder = Encoder(
        f"timm:{DINOV3}", "none", device="cpu", precision="fp32", streams="frame,pre_proj,regions:2,layers:-1"
    )
    assert encoder.random_weights
    assert encoder.preprocessing.size == (256, 256)
    found = encode(encoder, frames_of())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(DINOV3, pretrained=False, num_classes=0).eval()
    pixels = torch.from_numpy(np.concatenate([encoder.preprocessing(frame) for frame in frames_of()]))
    with torch.inference_mode():
        images = normalise(pixels, mean=encoder.preprocessing.mean, std=encoder.preprocessing.std)
        expected = model(images).numpy()
    np.testing.assert_allclose(found["frame"], expected, atol=1e-3)
    assert found["regions"].shape == (3, 4, 192)
    np.testing.assert_allclose(found["regions"].mean(1), found["frame"], atol=1e-3)  # it pools by the mean


def test_a_tag_may_stand_in_the_name_or_beside_it() -> None:
    from framebank.extract.encoders.makers import settle

    assert settle("timm:test_vit", "r160_in1k") == ("timm:test_vit.r160_in1k", "own")
    assert settle("timm:test_vit.r160_in1k", None) == ("timm:test_vit.r160_in1k", "own")
    assert settle("timm:test_vit.r160_in1k", "own") == ("timm:test_vit.r160_in1k", "own")
    assert settle("timm:test_vit", "none") == ("timm:test_vit", "none")


def test_random_weights_are_found_again_by_the_spec() -> None:
    first = Encoder("timm:test_vit", "none", device="cpu", precision="fp32")
    assert first.spec.pretrained == ""
    assert encoder_like(first.spec, device="cpu").spec == first.spec


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no model 'vit_tinny_patch16_224' in timm; .*vit_tiny_patch16_224"):
        Encoder("timm:vit_tinny_patch16_224", "none")
    with pytest.raises(DataError, match=r"given without weights, .*one of its tags .*or with none for random weights"):
        Encoder("timm:vit_tiny_patch16_224")
    with pytest.raises(DataError, match="has no tag 'openai'; its tags: "):
        Encoder("timm:vit_tiny_patch16_224.openai")
    with pytest.raises(DataError, match=r"neither a tag of timm:vit_tiny_patch16_224 .* nor a file"):
        Encoder("timm:vit_tiny_patch16_224", str(tmp_path / "missing"))
    save_file({"cls_token": torch.zeros(1, 1, 5)}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=r"cannot be loaded into timm:test_vit: .*Missing key"):
        Encoder("timm:test_vit", str(tmp_path / "w.safetensors"))
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    with pytest.raises(DataError, match="is not a checkpoint that loads without running code"):
        Encoder("timm:test_vit", str(tmp_path / "w.safetensors"))


def test_texts_are_refused_by_name() -> None:
    encoder = Encoder("timm:test_vit", "none", device="cpu")
    assert not encoder.has_texts
    for ask in (lambda: encoder.encode_texts(["a"]), lambda: encoder.logit_scale, encoder.text_tower):
        with pytest.raises(DataError, match=r"timm:test_vit has no text tower: .*such as linear"):
            ask()
