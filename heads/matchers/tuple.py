"""Tuple: compare each tuple of the query with a weighted mean of the class's tuples."""

import math
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.matchers.frames import at_least_float, packed_places
from framebank.heads.matchers.matcher import MatcherTraits


class Tuple(nn.Module):
    """TRX (Perrett et al. 2021, arXiv 2101.06184) with nothing to learn: unit tuples for its keys and values.

    A tuple is `length` frames in order, each unit, and unit as a whole. For each tuple of the query, the tuples of all
    videos of the class are averaged by a softmax of `scale` times their cosine to it. The score is minus the mean
    squared distance to these averages. `scale` is the factor that TRX's own softmax gives a cosine: its keys are
    layer-normalised, of width 1152, and their product is divided by the root of that. TRX takes the mean over the
    lengths 2 and 3; its positions and projections are left out. A video with fewer frames repeats them. No parameters.
    """

    traits = MatcherTraits()

    def __init__(self, dim: int, *, length: int = 2, scale: float = math.sqrt(1152)) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(f"length is {length}; expected 1 or more")
        self.dim = dim
        self.length = length
        self.scale = scale

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N)."""
        query, query_mask = self._unit_frames(query, query_mask)
        support, support_mask = self._unit_frames(support, support_mask)
        num_shots, num_frames = support.shape[2:4]
        places = torch.tensor(list(combinations(range(num_frames), self.length)), device=query.device)  # (M, length)
        mine = torch.tensor(list(combinations(range(query.shape[2]), self.length)), device=query.device)
        frames = support.flatten(2, 3)  # (E, N, K*S, D)
        similarities = torch.einsum("eqtd,ensd->eqnts", query, frames).unflatten(4, (num_shots, num_frames))
        steps = [similarities[:, :, :, mine[:, step]][..., places[:, step]] for step in range(self.length)]
        cosines = sum(steps[1:], start=steps[0]) / self.length  # (E, Q, N, tuples, K, M)
        theirs = support_mask[..., places[:, -1]]  # (E, N, K, M)
        masked = (self.scale * cosines).masked_fill(~theirs[:, None, :, None], -math.inf)
        share = masked.flatten(4).softmax(-1)  # (E, Q, N, tuples, K*M)
        agreement = (share * cosines.flatten(4)).sum(-1)  # of a tuple with its weighted mean
        # At each step, the weighted mean has frames with these weights. So its length can be computed without the
        # vector.
        gram = frames @ frames.transpose(2, 3)  # (E, N, K*S, K*S)
        length = torch.zeros_like(agreement)
        for step in range(self.length):
            chosen = F.one_hot(places[:, step], num_frames).to(share.dtype)  # (M, S)
            weights = (share.unflatten(4, (num_shots, -1)) @ chosen).flatten(4)  # (E, Q, N, tuples, K*S)
            length = length + ((weights @ gram[:, None]) * weights).sum(-1) / self.length
        distances = 1 - 2 * agreement + length  # (E, Q, N, tuples)
        real = query_mask[..., mine[:, -1]].unsqueeze(2)  # (E, Q, 1, tuples)
        mean: Tensor = distances.masked_fill(~real, 0).sum(3) / real.sum(3)
        return -mean

    def _unit_frames(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the real frames in front, unit, and their mask: (..., T, D), (..., T) -> the same."""
        places, mask = packed_places(mask, at_least=self.length)
        packed = at_least_float(x).gather(-2, places.unsqueeze(-1).expand(*places.shape, x.shape[-1]))
        return F.normalize(packed, dim=-1), mask
