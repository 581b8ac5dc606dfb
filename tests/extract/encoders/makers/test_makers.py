"""Makers: the word before the colon, and the models of open_clip that are recommended."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from framebank.extract.encoders.encoder import Encoder, normalise
from framebank.extract.encoders.makers import maker_of, settle
from framebank.extract.encoders.tokens import TextReader
from framebank.extract.encoders.weights import read_tokenizer
from framebank.store import DataError
from framebank.tests.worlds.tiny_models import save_model, save_tokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = ["a person jumping", "a red ball", "waving"]


def test_the_maker_stands_before_the_name() -> None:
    assert maker_of("ViT-B-16") == ("open_clip", "ViT-B-16")
    assert maker_of("open_clip:ViT-B-16") == ("open_clip", "ViT-B-16")
    assert maker_of("timm:vit_tiny_patch16_224") == ("timm", "vit_tiny_patch16_224")
    assert maker_of("hf:some/model") == ("hf", "some/model")
    assert maker_of("hf-hub:some/model") == ("open_clip", "hf-hub:some/model")
    assert settle("open_clip:demo", None) == ("demo", None)  # a spec has the bare name, as it always had
    with pytest.raises(DataError, match=r"names no maker that is known; .*did you mean timm:vit"):
        maker_of("tim:vit")
    with pytest.raises(DataError, match="expected open_clip, timm, hf before :"):
        maker_of("hf:")


def tiny_of(name: str, folder: Path, *, context: int) -> str:
    """A config of open_clip with towers of the same kinds as `name`, narrow and shallow."""
    config = open_clip.get_model_config(name)
    trunk = "test_vit" if "SigLIP" in name else "vit_pe_core_tiny_patch16_384"
    vision = {**config["vision_cfg"], "timm_model_name": trunk, "image_size": 160 if "SigLIP" in name else 384}
    text = {**config["text_cfg"], "width": 32, "heads": 2, "layers": 1, "context_length": context}
    if "hf_tokenizer_name" in text:
        text["vocab_size"] = 12
    made = {**config, "embed_dim": 64, "vision_cfg": vision, "text_cfg": text}
    path = folder / f"tiny-{name}.json"
    path.write_text(json.dumps(made))
    open_clip.add_model_config(path)
    return path.stem


def saved(name: str, folder: Path) -> str:
    """The path of a checkpoint of random weights, with a tokenizer of transformers beside it."""
    torch.manual_seed(5)
    network = open_clip.create_model(name)
    for weights in network.parameters():
        if weights.ndim > 1:
            torch.nn.init.normal_(weights, std=0.2)
    if network.logit_bias is not None:
        network.logit_bias.data.fill_(-11.5)
    torch.save(network.state_dict(), folder / "w.pt")
    save_tokenizer(folder)
    return str(folder / "w.pt")


@pytest.mark.parametrize(("name", "context"), [("ViT-B-16-SigLIP2", 64), ("PE-Core-B-16", 32)])
def test_recommended_towers_give_what_open_clip_gives(name: str, context: int, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    tiny = tiny_of(name, tmp_path, context=context)
    weights = saved(tiny, tmp_path)
    encoder = Encoder(tiny, weights, device="cpu", precision="fp32")
    plain, _, preprocess = open_clip.create_model_and_transforms(tiny, pretrained=weights)
    frames = np.random.default_rng(1).integers(0, 256, (2, 40, 60, 3), dtype=np.uint8)
    pixels = torch.stack([preprocess(Image.fromarray(frame)) for frame in frames])
    ours = np.concatenate([encoder.preprocessing(frame) for frame in frames])
    mean, std = encoder.preprocessing.mean, encoder.preprocessing.std
    torch.testing.assert_close(normalise(torch.from_numpy(ours), mean=mean, std=std), pixels)
    tokens = encoder.reader.read(TEXTS)
    assert tokens.shape == (3, context)
    with torch.inference_mode():
        images, texts = plain.eval().encode_image(pixels), plain.encode_text(tokens)
    np.testing.assert_allclose(encoder.encode_frames(ours)["frame"], images, atol=1e-3)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), texts, atol=1e-3)
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, texts, atol=1e-3)
    assert encoder.logit_bias == (-11.5 if "SigLIP" in name else None)


def test_siglip_s_tokenizer_is_read_beside_the_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    tiny = tiny_of("ViT-B-16-SigLIP2", tmp_path, context=64)
    encoder = Encoder(tiny, saved(tiny, tmp_path), device="cpu", precision="fp32")
    tokens = encoder.reader.read(["A red ball!", "a red ball"])  # cleaned as SigLIP was trained
    assert torch.equal(tokens[0], tokens[1])
    assert tokens[0].tolist() == [1, 4, 8, 9, 2, *[0] * 59]
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"is not available .*tokenizer\.json and tokenizer_config\.json beside"):
        Encoder(tiny, str(tmp_path / "w.pt"), device="cpu").encode_texts(["a"])


@pytest.mark.parametrize("maker", ["open_clip", "hf"])
def test_several_threads_read_what_one_reads(maker: str, tmp_path: Path) -> None:
    """The tokenizers of transformers keep the length of a call in themselves."""
    pytest.importorskip("transformers")
    if maker == "hf":
        save_model("xclip", tmp_path)
        save_tokenizer(tmp_path)
        reader = Encoder(f"hf:{tmp_path}", device="cpu").reader
    else:
        tiny = tiny_of("ViT-B-16-SigLIP2", tmp_path, context=64)
        reader = TextReader(read_tokenizer(tiny, saved(tiny, tmp_path)), model=tiny)
    texts = [" ".join(["ball"] * count) for count in (3, reader.length - 1, reader.length, reader.length + 9)]

    def read(_: int) -> tuple[list[list[int]], list[bool], list[int]]:
        return reader.read(texts).tolist(), reader.find_cut(texts).tolist(), [reader.measure(text) for text in texts]

    alone = read(0)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert all(found == alone for found in threads.map(read, range(200)))
    finally:
        sys.setswitchinterval(before)
