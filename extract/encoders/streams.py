"""Streams: further outputs of an image tower for a frame, read in the same pass as its embedding."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import adaptive_avg_pool2d

from framebank.store.errors import DataError
from framebank.store.spec import EIGHT_BITS

# name -> how its numbers are written after a colon, "" where it takes none
STREAMS = {
    "frame": "",
    "pre_proj": "",
    "regions": "regions:3",
    "tokens": "tokens:7",
    "patch_mean": "",
    "layers": "layers:3+6+-1",
    "trunk": "trunk:2",
}

GRIDS = ("regions", "tokens")  # streams of g x g places
TRUNK = "trunk"  # what enters the last blocks, with their number

# What a timm trunk has when it is a plain vision transformer.
TRUNK_PARTS = ("blocks", "norm", "fc_norm", "head_drop", "head", "num_prefix_tokens", "patch_embed")


@dataclass(frozen=True)
class Tower:
    """The parts of an image tower: its blocks give tokens (N, L, W), `last` what becomes the pooled output.

    `pooled` turns the output of `last` into the pooled output (N, W), `summary` a block's tokens into one (N, W), and
    `patches` the last block's tokens into projected patches (N, P, D), which lie on a `grid` (rows, columns); `normed`
    leaves out the projection, (N, P, W). Where the model has no such thing, `pooled`, `patches` or `summary` is None.
    """

    blocks: Sequence[Module]
    last: Module
    grid: tuple[int, int]
    summary: Callable[[Tensor], Tensor] | None
    pooled: Callable[[Tensor], Tensor] | None
    patches: Callable[[Tensor], Tensor] | None
    normed: Callable[[Tensor], Tensor]


class Streams:
    """Read from an image tower with forward hooks, which do not change its embeddings.

    `wanted` is what `read_streams` gives. `open_tower` gives the tower for the names of some streams, and
    `open_block` the block that the stream trunk is the input of, if it is the K-th of the last. DataError naming the
    model where its tower has no such stream.
    """

    def __init__(
        self,
        open_tower: Callable[[str], Tower],
        wanted: dict[str, tuple[int, ...]],
        *,
        model: str,
        open_block: Callable[[int], Module],
    ) -> None:
        self._wanted = {name: numbers for name, numbers in wanted.items() if name != "frame"}
        self._here = threading.local()  # each thread that encodes hears its own pass
        if TRUNK in self._wanted:
            open_block(self._wanted[TRUNK][0]).register_forward_pre_hook(self._hear_input)
        if of_tower := [name for name in self._wanted if name != TRUNK]:
            self._tower = open_tower(", ".join(of_tower))
            self._layers = _check(self._tower, self._wanted, model=model)
            for place in {*self._layers, len(self._tower.blocks) - 1}:
                self._tower.blocks[place].register_forward_hook(partial(self._hear, f"block {place}"))
            self._tower.last.register_forward_hook(partial(self._hear, "last"))

    def collect(self) -> dict[str, Tensor]:
        """Return the streams of the pass just made, and forget it; to be called before the next.

        "pre_proj" is (N, W), "regions" (N, g * g, D), row by row, "tokens" (N, g * g, W) the same before the
        projection, "patch_mean" (N, P, D), whose mean over time is yet to be taken, "layers" (N, L, W), as the blocks
        give it, before any norm, and "trunk" as a block takes it: tokens (N, L, W), or a map (N, C, H, W).
        """
        heard = self._heard
        self._here.heard = {}
        return {name: self._derive(name, numbers, heard) for name, numbers in self._wanted.items()}

    @property
    def _heard(self) -> dict[str, Tensor]:
        heard: dict[str, Tensor] = vars(self._here).setdefault("heard", {})
        return heard

    def _hear(self, name: str, _module: Module, _arguments: Any, output: Tensor) -> None:
        self._heard[name] = output

    def _hear_input(self, _module: Module, arguments: Any) -> None:
        self._heard[TRUNK] = arguments[0]

    def _derive(self, name: str, numbers: tuple[int, ...], heard: dict[str, Tensor]) -> Tensor:
        if name == TRUNK:
            return heard[TRUNK]
        tower = self._tower
        if name == "layers" and tower.summary:
            return torch.stack([tower.summary(heard[f"block {place}"]) for place in self._layers], dim=1)  # (N, L, W)
        if name == "pre_proj" and tower.pooled:
            return tower.pooled(heard["last"])
        read = tower.normed if name == "tokens" else tower.patches
        if not read:
            raise ValueError(f"the tower has no stream {name!r}, which _check refuses")
        patches = read(heard[f"block {len(tower.blocks) - 1}"]).float()  # (N, P, D)
        if name == "patch_mean":
            return patches
        pictures = patches.unflatten(1, tower.grid).movedim(-1, 1)  # (N, D, rows, columns)
        return adaptive_avg_pool2d(pictures, numbers[0]).flatten(2).movedim(1, -1)  # (N, g * g, D)


def read_streams(spec: str) -> dict[str, tuple[int, ...]]:
    """Return the numbers of each stream of a spec: "frame,regions:3" gives {"frame": (), "regions": (3,)}.

    DataError for a stream that is not known, given twice or without its numbers, and where frame is missing.
    """
    streams: dict[str, tuple[int, ...]] = {}
    for part in spec.split(","):
        name, _, numbers = part.partition(":")
        if name not in STREAMS:
            raise DataError(
                f"the stream {name!r} is not known; expected {', '.join(STREAMS)}, or some joined by commas"
            )
        if name in streams:
            raise DataError(f"the streams {spec!r} name {name} twice; expected each once")
        streams[name] = _read_numbers(name, numbers)
    if "frame" not in streams:
        raise DataError(f"the streams {spec!r} lack the stream frame, which every store needs; expected frame,{spec}")
    return streams


def _read_numbers(name: str, text: str) -> tuple[int, ...]:
    example = STREAMS[name]
    if name in GRIDS:
        text = text.removesuffix(f":{EIGHT_BITS}")  # in how many bits it is kept
    if not example:
        if text:
            raise DataError(f"the stream {name} takes no numbers, but was given {text!r}")
        return ()
    try:
        numbers = tuple(int(number) for number in text.split("+"))
    except ValueError:
        numbers = ()
    if not numbers or 0 in numbers or len(set(numbers)) < len(numbers):
        raise DataError(f"the stream {name}:{text} is not understood; expected numbers such as {example}")
    if name in (*GRIDS, TRUNK) and (len(numbers) > 1 or numbers[0] < 0):
        raise DataError(f"the stream {name}:{text} is not understood; expected one number above 0, as in {example}")
    return numbers


def read_tower(visual: Any, *, model: str, streams: str) -> Tower:
    """Return the parts of an image tower of open_clip. DataError if it is neither a vision transformer nor a ResNet."""
    if isinstance(visual, VisionTransformer):
        return _open_clip_tower(visual)
    if isinstance(visual, ModifiedResNet):
        return _resnet_tower(visual)
    if isinstance(visual, TimmModel):
        return trunk_tower(visual.trunk, model=model, streams=streams, project=visual.head)
    raise _not_a_transformer(type(visual).__name__, model=model, streams=streams)


def _not_a_transformer(kind: str, *, model: str, streams: str) -> DataError:
    return DataError(
        f"{model} has no stream {streams}: its image tower ({kind}) is not a vision transformer; "
        "use only the frame stream, or a model such as ViT-B-32"
    )


def _open_clip_tower(visual: VisionTransformer) -> Tower:
    by_attention = visual.attn_pool is not None

    def summary(tokens: Tensor) -> Tensor:
        return tokens[:, 1:].mean(1) if visual.pool_type == "avg" and not by_attention else tokens[:, 0]

    def pooled(normed: Tensor) -> Tensor:
        return normed if normed.ndim == 2 else visual._global_pool(normed)[0]

    def patches(tokens: Tensor) -> Tensor:
        projected: Tensor = visual.ln_post(tokens[:, 1:]) @ visual.proj
        return projected

    def normed(tokens: Tensor) -> Tensor:
        # Behind an attention, ln_post is a norm of what was pooled, and may have another width.
        found: Tensor = tokens[:, 1:] if by_attention else visual.ln_post(tokens[:, 1:])
        return found

    return Tower(
        blocks=visual.transformer.resblocks,
        last=visual.ln_post,
        grid=visual.grid_size,
        summary=summary,
        pooled=None if visual.pool_type == "none" else pooled,
        patches=None if by_attention else patches,
        normed=normed,
    )


def _resnet_tower(visual: ModifiedResNet) -> Tower:
    """Return the parts of CLIP's ResNet: its tokens are the places of the last map, (N, C, H, W), which it pools."""
    layers = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
    side = round((len(visual.attnpool.positional_embedding) - 1) ** 0.5)
    return Tower(
        blocks=[block for layer in layers for block in layer],
        last=visual.attnpool,
        grid=(side, side),
        summary=None,
        pooled=None,
        patches=None,
        normed=lambda map_: map_.flatten(2).movedim(1, -1),  # (N, H * W, C)
    )


def trunk_tower(
    trunk: Any, *, model: str, streams: str, project: Callable[[Tensor], Tensor] = lambda pooled: pooled
) -> Tower:
    """Return the parts of a network of timm, whose output `project` brings into the space of the embeddings.

    DataError if it is not a vision transformer.
    """
    if not all(hasattr(trunk, part) for part in TRUNK_PARTS):
        raise _not_a_transformer(type(trunk).__name__, model=model, streams=streams)
    first = trunk.num_prefix_tokens
    by_average = not first or trunk.global_pool in ("avg", "avgmax", "max")

    def summary(tokens: Tensor) -> Tensor:
        return tokens[:, first:].mean(1) if by_average else tokens[:, 0]

    def patches(tokens: Tensor) -> Tensor:
        projected: Tensor = project(trunk.head(trunk.fc_norm(trunk.norm(tokens)[:, first:])))
        return projected

    def normed(tokens: Tensor) -> Tensor:
        found: Tensor = trunk.norm(tokens)[:, first:]
        return found

    return Tower(
        blocks=trunk.blocks,
        last=trunk.head_drop,
        grid=trunk.patch_embed.grid_size,
        summary=summary,
        pooled=lambda dropped: dropped,
        patches=patches if getattr(trunk, "attn_pool", None) is None else None,
        normed=normed,
    )


def _check(tower: Tower, wanted: dict[str, tuple[int, ...]], *, model: str) -> tuple[int, ...]:
    """Return the places of the wanted layers, counted from 0; DataError for a stream that this tower cannot give."""
    most = min(tower.grid)
    others = f"tokens:{min(7, most)}{' or layers:-1' if tower.summary else ''}"
    if "layers" in wanted and tower.summary is None:
        raise DataError(f"{model} has no stream layers: its blocks have different widths; use {others}")
    if "pre_proj" in wanted and tower.pooled is None:
        raise DataError(f"{model} has no stream pre_proj: it pools by attention; use {others}")
    for name in ("regions", "patch_mean"):
        if name in wanted and tower.patches is None:
            raise DataError(
                f"{model} has no stream {name}: it pools by attention, so that its patches are not in the joint space; "
                f"use {others}, or a model such as ViT-B-32"
            )
    for name in GRIDS:
        if name in wanted and wanted[name][0] > most:
            rows, columns = tower.grid
            raise DataError(f"{model} has a grid of {rows} x {columns} patches; expected {name}:{most} at the most")
    count = len(tower.blocks)
    layers = wanted.get("layers", ())
    places = tuple(number - 1 if number > 0 else count + number for number in layers)
    if any(not 0 <= place < count for place in places) or len(set(places)) < len(places):
        raise DataError(
            f"{model} has {count} blocks; expected layers between 1 and {count}, or -1 and -{count}, once each"
        )
    return places
