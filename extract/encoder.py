"""Encoder: the frozen towers of any open_clip model. The only door to open_clip."""

import contextlib
import difflib
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.factory import load_state_dict
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor

from framebank.store.digest import digest
from framebank.store.errors import DataError
from framebank.store.spec import FeatureSpec

# Models that come with this package: name -> (open_clip config, weights).
DEMO = Path(__file__).parents[1] / "demo"
LOCAL_MODELS = {"demo": (DEMO / "tiny-clip.json", DEMO / "tiny-clip.pt")}

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# OpenAI's own archives hold these beside the weights; all of its CLIPs were trained with quick-GELU.
OPENAI_MARKS = ("input_resolution", "context_length", "vocab_size")


class Encoder:
    """Turn frames and texts into un-normalised embeddings of one joint space.

    `model` is an open_clip name, or "demo" for the model that comes with this package; `pretrained` is one of
    open_clip's tags, the path of a checkpoint, or None for random weights (drawn from a fixed seed). On CUDA the towers
    run under autocast; a CPU with bf16 arithmetic runs the image tower with bf16 weights, which halves the time.

    DataError for an unknown model or tag, weights that cannot be had or do not fit, and OpenAI weights under a config
    without quick-GELU, which would silently give wrong embeddings.
    """

    def __init__(
        self, model: str, pretrained: str | None = None, *, device: str = "auto", precision: str = "auto"
    ) -> None:
        self.device = resolve_device(device)
        self.precision = _resolve_precision(precision, self.device)
        self.random_weights = not pretrained and model not in LOCAL_MODELS
        network = _build(model, pretrained)
        weights_hash = _hash(network)
        self.spec = FeatureSpec(
            model=model,
            pretrained=_pretrained_name(model, pretrained),
            weights_hash=weights_hash,
            dim=_width(network),
            preprocessing=json.dumps(_preprocess_config(network), sort_keys=True),
            precision=f"{self.device.type}-{self.precision}",
            sampling="",
            decoder="",
        )
        self.logit_scale = float(network.logit_scale.detach().exp())
        self._transform = image_transform_v2(PreprocessCfg(**network.visual.preprocess_cfg), is_train=False)
        self._tokenizer = open_clip.get_tokenizer(_config_name(model))
        self._network = network.to(self.device).eval().requires_grad_(False)
        self._dtype = PRECISIONS[self.precision]
        if self.device.type == "cpu" and self._dtype is not torch.float32:
            # Autocast on a CPU converts the weights again for every batch and is slower than fp32.
            self._network.visual.to(self._dtype)

    def preprocess(self, frames: np.ndarray) -> Tensor:
        """Apply the model's own evaluation transform: frames (T, H, W, 3) uint8 RGB -> pixels (T, 3, S, S) float32."""
        return torch.stack([self._transform(Image.fromarray(frame)) for frame in frames])

    @torch.inference_mode()
    def encode_frames(self, pixels: Tensor) -> np.ndarray:
        """Encode preprocessed frames (N, 3, S, S) -> un-normalised embeddings (N, D) float32."""
        pixels = pixels.to(self.device, non_blocking=True)
        if self.device.type == "cpu":
            embeddings = self._network.encode_image(pixels.to(self._dtype))
        else:
            enabled = self._dtype is not torch.float32
            with torch.autocast(self.device.type, dtype=self._dtype if enabled else None, enabled=enabled):
                embeddings = self._network.encode_image(pixels)
        return np.asarray(embeddings.float().cpu().numpy())

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Encode a batch of sentences -> un-normalised embeddings (N, D) float32."""
        embeddings = self._network.encode_text(self._tokenizer(list(texts)).to(self.device))
        return np.asarray(embeddings.float().cpu().numpy())


def encoder_like(spec: FeatureSpec, *, device: str = "auto") -> Encoder:
    """Return the encoder that made `spec`, at its precision where it was made on such a device.

    DataError where the weights are not what they were.
    """
    pretrained = None if spec.model in LOCAL_MODELS and spec.pretrained == "demo" else spec.pretrained or None
    kind, _, precision = spec.precision.partition("-")
    same_kind = kind == resolve_device(device).type and precision in PRECISIONS
    encoder = Encoder(spec.model, pretrained, device=device, precision=precision if same_kind else "auto")
    if encoder.spec.weights_hash != spec.weights_hash:
        raise DataError(
            f"{spec.model}/{spec.pretrained or 'random weights'} has the weights {encoder.spec.weights_hash[:12]} now, "
            f"but {spec.weights_hash[:12]} when the embeddings were made; bring those weights back, or extract again"
        )
    return encoder


def resolve_device(name: str) -> torch.device:
    """Return the device of a name; "auto" is CUDA when there is one. DataError for one that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DataError(f"the device {name!r} cannot be used here; expected auto, cpu or a CUDA device") from error
    return device


def _resolve_precision(name: str, device: torch.device) -> str:
    if name in PRECISIONS:
        return name
    if name != "auto":
        raise DataError(f"the precision {name!r} is not known; expected auto, {', '.join(PRECISIONS)}")
    if device.type == "cpu":
        return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "fp32"
    return "fp16"


def _build(model: str, pretrained: str | None) -> Any:
    if model in LOCAL_MODELS:
        config, weights = LOCAL_MODELS[model]
        if config.stem not in open_clip.list_models():
            open_clip.add_model_config(config)
        pretrained = pretrained or str(weights)
    name = _config_name(model)
    if ":" not in name and name not in open_clip.list_models():
        near = difflib.get_close_matches(name, [*LOCAL_MODELS, *open_clip.list_models()], n=3, cutoff=0.5)
        raise DataError(f"no model {model!r} in open_clip; the nearest names: {', '.join(near) or 'none'}")
    quick_gelu = _needs_quick_gelu(name, pretrained)
    with _quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # random weights are the same in every process, so that they can be resumed and prompted
        try:
            return open_clip.create_model(name, pretrained=pretrained, force_quick_gelu=quick_gelu)
        except (RuntimeError, OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"the weights {pretrained!r} cannot be loaded into {model}: {reason}") from error


def _needs_quick_gelu(name: str, pretrained: str | None) -> bool:
    """Whether the weights were trained with quick-GELU though the config of that name has none.

    open_clip only warns there, and its embeddings are wrong. A tag says what it was trained with, so that it can be
    set right; a file does not, so that OpenAI's are refused.
    """
    if not pretrained:
        return False
    configured = bool((open_clip.get_model_config(name) or {}).get("quick_gelu", False))
    tag = open_clip.get_pretrained_cfg(name, pretrained)
    if tag:
        return bool(tag.get("quick_gelu", False)) and not configured
    if ":" in name:
        return False
    if not Path(pretrained).is_file():
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
        raise DataError(f"{pretrained!r} is neither a tag of {name} ({tags}) nor a checkpoint file")
    if not configured and _is_from_openai(Path(pretrained)):
        raise DataError(f"{pretrained}: OpenAI weights need quick-GELU, which {name} has not; use {name}-quickgelu")
    return False


def _is_from_openai(path: Path) -> bool:
    try:
        return not set(OPENAI_MARKS).isdisjoint(load_state_dict(str(path)))
    except Exception as error:  # whatever torch, safetensors or zip raise on a damaged file
        raise DataError(f"{path}: is not a checkpoint that loads without running code: {error}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence open_clip while it builds: what it would say is checked or said by this module."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _config_name(model: str) -> str:
    return (
        LOCAL_MODELS[model][0].stem if model in LOCAL_MODELS else model.replace("/", "-") if ":" not in model else model
    )


def _pretrained_name(model: str, pretrained: str | None) -> str:
    if not pretrained:
        return "demo" if model in LOCAL_MODELS else ""
    return str(Path(pretrained).absolute()) if Path(pretrained).is_file() else pretrained


def _preprocess_config(network: Any) -> dict[str, Any]:
    return dict(network.visual.preprocess_cfg)


@torch.inference_mode()
def _width(network: Any) -> int:
    size = network.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    return int(network.eval().encode_image(torch.zeros(1, 3, height, width)).shape[1])


def _hash(network: Any) -> str:
    """The same for the same weights, whatever file they came from."""
    return digest({name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()})
