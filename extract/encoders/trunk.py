"""Trunk: an image tower cut before its last blocks, so that these can run on tokens that were kept of a first pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from framebank.extract.encoders.streams import TRUNK_PARTS
from framebank.store.errors import DataError

OF_TIMM = ("VisionTransformer", "Eva")  # networks of timm whose blocks need nothing but tokens, and perhaps a rope


@dataclass(frozen=True)
class Trunk:
    """The blocks of an image tower in their order, and what follows the last one.

    A block turns tokens (N, L, W) into tokens, or a map (N, C, H, W) into a map. `beside` is what each block takes in
    addition. `finish` turns the output of the last block into embeddings (N, D), un-normalised, and `ends` holds all
    parameters that it uses. `put` puts another module in the place of a block, and `widths` says how wide the tokens
    or maps are that each block takes. Of L tokens, the first `prefix` are not
    patches; the patches lie on a `grid` (rows, columns), or on that of the map if it is None.
    """

    blocks: tuple[nn.Module, ...]
    put: Callable[[int, nn.Module], None]
    finish: Callable[[Tensor], Tensor]
    ends: tuple[nn.Parameter, ...]
    widths: tuple[int, ...]
    prefix: int = 0
    grid: tuple[int, int] | None = None
    beside: Mapping[str, Any] = field(default_factory=dict)

    def require_blocks(self, count: int, *, model: str) -> None:
        """Refuse to cut before more blocks than there are: DataError."""
        if count > len(self.blocks):
            raise DataError(f"{model} has {len(self.blocks)} blocks; expected trunk:{len(self.blocks)} at the most")


def read_trunk(visual: Any, *, model: str) -> Trunk:
    """Return the blocks of an image tower of open_clip. DataError if it cannot be cut between them."""
    if isinstance(visual, VisionTransformer):
        return _of_open_clip(visual)
    if isinstance(visual, ModifiedResNet):
        return _of_resnet(visual)
    inner = getattr(visual, "trunk", None)
    plain = type(inner).__name__ in OF_TIMM and all(hasattr(inner, part) for part in TRUNK_PARTS)
    if isinstance(visual, TimmModel) and plain and not getattr(inner, "rope_mixed", False):
        return _of_timm(visual)
    raise no_trunk(model, why=f"its image tower ({type(inner or visual).__name__}) cannot be cut between its blocks")


def no_trunk(model: str, *, why: str) -> DataError:
    """Return the error of a model that has no trunk stream."""
    return DataError(
        f"{model} has no stream trunk: {why}; expected a vision transformer of open_clip, such as ViT-B-32"
    )


def _of_open_clip(visual: VisionTransformer) -> Trunk:
    def finish(tokens: Tensor) -> Tensor:
        pooled: Tensor = visual._pool(tokens)[0]
        return pooled if visual.proj is None else pooled @ visual.proj

    pools = [part for part in (visual.attn_pool, getattr(visual, "attn_pool_contrastive", None)) if part is not None]
    return Trunk(
        blocks=tuple(visual.transformer.resblocks),
        put=partial(_put, [visual.transformer.resblocks] * len(visual.transformer.resblocks)),
        finish=finish,
        ends=(*_parameters(visual.ln_post, *pools), *([] if visual.proj is None else [visual.proj])),
        widths=(visual.transformer.width,) * len(visual.transformer.resblocks),
        prefix=1,
        grid=visual.grid_size,
    )


def _of_resnet(visual: ModifiedResNet) -> Trunk:
    """Return the bottlenecks of CLIP's ResNet, over all its layers."""
    layers = [visual.layer1, visual.layer2, visual.layer3, visual.layer4]
    blocks = tuple(block for layer in layers for block in layer)
    return Trunk(
        blocks=blocks,
        put=partial(_put, [layer for layer in layers for _ in layer]),
        finish=visual.attnpool,
        ends=_parameters(visual.attnpool),
        widths=tuple(block.conv1.in_channels for block in blocks),
    )


def _of_timm(visual: Any) -> Trunk:
    inner = visual.trunk

    def finish(tokens: Tensor) -> Tensor:
        embeddings: Tensor = visual.head(inner.forward_head(inner.norm(tokens)))
        return embeddings

    parts = (inner.norm, inner.fc_norm, inner.head, getattr(inner, "attn_pool", None), visual.head)
    return Trunk(
        blocks=tuple(inner.blocks),
        put=partial(_put, [inner.blocks] * len(inner.blocks)),
        finish=finish,
        ends=_parameters(*(part for part in parts if part is not None)),
        widths=(inner.embed_dim,) * len(inner.blocks),
        prefix=inner.num_prefix_tokens,
        grid=inner.patch_embed.grid_size,
        beside=_rope(inner),
    )


def _rope(inner: Any) -> dict[str, Any]:
    """Return the rotary positions that the blocks of a network of timm take; none if it has none."""
    rope = getattr(inner, "rope", None)
    if rope is None:
        return {}
    fixed = hasattr(rope, "feat_shape")
    return {"rope": rope.get_embed() if fixed else rope.get_embed(shape=inner.patch_embed.grid_size)}


def _put(holders: list[Any], place: int, module: nn.Module) -> None:
    """Put a module in the place of a block, which is counted over all holders."""
    holder = holders[place]
    first = next(number for number, one in enumerate(holders) if one is holder)
    holder[place - first] = module


def _parameters(*modules: nn.Module) -> tuple[nn.Parameter, ...]:
    return tuple(parameter for module in modules for parameter in module.parameters())
