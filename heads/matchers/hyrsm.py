"""HyRSM: relate the videos of an episode, then match them as sets of frames."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.matchers.attention import Attention
from framebank.heads.matchers.bi_mhm import BiMhm
from framebank.heads.matchers.frames import mean_frame
from framebank.heads.matchers.matcher import MatcherTraits
from framebank.heads.matchers.prepared import Prepared, PreparesVideos
from framebank.heads.matchers.sequences import mean_video, packed, sinusoid_like
from framebank.heads.matchers.task import EpisodeBatch, HasLosses, Truth, match_loss


@dataclass(frozen=True)
class Related:
    """The related videos of an episode, all packed.

    query          (E, Q, T, D) and its query_mask (E, Q, T)
    prototype      (E, Q, N, S, D): each query sees classes of its own; prototype_mask (E, N, S)
    query_alone    (E, Q, T, D), before the videos of the episode were related
    support_alone  (E, N, K, S, D) and its support_mask (E, N, K, S)
    """

    query: Tensor
    query_mask: Tensor
    prototype: Tensor
    prototype_mask: Tensor
    query_alone: Tensor
    support_alone: Tensor
    support_mask: Tensor


@final
class Hyrsm(nn.Module, PreparesVideos, HasLosses):
    """Hybrid relation guided set matching (Wang et al. 2022, arXiv 2204.13423), bi-directional mean Hausdorff metric.

    Within a video: positions, self-attention over its frames, ReLU. Prototypes are the mean of a class's videos, frame
    by frame. Within the episode: attention over the mean frames of the prototypes and of one query; a linear map joins
    its result to each frame. Frames enter with their stored norm, times the root of the width over `frame_scale`, which
    is published (as POSITION_A) as 10 if nothing else is given. The positions are those of the published code, whose
    exponents are twice the transformer's; without `doubled_positions` they are the transformer's own. The backbone is
    frozen. Attention weights are never dropped; the published code drops a tenth between videos.

    With `num_classes`, a linear map from single frames to the training classes is a further loss, of weight
    `classification`.
    """

    traits = MatcherTraits(has_weights=True)

    def __init__(
        self,
        dim: int,
        *,
        num_classes: int = 0,
        classification: float = 0.15,
        num_heads: int = 8,
        dropout: float = 0.2,
        frame_scale: float = 10.0,
        doubled_positions: bool = True,
        eps: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 < frame_scale < math.inf:
            raise ValueError(f"frame_scale is {frame_scale}; expected more than 0")
        self.frame_scale, self.doubled_positions = frame_scale, doubled_positions
        self.classification = classification
        self.position_dropout = nn.Dropout(0.1)
        self.norm = nn.LayerNorm(dim)
        self.within_video = Attention(dim, num_heads=num_heads, dropout=dropout)
        self.within_episode = Attention(dim, num_heads=num_heads, dropout=0.05)
        self.episode_norm = nn.LayerNorm(dim)
        self.join_frame = nn.Linear(dim, dim)
        self.join_video = nn.Linear(dim, dim, bias=False)
        self.metric = BiMhm(dim, eps=eps)
        self.classifier = nn.Linear(dim, num_classes) if num_classes else None

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N); the texts are not read."""
        return self.match(self.prepare(query, query_mask), self.prepare(support, support_mask), text)

    def prepare(self, x: Tensor, mask: Tensor) -> Prepared:
        """Return what `match` reads of videos x (..., T, D), mask (..., T), with the frames of each video related."""
        x, mask = packed(x.to(self.norm.weight.dtype), mask)
        positions = sinusoid_like(x, doubled=self.doubled_positions)
        placed = self.position_dropout(x * math.sqrt(x.shape[-1] / self.frame_scale) + positions)
        frames = self.norm(placed)
        return (placed + self.within_video(frames, frames, mask)).relu(), mask

    def match(self, query: Prepared, support: Prepared, text: Tensor | None) -> Tensor:
        """Score prepared queries (E, Q, ...) against prepared supports (E, N, K, ...) -> (E, Q, N)."""
        return self.score(self.relate(query, support))

    def score(self, related: Related) -> Tensor:
        """Return the scores (E, Q, N)."""
        masks = related.query_mask, related.prototype_mask
        return matched_alone(self.metric, related.query, related.prototype, *masks)

    def losses(self, task: EpisodeBatch) -> dict[str, Tensor]:
        """Return the loss of the scores and, with `num_classes`, that of the classes of single frames."""
        related, truth = self.relate(*task.prepared(self.prepare)), task.truth
        return {"match": match_loss(self.score(related), truth.target), **self.classification_loss(related, truth)}

    def classification_loss(self, related: Related, truth: Truth) -> dict[str, Tensor]:
        """Return the weighted cross-entropy of every real frame's class, or nothing without a classifier."""
        if self.classifier is None:
            return {}
        frames = torch.cat([related.support_alone[related.support_mask], related.query_alone[related.query_mask]])
        support_class = truth.classes[:, :, None, None].expand_as(related.support_mask)[related.support_mask]
        query_class = truth.query_classes[:, :, None].expand_as(related.query_mask)[related.query_mask]
        loss = F.cross_entropy(self.classifier(frames), torch.cat([support_class, query_class]))
        return {"classification": self.classification * loss}

    def relate(self, query: Prepared, support: Prepared) -> Related:
        """Relate the prepared videos of each episode; shapes as in `match`."""
        query_alone, query_mask = query  # (E, Q, T, D), (E, Q, T)
        support_alone, support_mask = support  # (E, N, K, S, D), (E, N, K, S)
        prototype, prototype_mask = mean_video(support_alone, support_mask)  # (E, N, S, D), (E, N, S)
        videos = self._episode(mean_frame(prototype, prototype_mask), mean_frame(query_alone, query_mask))
        class_part, query_part = self.join_video(videos).split([prototype.shape[1], 1], dim=2)  # (E, Q, N | 1, D)
        return Related(
            query=self.join_frame(query_alone) + query_part,  # (E, Q, T, D)
            query_mask=query_mask,
            prototype=self.join_frame(prototype).unsqueeze(1) + class_part.unsqueeze(3),  # (E, Q, N, S, D)
            prototype_mask=prototype_mask,
            query_alone=query_alone,
            support_alone=support_alone,
            support_mask=support_mask,
        )

    def _episode(self, classes: Tensor, queries: Tensor) -> Tensor:
        """Relate each of the queries (E, Q, D) to the classes (E, N, D) -> (E, Q, N + 1, D), the query last."""
        num_queries = queries.shape[1]
        videos = torch.cat([classes.unsqueeze(1).expand(-1, num_queries, -1, -1), queries.unsqueeze(2)], dim=2)
        read = self.within_episode(videos, videos, torch.ones_like(videos[..., 0], dtype=torch.bool))
        related: Tensor = self.episode_norm(videos + read)
        return related.relu()


def matched_alone(
    metric: Callable[..., Tensor], query: Tensor, prototype: Tensor, query_mask: Tensor, prototype_mask: Tensor
) -> Tensor:
    """Match queries (E, Q, T, D) with their own prototypes (E, Q, N, S, D), mask (E, N, S) -> (E, Q, N).

    The `metric` sees each query as an episode of one query and one shot.
    """
    num_queries = query.shape[1]
    masks = prototype_mask.unsqueeze(1).expand(-1, num_queries, -1, -1).flatten(0, 1)  # (E*Q, N, S)
    one, classes = query.flatten(0, 1).unsqueeze(1), prototype.flatten(0, 1).unsqueeze(2)  # (E*Q, 1 | N, ...)
    scores = metric(one, classes, None, query_mask.flatten(0, 1).unsqueeze(1), masks.unsqueeze(2))  # (E*Q, 1, N)
    return scores.view(*query.shape[:2], -1)
