"""TED: M2-CLIP's temporal enhancement and difference, before each of the last blocks of an image tower."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from framebank.extract.encoders.trunk import Trunk


class Enhancement(nn.Module):
    """Global temporal enhancement: x (B, T, L, W) + up(conv(down x)), the convolution over three frames of a place.

    The convolution is one for each of H channels. It starts as zeros, so that the first output is x.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, hidden)
        self.mix = nn.Conv1d(hidden, hidden, 3, padding=1, groups=hidden)
        self.up = nn.Linear(hidden, width)
        _start(self.down, self.mix, self.up)

    def forward(self, x: Tensor) -> Tensor:
        """Return the enhanced tokens, of the same shape; (B, T, W) is taken as one token a frame."""
        tokens = x if x.ndim == 4 else x[:, :, None]  # (B, T, L, W)
        series = torch.einsum("btlh->blht", self.down(tokens))
        mixed = self.mix(series.flatten(0, 1)).unflatten(0, series.shape[:2])  # (B, L, H, T)
        change: Tensor = self.up(torch.einsum("blht->btlh", mixed))
        return x + change.view_as(x)


class FrameDifference(nn.Module):
    """Local temporal difference: what up(conv(down d)) makes of d, a frame's patches minus those of the frame before.

    The convolution is over 3 x 3 patches, one for each of H channels; it starts as zeros.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, hidden)
        self.mix = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.up = nn.Linear(hidden, width)
        _start(self.down, self.mix, self.up)

    def forward(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return what is added to patches (B, T, P, W), of the same shape; the first frame has no frame before it."""
        before = torch.cat([patches[:, :1], patches[:, :-1]], dim=1)
        maps = self.down(patches - before).flatten(0, 1).unflatten(1, grid)  # (B * T, rows, columns, H)
        mixed = self.mix(torch.einsum("nrch->nhrc", maps))
        change = self.up(torch.einsum("nhrc->nrch", mixed).flatten(1, 2))
        added: Tensor = change.unflatten(0, patches.shape[:2])
        return added


class TedAdapter(nn.Module):
    """M2-CLIP's TED-Adapter (Wang et al. 2024, arXiv 2401.11649) before one block, at half of its width.

    It takes what the block takes, of all frames of whole clips of `num_frames`: tokens (B * T, L, W) or maps
    (B * T, W, rows, columns). The first `prefix` tokens are not patches and have no difference.
    """

    def __init__(self, width: int, *, num_frames: int, prefix: int, grid: tuple[int, int] | None) -> None:
        super().__init__()
        self.enhancement = Enhancement(width, width // 2)
        self.difference = FrameDifference(width, width // 2)
        self.num_frames, self.prefix, self.grid = num_frames, prefix, grid

    def forward(self, x: Tensor) -> Tensor:
        """Return the adapted tokens or maps, of the same shape."""
        clips = x.unflatten(0, (-1, self.num_frames))  # (B, T, ...)
        if self.grid is not None:
            return self._adapt(clips, self.grid).flatten(0, 1)
        rows, columns = x.shape[2:]
        tokens = torch.einsum("btwrc->btrcw", clips).flatten(2, 3)  # (B, T, rows * columns, W)
        adapted = self._adapt(tokens, (rows, columns)).unflatten(2, (rows, columns))
        return torch.einsum("btrcw->btwrc", adapted).flatten(0, 1)

    def _adapt(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        change = self.difference(tokens[:, :, self.prefix :], grid)
        enhanced: Tensor = self.enhancement(tokens)
        return enhanced + nn.functional.pad(change, (0, 0, self.prefix, 0))


class AdaptedBlock(nn.Module):
    """A block behind its adapter; it is called as the block is."""

    def __init__(self, adapter: nn.Module, block: nn.Module) -> None:
        super().__init__()
        self.adapter, self.block = adapter, block

    def forward(self, x: Tensor, *arguments: Any, **beside: Any) -> Tensor:
        """Adapt what enters the block."""
        found: Tensor = self.block(self.adapter(x), *arguments, **beside)
        return found


class TedAdapters(nn.Module):
    """The adapters of the last `blocks` blocks of a tower, and the enhancement of the embeddings (B, T, D) behind it.

    `put_into` puts each before its block of the tower, and `take_out` gives the tower its own blocks back.
    """

    def __init__(self, trunk: Trunk, *, blocks: int, num_frames: int, dim: int) -> None:
        super().__init__()
        self.num_frames = num_frames
        self.before = nn.ModuleList(
            TedAdapter(width, num_frames=num_frames, prefix=trunk.prefix, grid=trunk.grid)
            for width in trunk.widths[-blocks:]
        )
        self.after = Enhancement(dim, dim // 2)

    def put_into(self, trunk: Trunk) -> list[nn.Module]:
        """Return the adapted blocks, which now stand in the tower."""
        own = trunk.blocks[-len(self.before) :]
        adapted: list[nn.Module] = [
            AdaptedBlock(adapter, block) for adapter, block in zip(self.before, own, strict=True)
        ]
        self._put(trunk, adapted)
        return adapted

    def take_out(self, trunk: Trunk) -> None:
        """Put the blocks of the trunk back to where they were."""
        self._put(trunk, trunk.blocks[-len(self.before) :])

    def _put(self, trunk: Trunk, blocks: Sequence[nn.Module]) -> None:
        first = len(trunk.blocks) - len(self.before)
        for place, block in enumerate(blocks, first):
            trunk.put(place, block)


def _start(down: nn.Linear, mix: nn.Conv1d | nn.Conv2d, up: nn.Linear) -> None:
    nn.init.zeros_(mix.weight)
    for part in (down, mix, up):
        if part.bias is not None:
            nn.init.zeros_(part.bias)
