"""CLIP-FSAR: the frames of each class read the name of the class."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.matchers.attention import ContextBlock
from framebank.heads.matchers.frames import mean_frame
from framebank.heads.matchers.matcher import MatcherTraits
from framebank.heads.matchers.otam import Otam
from framebank.heads.matchers.sequences import mean_video, packed
from framebank.heads.matchers.task import EpisodeBatch, HasLosses, match_loss

MLP_WIDTH = 2048


@final
class ClipFsar(nn.Module, HasLosses):
    """CLIP-guided prototype modulation (Wang et al. 2023, arXiv 2303.02982).

    In one shared attention block, a query's frames read each other, and a class's frames read each other and the
    embedding of its text. OTAM with `smoothing` 0.5 matches them. `merge_before` averages the videos of a class frame
    by frame before the block, otherwise after it. The block's MLP is 2048 wide, as published for widths of 512 and
    1024, or four times the width if that is less; a `mlp_ratio` other than 0 sets this factor. The loss has a second
    part of weight `classification`: the cosine of each video's mean frame to the texts of all training classes, times a
    learned scale that starts at one.

    After training, `combine` mixes in the texts: it is the share of the log-probability of the query's mean frame among
    the texts of the episode; the rest is the share of the match. The published mixture is 0.9; zero leaves the texts
    out. Encoder and texts are frozen; the paper trains the visual encoder.
    """

    traits = MatcherTraits(reads_text=True, has_weights=True)

    def __init__(
        self,
        dim: int,
        *,
        merge_before: bool = True,
        combine: float = 0.0,
        classification: float = 1.2,
        smoothing: float = 0.5,
        num_heads: int = 8,
        dropout: float = 0.2,
        mlp_ratio: int = 0,
    ) -> None:
        super().__init__()
        if mlp_ratio < 0:
            raise ValueError(f"mlp_ratio is {mlp_ratio}; expected 0 or more")
        if not 0 <= combine <= 1:
            raise ValueError(f"combine is {combine}; expected a share from 0 to 1")
        self.merge_before, self.combine = merge_before, combine
        self.classification = classification
        self.block = ContextBlock(
            dim, num_heads=num_heads, dropout=dropout, mlp_width=mlp_ratio * dim or min(4 * dim, MLP_WIDTH)
        )
        self.metric = Otam(dim, smoothing=smoothing)
        self.text_scale = nn.Parameter(torch.ones(()))

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) with text (E, N, D) -> (E, Q, N)."""
        if text is None:
            raise ValueError("clip-fsar needs the texts of the classes")
        text = text.to(self.text_scale.dtype)
        matched = self._match(query, support, text, query_mask, support_mask)
        if self.training or not self.combine:
            return matched
        of_text = self._text_scores(mean_frame(query.to(text.dtype), query_mask), text)  # (E, Q, N)
        lengths = query_mask.sum(-1, keepdim=True)  # (E, Q, 1)
        of_frames = (1 + matched / lengths).log_softmax(-1)  # published for 8 frames: (8 - distance) / 8
        return self.combine * of_text.log_softmax(-1) + (1 - self.combine) * of_frames

    def losses(self, task: EpisodeBatch) -> dict[str, Tensor]:
        """Return the loss of the scores, and that of all videos among the texts of all classes."""
        truth = task.truth
        if task.text is None or truth.class_text is None:
            raise ValueError("clip-fsar needs the texts of the classes")
        text, class_text = task.text.to(self.text_scale.dtype), truth.class_text.to(self.text_scale.dtype)
        matched = self._match(task.query, task.support, text, task.query_mask, task.support_mask)
        videos = torch.cat(
            [
                mean_frame(task.support.to(text.dtype), task.support_mask).flatten(0, 2),  # (E*N*K, D)
                mean_frame(task.query.to(text.dtype), task.query_mask).flatten(0, 1),  # (E*Q, D)
            ]
        )
        support_classes = truth.classes.unsqueeze(-1).expand(task.support.shape[:3])  # (E, N, K)
        classes = torch.cat([support_classes.flatten(), truth.query_classes.flatten()])
        loss = F.cross_entropy(self._text_scores(videos, class_text), classes)
        return {"match": match_loss(matched, truth.target), "classification": self.classification * loss}

    def _text_scores(self, videos: Tensor, text: Tensor) -> Tensor:
        """Return the scaled cosines of videos (..., V, D) to text (..., C, D), (..., V, C)."""
        return self.text_scale * F.normalize(videos, dim=-1) @ F.normalize(text, dim=-1).transpose(-1, -2)

    def _match(self, query: Tensor, support: Tensor, text: Tensor, query_mask: Tensor, support_mask: Tensor) -> Tensor:
        queries, query_mask = packed(query.to(text.dtype), query_mask)
        supports, support_mask = packed(support.to(text.dtype), support_mask)
        if self.merge_before:
            supports, support_mask = (part.unsqueeze(2) for part in mean_video(supports, support_mask))
        queries = self.block(queries, queries, query_mask)
        tokens = text[:, :, None, None].expand(*supports.shape[:3], 1, -1)  # (E, N, K, 1, D)
        context = torch.cat([supports, tokens], dim=3)  # (E, N, K, S + 1, D)
        supports = self.block(supports, context, F.pad(support_mask, (0, 1), value=True))
        supports, support_mask = (part.unsqueeze(2) for part in mean_video(supports, support_mask))  # one shot
        scores: Tensor = self.metric(queries, supports, None, query_mask, support_mask)
        return scores
