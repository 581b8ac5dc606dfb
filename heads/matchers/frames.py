"""Frames of episodes: the first operations of several matchers."""

import torch
import torch.nn.functional as F
from torch import Tensor


def at_least_float(x: Tensor) -> Tensor:
    """Return a tensor in float32; a double stays double."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def mean_frame(x: Tensor, mask: Tensor) -> Tensor:
    """Average the real frames: x (..., T, D), mask (..., T) -> (..., D)."""
    kept = x.masked_fill(~mask.unsqueeze(-1), 0)  # (..., T, D)
    return kept.sum(-2) / mask.sum(-1, keepdim=True).clamp(min=1)


def unit_mean_frame(x: Tensor, mask: Tensor) -> Tensor:
    """Average the real frames and make the mean unit: x (..., T, D), mask (..., T) -> (..., D), float32 or double."""
    return F.normalize(mean_frame(at_least_float(x), mask), dim=-1)


def frame_similarities(query: Tensor, support: Tensor, *, eps: float = 0.01) -> Tensor:
    """Return the cosine of each frame to each other: query (E, Q, T, D), support (E, N, K, S, D) -> (E, Q, N, K, T, S).

    `eps` is added to the product of the norms, as in the published code of OTAM, CLIP-FSAR and Chamfer. With 0 the
    frames are made unit, as in the code of HyRSM.
    """
    query, support = at_least_float(query), at_least_float(support)
    rows, columns = query.flatten(1, 2), support.flatten(1, 3)  # (E, Q*T, D), (E, N*K*S, D)
    if eps:
        norms: Tensor = rows.norm(dim=-1).unsqueeze(2) * columns.norm(dim=-1).unsqueeze(1)  # (E, Q*T, N*K*S)
        cosines = rows @ columns.transpose(1, 2) / (norms + eps)
    else:
        cosines = F.normalize(rows, dim=-1) @ F.normalize(columns, dim=-1).transpose(1, 2)
    apart: Tensor = cosines.unflatten(2, support.shape[1:4]).unflatten(1, query.shape[1:3])  # (E, Q, T, N, K, S)
    return apart.permute(0, 1, 3, 4, 2, 5)  # (E, Q, N, K, T, S)


def packed_places(mask: Tensor, *, at_least: int = 1) -> tuple[Tensor, Tensor]:
    """Return the places of the real frames, in order, and a mask: (..., T) -> (..., max(T, at_least)) twice.

    A video with fewer real frames than `at_least` repeats them evenly up to that number, as extraction does with a
    video that is shorter than its number of frames.
    """
    order = (~mask).to(torch.uint8).argsort(dim=-1, stable=True)  # (..., T)
    lengths = mask.sum(-1, keepdim=True)  # (..., 1)
    step = torch.arange(max(mask.shape[-1], at_least), device=mask.device)
    evenly = (2 * step + 1) * lengths // (2 * at_least)
    turn = torch.where(lengths < at_least, evenly, step).clamp(max=mask.shape[-1] - 1)
    return order.gather(-1, turn), step < lengths.clamp(min=at_least)


def pack_similarities(
    similarities: Tensor, query_mask: Tensor, support_mask: Tensor, *, at_least: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Move the real frames to the front, as `packed_places` does: (E, Q, N, K, T, S) and the masks -> the same three.

    A matcher that depends on the order starts with this.
    """
    rows, query_mask = packed_places(query_mask, at_least=at_least)  # (E, Q, T)
    columns, support_mask = packed_places(support_mask, at_least=at_least)  # (E, N, K, S)
    rows = rows[:, :, None, None, :, None].expand(*similarities.shape[:4], -1, similarities.shape[5])
    similarities = similarities.gather(4, rows)
    columns = columns[:, None, :, :, None, :].expand(*similarities.shape[:5], -1)
    return similarities.gather(5, columns), query_mask, support_mask


def overlaps(rows: Tensor, columns: Tensor, num_rows: int, num_columns: int) -> Tensor:
    """Return how much time the frames of two videos share, as a fraction of 1, for videos of any length.

    In a video of L frames, each frame has an L-th of the time. rows, columns (...) are two numbers of frames that
    broadcast -> (..., num_rows, num_columns). Frames beyond a video's own have no share.
    """
    row = torch.arange(num_rows + 1, device=rows.device)[:, None] / rows[..., None, None]  # (..., T + 1, 1)
    column = torch.arange(num_columns + 1, device=rows.device) / columns[..., None, None]  # (..., 1, S + 1)
    row, column = row.clamp(max=1), column.clamp(max=1)
    begin = torch.maximum(row[..., :-1, :], column[..., :-1])
    end = torch.minimum(row[..., 1:, :], column[..., 1:])
    return (end - begin).clamp(min=0)  # (..., T, S)
