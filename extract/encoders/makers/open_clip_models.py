"""open_clip: CLIP, SigLIP 2, PE-Core, MetaCLIP and the others of that library, and the demo model."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from framebank.extract.encoders.makers.made import Made, TextSide
from framebank.extract.encoders.streams import Tower, read_tower
from framebank.extract.encoders.text_tower import TextTower
from framebank.extract.encoders.tokens import Tokenizer, token_table
from framebank.extract.encoders.weights import (
    build_network,
    chosen_weights,
    pretrained_name,
    read_tokenizer,
    weights_of,
)


class OpenClipModels:
    """The models of open_clip, by their names there; "demo" is the model that comes with this package."""

    def settle(self, name: str, pretrained: str | None) -> tuple[str, str | None]:
        """Return the name and the weights that `chosen_weights` chooses."""
        return name, chosen_weights(name, pretrained)

    def clip_frames(self, name: str, pretrained: str | None) -> int:
        """Return 1: all of them read pictures."""
        return 1

    def make(self, name: str, pretrained: str | None) -> Made:
        """Build the network; a model that normalises by default, such as CoCa, does not do so here."""
        network = build_network(name, pretrained)
        network.visual.to(memory_format=torch.channels_last)
        bias = getattr(network, "logit_bias", None)

        def embed(images: Tensor) -> Tensor:
            embeddings: Tensor = network.encode_image(images, normalize=False)
            return embeddings

        def encode(tokens: Tensor) -> Tensor:
            embeddings: Tensor = network.encode_text(tokens, normalize=False)
            return embeddings

        def open_tower(streams: str) -> Tower:
            return read_tower(network.visual, model=name, streams=streams)

        def open_texts(tokenizer: Tokenizer) -> TextTower:
            return TextTower(network, tokenizer, model=name)

        return Made(
            network,
            (network.visual,),
            dict(network.visual.preprocess_cfg),
            _width(network),
            embed,
            open_tower,
            TextSide(
                encode,
                partial(read_tokenizer, name, pretrained),
                open_texts,
                logit_scale=float(network.logit_scale.detach().exp()),
                logit_bias=None if bias is None else float(bias.detach()),
                table=token_table(network),
            ),
        )

    def weights_name(self, name: str, pretrained: str | None) -> str:
        """Return what `pretrained_name` says."""
        return pretrained_name(name, pretrained)

    def weights_of(self, name: str, recorded: str) -> str | None:
        """Return what `weights_of` says."""
        return weights_of(name, recorded)


@torch.inference_mode()
def _width(network: Any) -> int:
    size = network.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    return int(network.eval().encode_image(torch.zeros(1, 3, height, width)).shape[1])
