"""timm: DINOv3, PE-Spatial and the other image models of that library, which have no texts."""

import difflib
import math
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor

from framebank.extract.encoders.makers.made import Made
from framebank.extract.encoders.streams import Tower, trunk_tower
from framebank.extract.encoders.weights import NO_WEIGHTS, NUM_TAGS, OWN_WEIGHTS
from framebank.store.errors import DataError

RESIZE_MODES = {"center": "shortest", "squash": "squash", "border": "longest"}  # timm's crop_mode -> ours


class TimmModels:
    """The models of timm by their names there, with a tag after a point: vit_small_patch16_dinov3.lvd1689m."""

    def settle(self, name: str, pretrained: str | None) -> tuple[str, str | None]:
        """Return the name and the weights: "own" for those of the tag in the name, "none", or a file.

        A tag may be given as `pretrained` too. DataError with near names for a name or a tag that is not known.
        """
        architecture, _, tag = name.partition(".")
        if not timm.is_model(architecture):
            near = difflib.get_close_matches(architecture, timm.list_models(), n=3, cutoff=0.5)
            raise DataError(f"no model {name!r} in timm; the nearest names: {', '.join(near) or 'none'}")
        tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]
        listed = ", ".join([*tags[:NUM_TAGS], *["..."] * (len(tags) > NUM_TAGS)]) or "none"
        if tag and tag not in tags:
            raise DataError(f"timm:{architecture} has no tag {tag!r}; its tags: {listed}")
        if pretrained in tags and not tag:
            return f"{architecture}.{pretrained}", OWN_WEIGHTS
        if not pretrained and not tag:
            raise DataError(
                f"timm:{name} is given without weights, and the embeddings of random weights mean nothing; expected "
                f"--pretrained with one of its tags ({listed}), with a file, or with {NO_WEIGHTS} for random weights"
            )
        if pretrained in (None, OWN_WEIGHTS, NO_WEIGHTS):
            return name, pretrained or OWN_WEIGHTS
        if not Path(str(pretrained)).is_file():
            raise DataError(
                f"{pretrained!r} is neither a tag of timm:{architecture} ({listed}) nor a file of its weights"
            )
        return name, pretrained

    def clip_frames(self, name: str, pretrained: str | None) -> int:
        """Return 1: all of them read pictures."""
        return 1

    def make(self, name: str, pretrained: str | None) -> Made:
        """Build the network without its classifier. Its output is what timm calls the pooled features (N, D)."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # random weights are the same in every process
            try:
                network: Any = timm.create_model(name, pretrained=pretrained == OWN_WEIGHTS, num_classes=0)
            except (RuntimeError, OSError, ValueError, KeyError) as error:
                raise DataError(f"the weights of timm:{name} cannot be had: {_first_line(error)}") from error
        if pretrained not in (OWN_WEIGHTS, NO_WEIGHTS):
            _load(network, Path(str(pretrained)), name=name)
        network.eval().to(memory_format=torch.channels_last)
        size = _input_size(network)
        with torch.inference_mode():
            found = network(torch.zeros(1, 3, *size))
        if not isinstance(found, Tensor) or found.ndim != 2:
            raise DataError(f"timm:{name} gives no vector for a picture; expected a model such as vit_tiny_patch16_224")

        def embed(images: Tensor) -> Tensor:
            embeddings: Tensor = network(images)
            return embeddings

        def open_tower(streams: str) -> Tower:
            return trunk_tower(network, model=f"timm:{name}", streams=streams)

        return Made(network, (network,), _preprocessing(network), found.shape[1], embed, open_tower)

    def weights_name(self, name: str, pretrained: str | None) -> str:
        """Return "own" for the weights of the tag, "" for random ones, or the full path of a file."""
        if pretrained in (OWN_WEIGHTS, NO_WEIGHTS):
            return "" if pretrained == NO_WEIGHTS else OWN_WEIGHTS
        return str(Path(str(pretrained)).absolute())

    def weights_of(self, name: str, recorded: str) -> str | None:
        """Return the weights that a spec calls so."""
        return recorded or NO_WEIGHTS


def _load(network: Any, path: Path, *, name: str) -> None:
    """Load a plain state dict of timm. Those of the classifier are not needed."""
    try:
        state = timm.models.load_state_dict(str(path), weights_only=True)
    except Exception as error:  # any error of torch, safetensors or zip on a damaged file
        raise DataError(f"{path}: is not a checkpoint that loads without running code: {_first_line(error)}") from error
    given = network.pretrained_cfg.get("classifier") or ()
    classifiers = (given,) if isinstance(given, str) else tuple(given)
    own = set(network.state_dict())
    state = {
        key: value
        for key, value in state.items()
        if key in own or not key.startswith(tuple(f"{part}." for part in classifiers))
    }
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        told = " ".join(str(error).split())[:200]
        raise DataError(f"the weights {str(path)!r} cannot be loaded into timm:{name}: {told}") from error


def _input_size(network: Any) -> tuple[int, int]:
    _, height, width = timm.data.resolve_model_data_config(network)["input_size"]
    return int(height), int(width)


def _preprocessing(network: Any) -> dict[str, Any]:
    """Return timm's transform for evaluation in our words."""
    config = timm.data.resolve_model_data_config(network)
    size = _input_size(network)
    mode = config.get("crop_mode") or "center"
    scaled = [math.floor(side / float(config["crop_pct"])) for side in size]
    return {
        "size": list(size),
        "resize_mode": RESIZE_MODES.get(mode, mode),
        "interpolation": config["interpolation"],
        "mean": list(config["mean"]),
        "std": list(config["std"]),
        **({"scaled": scaled} if scaled != list(size) else {}),
    }


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
