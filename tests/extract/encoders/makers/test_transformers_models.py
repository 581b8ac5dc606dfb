"""hf: models of clips give what transformers itself gives, read from a folder alone."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from framebank.extract.encoders.encoder import Encoder, encoder_like, normalise
from framebank.extract.encoders.makers import clip_frames_of, settle
from framebank.store import DataError
from framebank.tests.worlds.tiny_models import CLIP_FRAMES, KINDS, WORDS, save_model, save_tokenizer

pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = ["a person jumping", "a red ball", "waving", "a video of a person waving"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """Each kind of model: its folder, with a tokenizer, and the model itself."""
    made = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp("models") / kind
        made[kind] = folder, save_model(kind, folder)
        save_tokenizer(folder)
    return made


def encoder_of(folder: Path) -> Encoder:
    return Encoder(f"hf:{folder}", device="cpu", precision="fp32")


def clips_for(encoder: Encoder, count: int = 3) -> np.ndarray:
    shape = (count, encoder.clip_frames, *encoder.preprocessing.size, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def forward(kind: str, model: Any, pixels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
    """What the library's own forward pass says of clips (N, T, 3, H, W), and of tokens where it has texts."""
    mask = (tokens != 0).long()
    if kind == "xclip":
        return model.get_video_features(pixels).pooler_output, model.get_text_features(input_ids=tokens).pooler_output
    if kind == "videoprism":
        found = model(pixel_values_videos=pixels, input_ids=tokens, attention_mask=mask)
        return found.video_embeds, found.text_embeds
    if kind in ("pe-video", "pe-audio-video"):
        model = model if kind == "pe-video" else model.video_model
        found = model(pixel_values_videos=pixels, input_ids=tokens, attention_mask=mask)
        return found.video_embeds, found.text_video_embeds
    return model(pixels).last_hidden_state.mean(1), None


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_are_those_of_the_library(kind: str, saved: dict[str, tuple[Path, Any]]) -> None:
    folder, model = saved[kind]
    encoder = encoder_of(folder)
    clips = clips_for(encoder)
    pixels = torch.from_numpy(clips)
    images = normalise(pixels.flatten(0, 1), mean=encoder.preprocessing.mean, std=encoder.preprocessing.std)
    tokens = encoder.reader.read(TEXTS) if encoder.has_texts else torch.ones(len(clips), 2, dtype=torch.long)
    with torch.inference_mode():
        expected, texts = forward(kind, model, images.unflatten(0, pixels.shape[:2]), tokens[: len(clips)])
    found = encoder.encode_frames(clips)["frame"]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)
    assert found.shape == (len(clips), encoder.spec.dim)
    assert (texts is None) == (not encoder.has_texts)
    if texts is not None:
        np.testing.assert_allclose(encoder.encode_texts(TEXTS)[: len(clips)], texts.numpy(), atol=1e-3)


@pytest.mark.parametrize("kind", ["xclip", "videoprism", "pe-video", "pe-audio-video"])
def test_a_text_alone_is_the_same_as_in_a_batch(kind: str, saved: dict[str, tuple[Path, Any]]) -> None:
    encoder = encoder_of(saved[kind][0])
    together = encoder.encode_texts(TEXTS)
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    assert encoder.reader.read(["a"]).shape == encoder.reader.read(TEXTS[:1]).shape
    assert np.abs(together[0] - together[1]).max() > 1e-3  # two texts are not one


def test_scales_and_biases_are_the_model_s_own(saved: dict[str, tuple[Path, Any]]) -> None:
    scales = {kind: encoder_of(saved[kind][0]) for kind in ("xclip", "videoprism", "pe-video", "pe-audio-video")}
    for kind in ("pe-video", "pe-audio-video"):
        assert (scales[kind].logit_scale, scales[kind].logit_bias) == (12, -7)
    assert scales["xclip"].logit_bias is None
    assert scales["xclip"].logit_scale == pytest.approx(float(saved["xclip"][1].logit_scale.detach().exp()))
    assert scales["videoprism"].logit_scale == 100


def test_a_spec_finds_its_encoder_also_where_the_folder_has_moved(
    saved: dict[str, tuple[Path, Any]], tmp_path: Path
) -> None:
    encoder = encoder_of(saved["vjepa2"][0])
    assert encoder.spec.model == "hf:vjepa2"
    assert encoder.spec.pretrained == str(saved["vjepa2"][0])
    assert encoder_like(encoder.spec, device="cpu").spec == encoder.spec
    moved = tmp_path / "elsewhere" / "vjepa2"
    save_model("vjepa2", moved)
    assert (
        Encoder(f"hf:{moved}", device="cpu", precision="fp32").spec.require_equal(encoder.spec, mine="a", theirs="b")
        is None
    )
    assert settle(f"hf:{moved}", None) == ("hf:vjepa2", str(moved))
    assert clip_frames_of(f"hf:{moved}", None) == CLIP_FRAMES


def test_its_own_file_says_how_frames_are_prepared(tmp_path: Path) -> None:
    save_model("videomae", tmp_path / "m")
    usual = encoder_of(tmp_path / "m").preprocessing
    assert (usual.size, usual.resize_mode, usual.scaled) == ((32, 32), "shortest", None)
    told = {
        "size": {"shortest_edge": 40}, "do_center_crop": True, "crop_size": {"height": 32, "width": 32},
        "resample": 3, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6],
    }  # fmt: skip
    (tmp_path / "m" / "preprocessor_config.json").write_text(json.dumps(told))
    own = encoder_of(tmp_path / "m").preprocessing
    assert (own.size, own.scaled, own.interpolation, own.mean) == ((32, 32), (40, 40), "bicubic", (0.1, 0.2, 0.3))
    (tmp_path / "m" / "preprocessor_config.json").write_text(json.dumps({"size": {"width": 32}}))
    with pytest.raises(DataError, match="expected height and width, or shortest_edge"):
        encoder_of(tmp_path / "m")


def test_frames_are_prepared_as_transformers_prepares_them(saved: dict[str, tuple[Path, Any]]) -> None:
    """Its processors resize by torch, which rounds otherwise than Pillow: by a grey level or two of 255."""
    import transformers

    frame = np.linspace(0, 255, 50 * 80 * 3).reshape(50, 80, 3).astype(np.uint8)
    encoder = encoder_of(saved["vjepa2"][0])
    processor = transformers.VJEPA2VideoProcessor(crop_size=32)
    theirs = processor([np.stack([frame] * CLIP_FRAMES)], return_tensors="pt")["pixel_values_videos"][0, :1]
    ours = normalise(
        torch.from_numpy(encoder.preprocessing(frame)), mean=encoder.preprocessing.mean, std=encoder.preprocessing.std
    )
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) < 2.5 / 255 / min(encoder.preprocessing.std)


def test_words_that_are_too_many_are_cut_with_a_warning(saved: dict[str, tuple[Path, Any]]) -> None:
    encoder = encoder_of(saved["xclip"][0])
    with pytest.warns(UserWarning, match="1 text is cut: hf:xclip reads 16 tokens"):
        encoder.encode_texts([" ".join(["ball"] * 30)])
    assert len(WORDS) == 12


def test_what_is_not_known_is_said(saved: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    folder = saved["videomae"][0]
    with pytest.raises(DataError, match=r"hf:videomae has no stream regions: it reads clips and not frames"):
        Encoder(f"hf:{folder}", device="cpu", streams="frame,regions:2")
    with pytest.raises(DataError, match="hf:videomae has no text tower: heads and neighbours work with it"):
        encoder_of(folder).encode_texts(["a ball"])
    with pytest.raises(DataError, match=r"videoma' is no folder of a model; .*; near it: videomae"):
        Encoder(f"hf:{folder.parent / 'videoma'}")
    with pytest.raises(DataError, match="brings its weights"):
        Encoder(f"hf:{folder}", "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"has no config\.json"):
        Encoder(f"hf:{tmp_path / 'empty'}")
    (tmp_path / "empty" / "config.json").write_text(json.dumps({"model_type": "videomaee"}))
    with pytest.raises(DataError, match="its config cannot be read"):
        Encoder(f"hf:{tmp_path / 'empty'}")
    (tmp_path / "empty" / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(DataError, match="a model of the type 'vit'; expected one of vjepa2, videomae"):
        Encoder(f"hf:{tmp_path / 'empty'}")


def test_damaged_and_missing_weights_are_refused(tmp_path: Path) -> None:
    save_model("videomae", tmp_path / "m")
    from safetensors.torch import load_file, save_file

    path = tmp_path / "m" / "model.safetensors"
    state = load_file(path)
    lost = next(name for name in state if name.endswith("layernorm_before.weight"))
    save_file({name: tensor for name, tensor in state.items() if name != lost}, path, metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"lacks the weights .*layernorm_before"):
        encoder_of(tmp_path / "m")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="its weights cannot be loaded"):
        encoder_of(tmp_path / "m")


def test_a_tokenizer_that_is_missing_costs_only_the_texts(tmp_path: Path) -> None:
    save_model("xclip", tmp_path / "m")
    encoder = encoder_of(tmp_path / "m")
    assert encoder.encode_frames(clips_for(encoder))["frame"].shape == (3, 32)
    with pytest.raises(DataError, match=r"its tokenizer, which texts need, cannot be read .*expected tokenizer\.json"):
        encoder.encode_texts(["a ball"])


def test_the_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(DataError, match=r"pip install framebank\[hf\]|cannot be loaded"):
        Encoder("hf:facebook/vjepa2-vitl-fpc64-256")
