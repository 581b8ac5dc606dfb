"""Tiny models of transformers with random weights, saved as the library saves them, and a tokenizer of few words."""

import json
from pathlib import Path
from typing import Any

import torch

WORDS = ("<pad>", "<start>", "<end>", "<unknown>", "a", "person", "jumping", "waving", "red", "ball", "of", "video")
TEXT = {"vocab_size": len(WORDS), "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
CLIP_FRAMES = 4
PICTURE_WIDTH = 24


def save_model(kind: str, folder: Path) -> Any:
    """Make a tiny model of a kind, save it in a folder, and return it."""
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = _MODELS[kind](transformers).eval()
        for weights in model.parameters():  # those of the library are so small that all texts are nearly one
            if weights.ndim > 1:
                torch.nn.init.normal_(weights, std=0.3)
    model.save_pretrained(folder)
    if kind == "pe-video":
        _tell_width(folder / "config.json", PICTURE_WIDTH)
    return model


def _tell_width(config: Path, width: int) -> None:
    """Say how wide the outputs of the picture tower are by the name that the library reads; it writes another."""
    told = json.loads(config.read_text())
    vision = told["video_config"]["vision_config"]
    vision.pop("num_classes")
    vision["num_labels"] = width
    config.write_text(json.dumps(told))


def save_tokenizer(folder: Path, *, max_length: int = 16) -> None:
    """Save a tokenizer of WORDS, one token for each word, start and end around them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unknown>", model_max_length=max_length
    ).save_pretrained(folder)


def _vjepa2(library: Any) -> Any:
    config = library.VJEPA2Config(
        patch_size=16, crop_size=32, frames_per_clip=CLIP_FRAMES, hidden_size=32, num_attention_heads=2,
        num_hidden_layers=2, mlp_ratio=2, pred_hidden_size=24, pred_num_attention_heads=2, pred_num_hidden_layers=1,
        pred_num_mask_tokens=1,
    )  # fmt: skip
    return library.VJEPA2Model(config)


def _videomae(library: Any) -> Any:
    config = library.VideoMAEConfig(
        image_size=32, patch_size=16, num_frames=CLIP_FRAMES, hidden_size=32, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=64,
    )  # fmt: skip
    return library.VideoMAEModel(config)


def _xclip(library: Any) -> Any:
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    mit = {"mit_hidden_size": 32, "mit_intermediate_size": 64, "mit_num_hidden_layers": 1, "mit_num_attention_heads": 2}
    config = library.XCLIPConfig(
        projection_dim=32,
        text_config={**TEXT, "num_hidden_layers": 2, "max_position_embeddings": 16, "eos_token_id": 2},
        vision_config={"image_size": 32, "patch_size": 16, "num_frames": CLIP_FRAMES, **layers, **mit},
        prompt_num_attention_heads=2,
    )
    return library.XCLIPModel(config)


def _videoprism(library: Any) -> Any:
    config = library.VideoPrismConfig(
        text_config={**TEXT, "num_hidden_layers": 2, "max_position_embeddings": 16, "pad_token_id": 0},
        vision_config={
            "image_size": 36, "num_frames": CLIP_FRAMES, "tubelet_size": [1, 18, 18], "hidden_size": 32,
            "intermediate_size": 64, "num_attention_heads": 2, "num_spatial_layers": 1, "num_temporal_layers": 1,
            "num_auxiliary_layers": 1,
        },
    )  # fmt: skip
    return library.VideoPrismClipModel(config)


_SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
_PE_TEXT = {"model_type": "modernbert", **TEXT, "num_hidden_layers": 2, **_SPECIAL}
_PE_LAYERS = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 16,
}  # fmt: skip
_PE_PICTURES = {
    "architecture": "test_vit",
    "num_labels": PICTURE_WIDTH,
    "num_classes": PICTURE_WIDTH,
    "model_args": {"global_pool": "map"},
    "do_pooling": True,
}


def _pe_video(library: Any) -> Any:
    config = library.PeVideoConfig(text_config=_PE_TEXT, video_config={**_PE_LAYERS, "vision_config": _PE_PICTURES})
    return _scaled(library.PeVideoModel(config))


def _pe_audio_video(library: Any) -> Any:
    sound = {"encoder_hidden_size": 4, "downsampling_ratios": [2, 2], "hidden_size": 16, "codebook_dim": 8}
    both = {
        **_PE_LAYERS,
        "audio_config": {"model_type": "pe_audio_encoder", **_PE_LAYERS, "dac_config": {"model_type": "dac", **sound}},
        "video_config": {"model_type": "pe_video_encoder", **_PE_LAYERS, "vision_config": _PE_PICTURES},
    }
    model = library.PeAudioVideoModel(library.PeAudioVideoConfig(text_config=_PE_TEXT, audio_video_config=both))
    _scaled(model.video_model)
    return model


def _scaled(model: Any) -> Any:
    model.text_video_logit_scale.data.fill_(12.0)
    model.text_video_logit_bias.data.fill_(-7.0)
    return model


_MODELS = {
    "vjepa2": _vjepa2,
    "videomae": _videomae,
    "xclip": _xclip,
    "videoprism": _videoprism,
    "videoprism-vision": lambda library: library.VideoPrismVisionModel(_videoprism(library).config.vision_config),
    "pe-video": _pe_video,
    "pe-audio-video": _pe_audio_video,  # its config says the width as the library writes it
}
KINDS = tuple(_MODELS)
