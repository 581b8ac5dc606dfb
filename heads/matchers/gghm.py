"""GgHM: a graph of the episode, and matching by frames and by tuples together."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.matchers.attention import fitting_heads
from framebank.heads.matchers.bi_mhm import BiMhm
from framebank.heads.matchers.frames import mean_frame
from framebank.heads.matchers.hyrsm import matched_alone
from framebank.heads.matchers.matcher import MatcherTraits
from framebank.heads.matchers.prepared import Prepared, PreparesVideos
from framebank.heads.matchers.sequences import mean_video, packed, sinusoid_like
from framebank.heads.matchers.task import EpisodeBatch, HasLosses, match_loss
from framebank.heads.matchers.trx import Trx
from framebank.heads.temporal.attention import AttentionBlock


@final
class Gghm(nn.Module, PreparesVideos, HasLosses):
    """Graph-guided hybrid matching (Xing et al. 2023, arXiv 2308.09346). No code is published: this is our reading.

    From the abstract: a learnable dense temporal module (`DenseTemporal`), features of the task guided by a graph
    network (`EpisodeGraph`, the edge-labelling network of Kim et al. 2019, arXiv 1905.01436), and frame-level and
    tuple-level matching combined. Our choices: prototypes are the mean of a class's videos, frame by frame. Each query
    makes its own graph with them, so that no query sees another. A node is added to each frame through a linear map.
    Frames are matched by Bi-MHM of cosine distances, which counts for `frame_share`, and pairs by TRX, for the rest.
    The edges between query and classes learn from the labels by a loss of weight `edge_loss`.
    """

    traits = MatcherTraits(has_weights=True)

    def __init__(
        self,
        dim: int,
        *,
        num_layers: int = 2,
        frame_share: float = 0.5,
        edge_loss: float = 0.1,
        width: int = 1152,
        num_heads: int = 8,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers is {num_layers}; expected 1 or more")
        self.frame_share, self.edge_loss = frame_share, edge_loss
        self.temporal = DenseTemporal(dim, num_layers=num_layers, num_heads=num_heads)
        self.graph = EpisodeGraph(dim, num_layers=num_layers)
        self.join = nn.Linear(dim, dim)
        self.frames = BiMhm(dim, eps=0.01)
        self.tuples = Trx(dim, cardinalities=(2,), width=width, dropout=dropout)

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N); the texts are not read."""
        return self.match(self.prepare(query, query_mask), self.prepare(support, support_mask), text)

    def prepare(self, x: Tensor, mask: Tensor) -> Prepared:
        """Return what `match` reads of videos x (..., T, D), mask (..., T), with the frames of each video related."""
        prepared: Prepared = self.temporal(x, mask)
        return prepared

    def match(self, query: Prepared, support: Prepared, text: Tensor | None) -> Tensor:
        """Score prepared queries (E, Q, ...) against prepared supports (E, N, K, ...) -> (E, Q, N)."""
        return self._score(query, support)[0]

    def losses(self, task: EpisodeBatch) -> dict[str, Tensor]:
        """Return the loss of the scores, and that of the edges between each query and the classes."""
        scores, edges = self._score(*task.prepared(self.prepare))
        like = F.one_hot(task.truth.target, scores.shape[-1]).to(scores.dtype)  # (E, Q, N)
        edge_loss = F.binary_cross_entropy_with_logits(edges, like.unsqueeze(2).expand_as(edges))
        return {"match": match_loss(scores, task.truth.target), "edges": self.edge_loss * edge_loss}

    def _score(self, query: Prepared, support: Prepared) -> tuple[Tensor, Tensor]:
        """Return the scores (E, Q, N), and each graph layer's log-odds that a query is of a class (E, Q, L, N)."""
        queries, query_mask = query  # (E, Q, T, D), (E, Q, T)
        supports, support_mask = support  # (E, N, K, T, D), (E, N, K, T)
        prototype, mask = mean_video(supports, support_mask)  # (E, N, S, D), (E, N, S)
        nodes, edges = self.graph(mean_frame(prototype, mask), mean_frame(queries, query_mask))
        class_part, query_part = self.join(nodes).split([supports.shape[1], 1], dim=2)  # (E, Q, N | 1, D)
        queries = queries + query_part  # (E, Q, T, D)
        prototypes = prototype.unsqueeze(1) + class_part.unsqueeze(3)  # (E, Q, N, S, D)
        by_frames, by_tuples = (
            matched_alone(metric, queries, prototypes, query_mask, mask) for metric in (self.frames, self.tuples)
        )
        return self.frame_share * by_frames + (1 - self.frame_share) * by_tuples, edges


class DenseTemporal(nn.Module):
    """Attention blocks over frames, densely connected: each block reads a learned mean of all earlier outputs.

    The first input is the frames as stored, with positions of a tenth of the transformer's. The result is a last
    learned mean.
    """

    def __init__(self, dim: int, *, num_layers: int, num_heads: int) -> None:
        super().__init__()
        heads = fitting_heads(dim, num_heads)
        self.blocks = nn.ModuleList(AttentionBlock(dim, num_heads=heads) for _ in range(num_layers))
        self.mixtures = nn.ParameterList(nn.Parameter(torch.zeros(depth)) for depth in range(2, num_layers + 2))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Relate the frames of each video: x (..., T, D) -> the same shape, packed, and the mask (..., T)."""
        x, mask = packed(x.to(self.mixtures[0].dtype), mask)
        frames, real = x.flatten(0, -3), mask.flatten(0, -2)  # (B, T, D), (B, T)
        mixed = frames + 0.1 * sinusoid_like(frames)
        outputs = [mixed]
        for block, mixture in zip(self.blocks, self.mixtures, strict=True):
            outputs.append(block(mixed, real))
            mixed = torch.einsum("l,lbtd->btd", mixture.softmax(0), torch.stack(outputs))
        return mixed.view_as(x), mask


class EpisodeGraph(nn.Module):
    """A graph of N classes and one query. Its edges say how likely two nodes are of one class.

    Between two classes the labels decide: never. Between query and class the odds start even. Each layer multiplies
    them by what a small network finds in the difference of the two nodes. Then each node is updated from itself, the
    mean of the nodes that it is like and the mean of those it is unlike, each weighted by the edges.
    """

    def __init__(self, dim: int, *, num_layers: int) -> None:
        super().__init__()
        self.nodes = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(3 * dim), nn.Linear(3 * dim, dim), nn.GELU(), nn.Linear(dim, dim))
            for _ in range(num_layers)
        )
        self.edges = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 1))
            for _ in range(num_layers)
        )

    def forward(self, classes: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Relate classes (E, N, D) to each of the queries (E, Q, D).

        Returns the nodes (E, Q, N + 1, D), the query last, and the log-odds of each layer (E, Q, L, N).
        """
        num_queries, num_classes = queries.shape[1], classes.shape[1]
        nodes = torch.cat([classes.unsqueeze(1).expand(-1, num_queries, -1, -1), queries.unsqueeze(2)], dim=2)
        odds = nodes.new_zeros(*queries.shape[:2], num_classes)  # (E, Q, N), as logarithms
        found = []
        for update, compare in zip(self.nodes, self.edges, strict=True):
            like, unlike = self._edges(odds)  # (E, Q, N + 1, N + 1) each
            nodes = nodes + update(torch.cat([nodes, like @ nodes, unlike @ nodes], dim=-1))
            apart = (nodes[:, :, :-1] - nodes[:, :, -1:]).abs()  # (E, Q, N, D)
            odds = odds + compare(apart).squeeze(-1)
            found.append(odds)
        return nodes, torch.stack(found, dim=2)

    @staticmethod
    def _edges(odds: Tensor) -> tuple[Tensor, Tensor]:
        """Return how much each node is like and unlike each other node; each row sums to one or zero."""
        size = odds.shape[-1] + 1
        like = odds.new_zeros(*odds.shape[:-1], size, size)
        like[..., :-1, -1] = like[..., -1, :-1] = odds.sigmoid()
        unlike = (1 - like) * (1 - torch.eye(size, device=odds.device, dtype=odds.dtype))
        return F.normalize(like, p=1, dim=-1), F.normalize(unlike, p=1, dim=-1)
