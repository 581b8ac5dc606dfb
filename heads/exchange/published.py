"""Published checkpoints: turn those of ActionCLIP's training code into a run and a file of CLIP weights."""

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from framebank.heads.class_texts import ClassTexts
from framebank.heads.model import Model
from framebank.heads.text_tower import options_of_model
from framebank.heads.training.build import build_model
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store.errors import DataError, parsing
from framebank.store.files.replacing import replacing
from framebank.store.formats.document import shown
from framebank.store.formats.torch_file import read_torch
from framebank.store.prompts import PromptBank
from framebank.store.spec import FeatureSpec

PARTS = ("model_state_dict", "fusion_model_state_dict")

CLIP = "clip.safetensors"  # in the folder of the run

# OpenAI's archives hold these numbers beside the weights. They are not weights.
NUMBERS = ("input_resolution", "context_length", "vocab_size")

# (width of the image tower, patch, picture) -> open_clip's name
MODELS = {
    (768, 32, 224): "ViT-B-32-quickgelu",
    (768, 16, 224): "ViT-B-16-quickgelu",
    (1024, 14, 224): "ViT-L-14-quickgelu",
    (1024, 14, 336): "ViT-L-14-336-quickgelu",
}

# head -> the names of its weights here, by their names in ActionCLIP
RENAMED: dict[str, tuple[tuple[str, str], ...]] = {
    "transformer": (
        (r"frame_position_embeddings\.weight", "positions.weight"),
        (r"transformer\.resblocks\.(\d+)\.ln_1\.(\w+)", r"blocks.\1.attention_norm.\2"),
        (r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(\w+)", r"blocks.\1.qkv.\2"),
        (r"transformer\.resblocks\.(\d+)\.attn\.out_proj\.(\w+)", r"blocks.\1.out.\2"),
        (r"transformer\.resblocks\.(\d+)\.ln_2\.(\w+)", r"blocks.\1.mlp_norm.\2"),
        (r"transformer\.resblocks\.(\d+)\.mlp\.c_fc\.(\w+)", r"blocks.\1.mlp.0.\2"),
        (r"transformer\.resblocks\.(\d+)\.mlp\.c_proj\.(\w+)", r"blocks.\1.mlp.2.\2"),
    ),
    "transformer-cls": (
        (r"transformer\.cls_token", "token"),
        (r"transformer\.pos_embed", "positions"),
        (r"transformer\.transformer_enc\.(.+)", r"encoder.\1"),
    ),
    "lstm": ((r"lstm_visual\.(.+)", r"lstm.\1"),),
    "conv1d": ((r"shift\.weight", "conv.weight"),),
}


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the weights of the fine-tuned CLIP and of the fusion model, without the prefixes of DataParallel.

    The file is read without running code. DataError if it is not such a checkpoint.
    """
    found = read_torch(path, what="a checkpoint that loads without running code")
    if not isinstance(found, Mapping) or not all(isinstance(found.get(part), Mapping) for part in PARTS):
        raise DataError(f"{path}: is not a checkpoint of ActionCLIP; expected one that holds {' and '.join(PARTS)}")
    for part in PARTS:
        named = found[part].items()
        strange = [n for n, value in named if not isinstance(n, str) or not isinstance(value, Tensor)]
        if strange:
            raise DataError(f"{path}: its {part} holds {shown(strange[0])}; expected tensors by their names")
    clip, fusion = ({_bare(name): value for name, value in found[part].items()} for part in PARTS)
    return {name: value for name, value in clip.items() if name not in NUMBERS}, fusion


def model_name(clip: Mapping[str, Tensor], *, where: Path) -> str:
    """Return open_clip's name for a CLIP of these shapes. DataError if it is none of MODELS."""
    try:
        width, _, patch, _ = clip["visual.conv1.weight"].shape
        side = round((len(clip["visual.positional_embedding"]) - 1) ** 0.5) * patch
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{where}: holds no vision transformer that CLIP published; name it with --model") from error
    if (width, patch, side) not in MODELS:
        known = ", ".join(MODELS.values())
        raise DataError(
            f"{where}: holds an image tower {width} wide with patches of {patch} at {side} pixels, which is none of "
            f"{known}; name it with --model"
        )
    return MODELS[width, patch, side]


def write_clip(clip: Mapping[str, Tensor], path: Path) -> Path:
    """Write the fine-tuned CLIP as safetensors, for `extract --pretrained`; return the path."""
    with replacing(path) as part:
        part.write_bytes(save({name: value.contiguous() for name, value in clip.items()}))
    return path


def build_run(
    fusion: Mapping[str, Tensor], encoder: FeatureSpec, prompts: PromptBank, *, where: Path, legacy_axes: bool = False
) -> Run:
    """Return a run of the fusion model over the classes of `prompts`, scored as ActionCLIP's test does.

    Frames are pooled as the encoder gives them, not normalised. The probabilities of the templates are averaged, at the
    fixed scale of 100. `legacy_axes` keeps the mistaken axes of the published Conv_1D. DataError if the weights belong
    to no known head, or do not fit the encoder.
    """
    head = _head_of(fusion, where=where)
    if legacy_axes and head != "conv1d":
        raise DataError(f"{where}: holds the head {head!r}; only conv1d has legacy axes")
    with parsing(where, what=f"ActionCLIP's head {head}"):
        weights = _rename(fusion, head)
        options = _options(head, weights, legacy_axes=legacy_axes)
    recipe = Recipe(
        head=head,
        head_options=options_of_model(head, options, model=encoder.model),
        classifier_options={"scale": 100.0},
        frame_norm=False,
        epochs=0,
        texts=prompts.kind,
        templates=prompts.templates,
    )
    texts = ClassTexts.of(prompts, scoring=recipe.scoring)
    model = build_model(recipe, dim=encoder.dim, num_classes=len(prompts.labels), texts=texts)
    _load(model, weights, where=where)
    trained_on = {"checkpoint": where.name, "texts": prompts.kind, "templates": list(prompts.templates)}
    return Run(recipe, encoder, prompts.labels.names, model.eval(), "", trained_on)


def _bare(name: str) -> str:
    return name.removeprefix("module.")


def _head_of(fusion: Mapping[str, Tensor], *, where: Path) -> str:
    marks = {
        "transformer.resblocks.0.ln_1.weight": "transformer",
        "transformer.cls_token": "transformer-cls",
        "lstm_visual.weight_ih_l0": "lstm",
        "shift.weight": "conv1d",
    }
    found = next((head for mark, head in marks.items() if mark in fusion), None)
    if found is None and fusion:
        raise DataError(f"{where}: the fusion model is not one of ActionCLIP's; it starts with {next(iter(fusion))!r}")
    return found or "mean"


def _rename(fusion: Mapping[str, Tensor], head: str) -> dict[str, Tensor]:
    """Return the weights under their names here. Leave out positions that the published head does not use."""
    weights = {}
    for name, value in fusion.items():
        for theirs, ours in RENAMED.get(head, ()):
            if re.fullmatch(theirs, name):
                weights[re.sub(theirs, ours, name)] = value.float()
    if head == "transformer-cls":
        weights["token"], weights["positions"] = weights["token"][0], weights["positions"][0]  # (1, D), (1 + T, D)
    return weights


def _options(head: str, weights: Mapping[str, Tensor], *, legacy_axes: bool) -> dict[str, object]:
    if head == "transformer":
        layers = {name.split(".")[1] for name in weights if name.startswith("blocks.")}
        return {"num_layers": len(layers), "max_frames": len(weights["positions.weight"])}
    if head == "transformer-cls":
        layers = {name.split(".")[2] for name in weights if name.startswith("encoder.layers.")}
        return {"num_layers": len(layers), "max_frames": len(weights["positions"]) - 1}
    return {"legacy_axes": True} if legacy_axes else {}


def _load(model: Model, weights: Mapping[str, Tensor], *, where: Path) -> None:
    try:
        model.head.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{where}: the fusion model does not fit the encoder ({reason})") from error
