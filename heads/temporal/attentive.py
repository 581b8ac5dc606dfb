"""Attentive: a learned query reads the frames, or the places in them, as an attentive probe."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.masking import pack, packing
from framebank.heads.temporal.attention import AttentionBlock, heads_for, positions_for
from framebank.heads.temporal.head import HeadTraits


class Attentive(nn.Module):
    """The attentive probe of V-JEPA (Bardes et al. 2024, arXiv 2404.08471), after the pooling head of Zhai et al. 2022.

    The query attends to the normed frames (arXiv 2106.04560 calls that a MAP head), what it reads is added to it, then
    mlp(norm(.)). What the attention heads read is added as it is: the code of V-JEPA and V-JEPA 2 that evaluates has no
    projection behind it; with `projection` there is one. Weights, query and positions start from a truncated normal of
    0.02; as V-JEPA does, the last layer of the mlp, and the projection, are then divided by sqrt(2), or by sqrt(2 N)
    behind N blocks. Untrained, its answer says little about the frames.

    V-JEPA's tokens come from a video encoder and know their time. A frozen frame does not, and without a table of
    positions the probe is a weighted average, blind to order: so `positions` is on; off is the published probe. A video
    of more than `max_frames` frames stretches the table.

    The stream `tokens`, or `regions`, has patches to attend to: `places` of them in each frame, which a second table of
    positions tells apart, so that place and time are not confused. With `blocks` self-attention blocks in front of the
    query, 3 as published, this is the decoder of V-JEPA 2 (Assran et al. 2025, arXiv 2506.09985), and the last layers
    of the nth block are divided by sqrt(2 n). Its tokens leave their encoder with a root mean square of one. Unit
    frames are smaller by sqrt(D), and the blocks, as they are drawn, drown them: all tokens of a video become alike.
    With `token_norm`, token and position together have a mean of zero and a variance of one in front of the blocks.
    """

    traits = HeadTraits(reads_places=True)

    def __init__(
        self,
        dim: int,
        *,
        num_heads: int | None = None,
        positions: bool = True,
        projection: bool = False,
        max_frames: int = 77,
        blocks: int = 0,
        places: int = 1,
        token_norm: bool = False,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads or heads_for(dim)
        if dim % self.num_heads:
            raise ValueError(f"dim ({dim}) must be divisible by num_heads ({self.num_heads})")
        self.query = nn.Parameter(torch.empty(1, dim))
        if places < 1 or blocks < 0:
            raise ValueError(f"places ({places}) must be at least 1, and blocks ({blocks}) at least 0")
        self.places = places
        self.token_norm = token_norm
        self.positions = nn.Parameter(torch.empty(max_frames, dim)) if positions else None
        self.place_positions = nn.Parameter(torch.empty(places, dim)) if positions and places > 1 else None
        made = [AttentionBlock(dim, num_heads=self.num_heads, activation=nn.GELU) for _ in range(blocks)]
        self.blocks = nn.ModuleList(made)
        self.frame_norm = nn.LayerNorm(dim)
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim) if projection else None
        self.mlp_norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self._draw()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D), mask (B, T) true where real -> (B, D).

        With several `places`, those of a frame follow one another: (B, T * places, D). ValueError if they do not fit.
        """
        x, mask, frames = self.packed(x, mask)
        if self.positions is not None:
            times = positions_for(self.positions, frames)  # (T, D) or (B, T, D)
            x = x + (times if self.place_positions is None else self._by_place(times, self.place_positions))
        if self.token_norm:
            x = F.layer_norm(x, x.shape[-1:])
        for block in self.blocks:
            x = block(x, mask)
        read = self._read(self.frame_norm(x), mask)  # (B, D)
        pooled = self.query + (read if self.out is None else self.out(read))  # (B, D)
        answer: Tensor = pooled + self.mlp(self.mlp_norm(pooled))
        return answer

    def packed(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Move the real frames to the front, each with all its places: x, mask, and which frames are real (B, T).

        ValueError as in `forward`.
        """
        if self.places == 1:
            x, mask = pack(x, mask)
            return x, mask, mask
        if x.shape[1] % self.places:
            raise ValueError(f"{x.shape[1]} embeddings are not of frames with {self.places} places each")
        whole = mask.unflatten(1, (-1, self.places))  # (B, T, P)
        index, frames = packing(whole.any(-1))
        rows = x.unflatten(1, (-1, self.places)).flatten(0, 1)[index]  # (B, T, P, D)
        return rows.flatten(1, 2), whole.flatten(0, 1)[index].flatten(1), frames

    def _read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return what the query reads in normed tokens x (B, N, D), mask (B, N) -> (B, D).

        A single query needs no key and no value of a token. A score is the token times the query behind the matrix of
        the keys, and the matrix of the values takes the mean token of each attention head. The bias of the keys adds
        the same to the scores of all tokens, which softmax takes away again.
        """
        keys, values = self.kv.weight.unflatten(0, (2, self.num_heads, -1)).unbind()  # 2 x (H, D/H, D)
        asked = self.q(self.query).view(self.num_heads, 1, -1) * keys.shape[1] ** -0.5  # (H, 1, D/H)
        scores = (x @ (asked @ keys).squeeze(1).T).float()  # (B, N, H)
        share = scores.masked_fill(~mask.unsqueeze(-1), torch.finfo(scores.dtype).min).softmax(1)
        mean = share.transpose(1, 2) @ x  # (B, H, D)
        read: Tensor = (mean.transpose(0, 1) @ values.transpose(1, 2)).transpose(0, 1).flatten(1)  # (B, D)
        return read + self.kv.bias[read.shape[1] :]

    @staticmethod
    def _by_place(times: Tensor, places: Tensor) -> Tensor:
        """Return the positions of every place of frames: times (..., T, D), places (P, D) -> (..., T * P, D)."""
        return (times.unsqueeze(-2) + places).flatten(-3, -2)

    def _draw(self) -> None:
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.trunc_normal_(part.weight, std=0.02)
                nn.init.zeros_(part.bias)
        for table in (self.query, self.positions, self.place_positions):
            if table is not None:
                nn.init.trunc_normal_(table, std=0.02)
        with torch.no_grad():
            for last in (self.out, self.mlp[2]):
                for parameter in last.parameters() if last else ():
                    parameter.div_((2 * max(1, len(self.blocks))) ** 0.5)
            for depth, block in enumerate(self.blocks, 1):
                for name, parameter in block.named_parameters():
                    if name in ("out.weight", "mlp.2.weight"):
                        parameter.div_((2 * depth) ** 0.5)
