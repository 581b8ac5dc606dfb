"""open_clip: CLIP, SigLIP 2, PE-Core, MetaCLIP and the others of that library, and the demo model."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from framebank.extract.adapters.adapted import Adapted, read_adapted, read_adapters
from framebank.extract.adapters.ted import TedAdapters
from framebank.extract.adapters.text_adapters import TextAdapters, of_both_towers
from framebank.extract.encoders.makers.made import Made, TextSide, no_streams
from framebank.extract.encoders.streams import Tower, read_tower
from framebank.extract.encoders.text_tower import TextTower
from framebank.extract.encoders.text_trunk import read_text_trunk
from framebank.extract.encoders.tokens import Tokenizer, token_table
from framebank.extract.encoders.trunk import Trunk, no_trunk, read_trunk
from framebank.extract.encoders.weights import (
    build_network,
    chosen_weights,
    pretrained_name,
    read_tokenizer,
    weights_of,
    width_of,
)
from framebank.store.errors import DataError
from framebank.store.formats.document import Fields, parse_json


class OpenClipModels:
    """The models of open_clip, by their names there; "demo" is the model that comes with this package."""

    def settle(self, name: str, pretrained: str | None) -> tuple[str, str | None]:
        """Return the name and the weights that `chosen_weights` chooses."""
        return name, chosen_weights(name, pretrained)

    def clip_frames(self, name: str, pretrained: str | None) -> int:
        """Return 1, because all of them read pictures, or the frames that the adapters of adapted weights read."""
        adapted = read_adapted(pretrained) if pretrained else None
        return max(1, adapted.num_frames) if adapted else 1

    def make(self, name: str, pretrained: str | None) -> Made:
        """Build the network; a model that normalises by default, such as CoCa, does not do so here.

        Weights whose adapters read neighbouring frames make it a model of clips.
        """
        network = build_network(name, pretrained)
        network.visual.to(memory_format=torch.channels_last)
        bias = getattr(network, "logit_bias", None)
        adapted = read_adapted(pretrained) if pretrained else None
        preprocessing = network.visual.preprocess_cfg
        if adapted:
            preprocessing = Fields.of(parse_json(adapted.preprocessing, where=pretrained), where=pretrained).values

        def embed(images: Tensor) -> Tensor:
            embeddings: Tensor = network.encode_image(images, normalize=False)
            return embeddings

        def encode(tokens: Tensor) -> Tensor:
            embeddings: Tensor = network.encode_text(tokens, normalize=False)
            return embeddings

        def open_tower(streams: str) -> Tower:
            return read_tower(network.visual, model=name, streams=streams)

        def open_trunk() -> Trunk:
            if ":" in name:
                raise no_trunk(name, why="open_clip loads no other weights into it")
            return read_trunk(network.visual, model=name)

        def open_texts(tokenizer: Tokenizer) -> TextTower:
            return TextTower(network, tokenizer, model=name)

        made = Made(
            network,
            (network.visual,),
            dict(preprocessing),
            width_of(name) or _width(network),
            embed,
            open_tower,
            TextSide(
                encode,
                partial(read_tokenizer, name, pretrained),
                open_texts,
                logit_scale=float(network.logit_scale.detach().exp()),
                logit_bias=None if bias is None else float(bias.detach()),
                table=token_table(network),
                open_trunk=partial(read_text_trunk, network, model=name),
            ),
            open_trunk=open_trunk,
        )
        return _of_clips(made, adapted, str(pretrained), model=name) if adapted and adapted.num_frames else made

    def weights_name(self, name: str, pretrained: str | None) -> str:
        """Return what `pretrained_name` says."""
        return pretrained_name(name, pretrained)

    def weights_of(self, name: str, recorded: str) -> str | None:
        """Return what `weights_of` says."""
        return weights_of(name, recorded)


def _of_clips(made: Made, adapted: Adapted, weights: str, *, model: str) -> Made:
    """Return the model with its adapters: a clip of T frames becomes the mean of their T embeddings."""
    network: Any = made.network
    trunk = read_trunk(network.visual, model=model)
    adapters = TedAdapters(trunk, blocks=adapted.blocks, num_frames=adapted.num_frames, dim=made.dim)
    of_images, of_texts = of_both_towers(read_adapters(weights))
    try:
        adapters.load_state_dict(of_images)
        if of_texts:
            texts = read_text_trunk(network, model=model)
            network.text_adapters = TextAdapters(texts.width, blocks=adapted.blocks)
            network.text_adapters.load_state_dict(of_texts)
            network.text_adapters.put_into(texts.blocks)
    except (RuntimeError, ValueError) as error:
        raise DataError(f"{weights}: the adapters beside it do not fit {model}") from error
    adapters.put_into(trunk)
    network.adapters = adapters  # they are part of its weights, and of their hash

    def embed(clips: Tensor) -> Tensor:
        frames = made.embed(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])  # (N, T, D)
        embeddings: Tensor = adapters.after(frames).mean(1)
        return embeddings

    why = "its adapters read neighbouring frames"

    def refuse() -> Trunk:
        raise no_trunk(model, why=why)

    return replace(
        made,
        embed=embed,
        visual=(network.visual, adapters),
        open_tower=no_streams(model, why=why),
        open_trunk=refuse,
        clip_frames=adapted.num_frames,
    )


@torch.inference_mode()
def _width(network: Any) -> int:
    size = network.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    return int(network.eval().encode_image(torch.zeros(1, 3, height, width)).shape[1])
