"""ChamferPlus: Chamfer with ordered tuples of frames, over all videos of a class together."""

from itertools import combinations

import torch
from torch import Tensor, nn

from framebank.heads.matchers.frames import frame_similarities, pack_similarities
from framebank.heads.matchers.matcher import MatcherTraits

NEVER = -1e4


class ChamferPlus(nn.Module):
    """Chamfer++ of Bertrand et al. 2023 (arXiv 2303.16084), without its trained projection of the tuples.

    Tuples are `length` frames in order. The similarity of two tuples is the mean similarity of their frames, which is
    the cosine of the tuples of unit frames. The score is the mean over the query's tuples of the most similar tuple in
    any video of the class, plus the same mean over the class's tuples, halved. A video with fewer frames repeats them.
    No parameters.
    """

    traits = MatcherTraits()

    def __init__(self, dim: int, *, length: int = 3) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(f"length is {length}; expected 1 or more")
        self.dim = dim
        self.length = length

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N)."""
        similarities, query_mask, support_mask = pack_similarities(
            frame_similarities(query, support), query_mask, support_mask, at_least=self.length
        )
        rows, columns = query_mask[:, :, None, None], support_mask[:, None]  # (E, Q, 1, 1, T), (E, 1, N, K, S)
        forth = best_of_tuples(similarities, columns, length=self.length).amax(3)  # (E, Q, N, tuples of the query)
        back = best_of_tuples(similarities.transpose(4, 5), rows, length=self.length)  # (E, Q, N, K, tuples of a video)
        mine = real_tuples(rows, length=self.length)[:, :, :, 0]  # (E, Q, 1, tuples)
        theirs = real_tuples(columns, length=self.length)  # (E, 1, N, K, tuples)
        forth = forth.masked_fill(~mine, 0).sum(3) / mine.sum(3)
        return (forth + back.masked_fill(~theirs, 0).sum((3, 4)) / theirs.sum((3, 4))) / 2


def best_of_tuples(similarities: Tensor, columns: Tensor, *, length: int) -> Tensor:
    """Return the similarity of each tuple of rows to the most similar tuple of columns.

    similarities (..., T, S), columns (..., S) true if real -> (..., tuples of T). The tuples of columns are never
    listed: the best one that ends at a column is its similarity plus the best shorter one that ended before it.
    """
    open_to = similarities.masked_fill(~columns.unsqueeze(-2), NEVER)  # (..., T, S)
    best = open_to
    tuples: list[tuple[int, ...]] = [(row,) for row in range(similarities.shape[-2])]
    for count in range(2, length + 1):
        longer = list(combinations(range(similarities.shape[-2]), count))
        place = {found: number for number, found in enumerate(tuples)}
        before = torch.tensor([place[found[:-1]] for found in longer], device=best.device)
        row = torch.tensor([found[-1] for found in longer], device=best.device)
        ended = torch.cat([torch.full_like(best[..., :1], NEVER), best.cummax(-1).values[..., :-1]], dim=-1)
        best = ended[..., before, :] + open_to[..., row, :]  # (..., tuples of `count`, S)
        tuples = longer
    return best.amax(-1) / length


def real_tuples(mask: Tensor, *, length: int) -> Tensor:
    """Return which ordered tuples have real frames only: (..., T), real frames first -> (..., tuples)."""
    last = [found[-1] for found in combinations(range(mask.shape[-1]), length)]
    return mask[..., last]
