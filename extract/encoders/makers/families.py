"""Families: how the models of transformers read clips, and which vector stands for a clip."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from torch import Tensor
from torch.nn import Module

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
UNTOLD = 2  # the num_labels of a config of transformers that tells none
UNSCALED = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}


@dataclass(frozen=True)
class TextFamily:
    """The text side of a family: `encode(model, tokens, mask)` gives embeddings (N, D).

    A text is padded to `length` tokens, as in training, so that it reads the same alone and in a batch. `scale` and
    `bias` are those of a logit; without a bias, the model was trained with a softmax.
    """

    encode: Callable[[Any, Tensor, Tensor], Tensor]
    length: Callable[[Any], int]
    scale: Callable[[Any], float]
    bias: Callable[[Any], float | None] = lambda _: None


@dataclass(frozen=True)
class RowFamily:
    """How a family goes on from frames that its picture tower has embedded: `embed(model, rows)`, (N, T, W) -> (N, D).

    `tower` gives the network of timm that embeds a picture.
    """

    embed: Callable[[Any, Tensor], Tensor]
    tower: Callable[[Any], Module]


@dataclass(frozen=True)
class Family:
    """A family of models, by its `model_type` in config.json.

    `clip_frames` and `dim` read the config. `embed(model, clips)` turns clips (N, T, 3, H, W) into embeddings (N, D).
    `visual` are the names of the modules that it calls, none for the whole model. `preprocessing` is for a folder
    without a file of it. `unread` are the beginnings of weights that `embed` does not need. Of a model that is a part
    of another one, `part` gives its config, and `renamed` its names of weights, by regular expressions.
    """

    clip_frames: Callable[[Any], int]
    dim: Callable[[Any], int]
    embed: Callable[[Any, Tensor], Tensor]
    preprocessing: Callable[[Any], dict[str, Any]]
    visual: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    texts: TextFamily | None = None
    rows: RowFamily | None = None
    part: Callable[[Any], Any] = lambda config: config
    renamed: Mapping[str, str] = field(default_factory=dict)


def _square(side: Any) -> list[int]:
    return [int(side), int(side)] if isinstance(side, int) else [int(one) for one in side][-2:]


def _cut(side: int, *, scaled: int, statistics: dict[str, Any], interpolation: str = "bilinear") -> dict[str, Any]:
    more = {"scaled": [scaled, scaled]} if scaled != side else {}
    return {"size": [side, side], "resize_mode": "shortest", "interpolation": interpolation, **statistics, **more}


def _squash(side: Any, *, statistics: dict[str, Any], interpolation: str) -> dict[str, Any]:
    return {"size": _square(side), "resize_mode": "squash", "interpolation": interpolation, **statistics}


def _mean_token(output: Any) -> Tensor:
    tokens: Tensor = output.last_hidden_state  # (N, L, D)
    return tokens.mean(1)


def _embed_vjepa2(model: Any, clips: Tensor) -> Tensor:
    return _mean_token(model(clips, skip_predictor=True))


def _embed_tokens(model: Any, clips: Tensor) -> Tensor:
    return _mean_token(model(clips))


def _embed_features(model: Any, clips: Tensor) -> Tensor:
    found: Tensor = model.get_video_features(clips).pooler_output  # (N, D), of VideoPrism (N, 1, D)
    return found.flatten(1)


def _embed_pe_video(model: Any, clips: Tensor) -> Tensor:
    found: Tensor = model.video_head(model.video_encoder(clips).pooler_output)
    return found


class _Given(Module):
    """In the place of a picture tower: it gives what it is given."""

    def forward(self, rows: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=rows)


def _embed_pe_video_rows(model: Any, rows: Tensor) -> Tensor:
    embedder = model.video_encoder.embedder
    tower, embedder.vision_model = embedder.vision_model, _Given()
    try:
        return _embed_pe_video(model, rows)
    finally:
        embedder.vision_model = tower


def _text_features(model: Any, tokens: Tensor, _mask: Tensor) -> Tensor:
    found: Tensor = model.get_text_features(input_ids=tokens).pooler_output
    return found


def _masked_text_features(model: Any, tokens: Tensor, mask: Tensor) -> Tensor:
    found: Tensor = model.get_text_features(input_ids=tokens, attention_mask=mask).pooler_output
    return found


def _text_pe_video(model: Any, tokens: Tensor, mask: Tensor) -> Tensor:
    read = model.text_model(input_ids=tokens, attention_mask=mask, output_hidden_states=True)
    found: Tensor = model.text_video_head(read.hidden_states[-1][:, 0])
    return found


# V-JEPA 2 (Assran et al. 2025, arXiv 2506.09985): the mean of the encoder's tokens, as benchmarks pool them.
VJEPA2 = Family(
    clip_frames=lambda config: int(config.frames_per_clip),
    dim=lambda config: int(config.hidden_size),
    embed=_embed_vjepa2,
    preprocessing=lambda config: _cut(config.crop_size, scaled=int(config.crop_size * 256 / 224), statistics=IMAGENET),
    unread=("predictor.",),
)

# VideoMAE (Tong et al. 2022, arXiv 2203.12602): the mean of its tokens.
VIDEOMAE = Family(
    clip_frames=lambda config: int(config.num_frames),
    dim=lambda config: int(config.hidden_size),
    embed=_embed_tokens,
    preprocessing=lambda config: _cut(config.image_size, scaled=config.image_size, statistics=IMAGENET),
)

# X-CLIP (Ni et al. 2022, arXiv 2208.02816). Its prompts, which change a text for each video, have no place in a store.
XCLIP = Family(
    clip_frames=lambda config: int(config.vision_config.num_frames),
    dim=lambda config: int(config.projection_dim),
    embed=_embed_features,
    preprocessing=lambda config: _cut(
        config.vision_config.image_size, scaled=config.vision_config.image_size, statistics=IMAGENET
    ),
    visual=("vision_model", "visual_projection", "mit"),
    unread=("prompts_", "text_model.", "text_projection."),
    texts=TextFamily(
        encode=_text_features,
        length=lambda config: int(config.text_config.max_position_embeddings),
        scale=lambda model: float(model.logit_scale.detach().exp()),
    ),
)

# VideoPrism (Zhao et al. 2024, arXiv 2402.13217), the encoder alone and with texts. It has no learned scale: its
# authors divide cosines by a temperature of 0.01.
VIDEOPRISM_VISION = Family(
    clip_frames=lambda config: int(config.num_frames),
    dim=lambda config: int(config.hidden_size),
    embed=_embed_tokens,
    preprocessing=lambda config: _squash(config.image_size, statistics=UNSCALED, interpolation="bicubic"),
)
VIDEOPRISM = Family(
    clip_frames=lambda config: int(config.vision_config.num_frames),
    dim=lambda config: int(config.vision_config.hidden_size),
    embed=_embed_features,
    preprocessing=lambda config: _squash(config.vision_config.image_size, statistics=UNSCALED, interpolation="bicubic"),
    visual=("video_model",),
    texts=TextFamily(
        encode=_masked_text_features,
        length=lambda config: int(config.text_config.max_position_embeddings),
        scale=lambda _: 100.0,
    ),
)


def _with_width(config: Any) -> Any:
    """Return a config of PE-Video whose picture tower is as wide as config.json says.

    transformers writes `num_classes`, as timm does, and of a tower inside another model it reads `num_labels` alone.
    """
    tower = config.video_config.vision_config
    if tower.num_labels == UNTOLD:
        tower.num_labels = getattr(tower, "num_classes", UNTOLD)
    return config


# PE-AV's video encoder (Meta 2025). It takes any number of frames; 16 are those of its published "16-frame" models. Its
# picture tower is that of PE-Core, and embeds each frame for itself.
PE_VIDEO = Family(
    clip_frames=lambda _: 16,
    dim=lambda config: int(config.text_config.hidden_size),
    embed=_embed_pe_video,
    preprocessing=lambda config: _squash(
        _side_of_timm(config.video_config.vision_config), statistics=HALF, interpolation="bilinear"
    ),
    visual=("video_encoder", "video_head"),
    texts=TextFamily(
        encode=_text_pe_video,
        length=lambda _: 128,
        scale=lambda model: float(model.text_video_logit_scale.detach()) or 1.0,
        bias=lambda model: float(model.text_video_logit_bias.detach()),
    ),
    rows=RowFamily(
        embed=_embed_pe_video_rows,
        tower=lambda model: model.video_encoder.embedder.vision_model.timm_model,
    ),
    part=_with_width,
)
# The published PE-AV, whose folders have the video model beside that of sound and that of both. It alone is loaded.
PE_AUDIO_VIDEO = replace(
    PE_VIDEO, part=lambda config: _with_width(config.video_config), renamed={r"^video_model\.": ""}
)

FAMILIES: dict[str, Family] = {
    "vjepa2": VJEPA2,
    "videomae": VIDEOMAE,
    "xclip": XCLIP,
    "videoprism": VIDEOPRISM,
    "videoprism_vision_model": VIDEOPRISM_VISION,
    "pe_video": PE_VIDEO,
    "pe_audio_video": PE_AUDIO_VIDEO,
}


def _side_of_timm(config: Any) -> int:
    """Return the size of pictures of a model of timm inside one of transformers: the one given, or its usual one."""
    from timm.models import get_pretrained_cfg

    given = (getattr(config, "model_args", None) or {}).get("img_size")
    usual = get_pretrained_cfg(config.architecture)
    return int(given or (usual.input_size[-1] if usual else 224))
