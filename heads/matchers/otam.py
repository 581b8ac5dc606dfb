"""Otam: the cheapest ordered alignment of two videos, by a soft minimum."""

import math

import torch
from torch import Tensor, nn

from framebank.heads.matchers.frames import frame_similarities, pack_similarities
from framebank.heads.matchers.matcher import MatcherTraits


class Otam(nn.Module):
    """Ordered temporal alignment (Cao et al. 2020, arXiv 1906.11415); the mean over the shots.

    The distance is the sum of 1 - cosine over the aligned frames, from the query to the video plus from the video to
    the query. A zero column before and after the video lets the alignment begin and end anywhere. `smoothing` is the
    lambda of the soft minimum; towards 0 it becomes the hard minimum. The boundary rules are those of the public code
    of TRX and CLIP-FSAR (which calls 0.1 its first version and takes 0.5 in its second). No parameters.

    The sum over a video's frames is scaled to the query's number of frames; otherwise a video would be nearer just
    because it has fewer frames. If the lengths are equal, as published, this changes nothing and the score is
    symmetric.
    """

    traits = MatcherTraits()

    def __init__(self, dim: int, *, smoothing: float = 0.1) -> None:
        super().__init__()
        if not 0 < smoothing < math.inf:
            raise ValueError(f"smoothing is {smoothing}; expected more than 0")
        self.dim = dim
        self.smoothing = smoothing

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N)."""
        similarities, query_mask, support_mask = pack_similarities(
            frame_similarities(query, support), query_mask, support_mask
        )
        shape = similarities.shape[:4]
        distances = (1 - similarities).permute(4, 5, 0, 1, 2, 3).flatten(2)  # (T, S, R): R = E*Q*N*K pairs in a row
        rows = query_mask.permute(2, 0, 1)[..., None, None].expand(-1, *shape).flatten(1)  # (T, R)
        columns = support_mask.permute(3, 0, 1, 2)[:, :, None].expand(-1, *shape).flatten(1)  # (S, R)
        forth = alignment_distances(distances, rows, columns, smoothing=self.smoothing)
        back = alignment_distances(distances.transpose(0, 1), columns, rows, smoothing=self.smoothing)
        distances = forth * rows.sum(0) / columns.sum(0) + back  # (R,)
        mean: Tensor = distances.unflatten(0, shape).mean(3)
        return -mean


def alignment_distances(distances: Tensor, rows: Tensor, columns: Tensor, *, smoothing: float) -> Tensor:
    """Return the soft-minimal cost of aligning R pairs of videos in one direction.

    distances (T, S, R) are those of the frames in rows to the frames in columns. rows (T, R) and columns (S, R) are
    true if a frame is real; real frames come first -> (R,). Between the columns a path goes right, or right and down.
    It goes straight down only in the first column and in the zero column after the last.
    """
    gains = (
        -distances / smoothing
    )  # the logarithm of exp(-cost / smoothing): these exponentials are summed where costs take a soft minimum
    gain, twice = gains[0, 0], gains.new_tensor(math.log(2))
    first = [gain]
    for row in gains[1:, 0]:
        gain = row + torch.logaddexp(gain, twice)  # from above, or from either zero before it
        first.append(gain)
    reached = torch.stack(first)  # (T, R)
    for column, real in zip(gains.unbind(1)[1:], columns[1:], strict=True):
        stay = torch.cat([reached[:1], torch.logaddexp(reached[1:], reached[:-1])])
        reached = torch.where(real, column + stay, reached)
    # A path enters the zero column from the last column, straight or diagonally, and moves down in it at no cost. So
    # each row's gain counts twice, but the last row's gain once.
    last = rows & ~torch.cat([rows[1:], torch.zeros_like(rows[:1])])
    times = torch.where(last, 0.0, math.log(2)).to(reached.dtype).masked_fill(~rows, -math.inf)
    return -smoothing * (reached + times).logsumexp(0)
