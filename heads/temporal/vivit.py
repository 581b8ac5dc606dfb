"""Vivit: a temporal transformer on frozen frames, whose blocks may come from a CLIP text tower."""

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from framebank.heads.masking import if_any_real, masked_mean, pack
from framebank.heads.temporal.attention import (
    AttentionBlock,
    QuickGelu,
    heads_for,
    initialise,
    mean_after,
    positions_for,
    silence,
)
from framebank.heads.temporal.head import HeadTraits, MixesFrames, TakesBlocks
from framebank.store.counts import counted
from framebank.store.errors import DataError

# our name of a block's parameter -> CLIP's
CLIP_NAMES = {
    "attention_norm.weight": "ln_1.weight",
    "attention_norm.bias": "ln_1.bias",
    "qkv.weight": "attn.in_proj_weight",
    "qkv.bias": "attn.in_proj_bias",
    "out.weight": "attn.out_proj.weight",
    "out.bias": "attn.out_proj.bias",
    "mlp_norm.weight": "ln_2.weight",
    "mlp_norm.bias": "ln_2.bias",
    "mlp.0.weight": "mlp.c_fc.weight",
    "mlp.0.bias": "mlp.c_fc.bias",
    "mlp.2.weight": "mlp.c_proj.weight",
    "mlp.2.bias": "mlp.c_proj.bias",
}


@final
class Vivit(nn.Module, MixesFrames, TakesBlocks):
    """ViViT's factorised encoder (Arnab et al. 2021, arXiv 2103.15691): frozen frames, then a temporal transformer.

    Positions, `num_layers` blocks of width `width` (by default that of the frames), residual, mean. `load_blocks` gives
    the blocks the weights of a CLIP text tower, as CLIP4Clip starts its seqTransf (Luo et al. 2021, arXiv 2104.08860).
    With `freeze_blocks` they stay as they are, between two learned projections: a frozen language block (Pang et al.
    2023, arXiv 2310.12973). If neither `width` nor freezing needs projections, there are none.

    The projection back from `width`, or else the blocks, start at zero, so that training starts close to the mean of
    the frames. This does not hold for loaded blocks without projections. Differences: ViViT reads a class token, here
    the mean is taken. Attention goes both ways; in CLIP's text tower it only looks back. Its spatial encoder is the
    frozen image tower, and does not learn. `quick_gelu` is for OpenAI's weights; most other weights in open_clip need
    it off.
    """

    traits = HeadTraits(takes_blocks=True)

    def __init__(
        self,
        dim: int,
        *,
        num_layers: int = 4,
        width: int | None = None,
        num_heads: int | None = None,
        max_frames: int = 77,
        quick_gelu: bool = True,
        freeze_blocks: bool = False,
    ) -> None:
        super().__init__()
        width = width or dim
        num_heads, activation = num_heads or heads_for(width), QuickGelu if quick_gelu else nn.GELU
        self.positions = nn.Parameter(torch.empty(max_frames, width))
        blocks = [AttentionBlock(width, num_heads=num_heads, activation=activation) for _ in range(num_layers)]
        self.blocks = nn.ModuleList(blocks)
        initialise(self)
        nn.init.normal_(self.positions, std=0.01)
        self.enter: nn.Module = nn.Identity()
        self.leave: nn.Module = nn.Identity()
        if freeze_blocks or width != dim:
            self.enter, self.leave = _projections(dim, width)
        else:
            for block in blocks:
                silence(block)
        self.blocks.requires_grad_(not freeze_blocks)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D)."""
        frames, mask = pack(x, mask)
        mixed = self.enter(frames) + positions_for(self.positions, mask)  # (B, T, W)
        learned: Tensor = self.leave(mean_after(self.blocks, mixed, mask))
        return masked_mean(frames, mask) + if_any_real(learned, mask)

    def mix(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames whose mean is the answer, packed, and their mask: (B, T, D), (B, T)."""
        frames, mask = pack(x, mask)
        mixed = self.enter(frames) + positions_for(self.positions, mask)  # (B, T, W)
        for block in self.blocks:
            mixed = block(mixed, mask)
        return frames + self.leave(mixed), mask

    @property
    def num_blocks(self) -> int:
        """How many blocks there are."""
        return len(self.blocks)

    def load_blocks(self, blocks: Sequence[Mapping[str, Tensor]]) -> None:
        """Copy the state of CLIP's residual attention blocks, one for each of ours, first to last.

        DataError if their number, a name or a shape is wrong. Then nothing is copied.
        """
        if len(blocks) != len(self.blocks):
            raise DataError(
                f"{counted(len(blocks), 'text block')} given; expected {len(self.blocks)}, one for each layer"
            )
        for number, (block, given) in enumerate(zip(self.blocks, blocks, strict=True)):
            _check(given, block.state_dict(), number=number)
        for block, given in zip(self.blocks, blocks, strict=True):
            block.load_state_dict({ours: given[theirs] for ours, theirs in CLIP_NAMES.items()})


def _projections(dim: int, width: int) -> tuple[nn.Linear, nn.Linear]:
    enter, leave = nn.Linear(dim, width), nn.Linear(width, dim)
    if dim == width:
        nn.init.eye_(enter.weight)
    else:
        nn.init.orthogonal_(enter.weight)  # keeps lengths, as far as the widths allow
    for parameter in (enter.bias, *leave.parameters()):
        nn.init.zeros_(parameter)
    return enter, leave


def _check(given: Mapping[str, Tensor], ours: Mapping[str, Tensor], *, number: int) -> None:
    odd = sorted(set(given) ^ set(CLIP_NAMES.values()))
    if odd:
        state = "has no" if odd[0] not in given else "has a"
        raise DataError(f"text block {number} {state} {odd[0]!r}; expected the parameters of CLIP's attention block")
    for name, theirs in CLIP_NAMES.items():
        if given[theirs].shape != ours[name].shape:
            raise DataError(
                f"text block {number}: {theirs} is {tuple(given[theirs].shape)}; expected {tuple(ours[name].shape)}, "
                f"as the head's blocks are {len(ours['out.bias'])} wide"
            )
