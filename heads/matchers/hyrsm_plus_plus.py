"""HyRSM++: HyRSM whose frames learn to change gradually with time."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.matchers.hyrsm import Hyrsm
from framebank.heads.matchers.matcher import MatcherTraits
from framebank.heads.matchers.prepared import Prepared, PreparesVideos
from framebank.heads.matchers.task import EpisodeBatch, HasLosses, match_loss


@final
class HyrsmPlusPlus(nn.Module, PreparesVideos, HasLosses):
    """HyRSM and its temporal coherence (Wang et al. 2023, arXiv 2301.03330), a further loss of weight `coherence`.

    It scores as `Hyrsm` does. Window, margin, weights and `frame_scale` (POSITION_A there) are those published for
    HMDB51.
    """

    traits = MatcherTraits(has_weights=True)

    def __init__(
        self,
        dim: int,
        *,
        num_classes: int = 0,
        classification: float = 0.15,
        coherence: float = 0.2,
        window: int = 1,
        softness: float = 51.0,
        balance: float = 20.0,
        num_heads: int = 8,
        dropout: float = 0.2,
        frame_scale: float = 50.0,
        doubled_positions: bool = True,
        eps: float = 0.0,
    ) -> None:
        super().__init__()
        if window < 0 or not softness > 0:
            raise ValueError(
                f"window is {window} and softness {softness}; expected a window of 0 or more frames and a softness "
                "above 0"
            )
        self.coherence, self.window, self.softness, self.balance = coherence, window, softness, balance
        self.relation = Hyrsm(
            dim,
            num_classes=num_classes,
            classification=classification,
            num_heads=num_heads,
            dropout=dropout,
            frame_scale=frame_scale,
            doubled_positions=doubled_positions,
            eps=eps,
        )

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) -> (E, Q, N); the texts are not read."""
        return self.match(self.prepare(query, query_mask), self.prepare(support, support_mask), text)

    def prepare(self, x: Tensor, mask: Tensor) -> Prepared:
        """Return what `match` reads of videos x (..., T, D), mask (..., T), with the frames of each video related."""
        return self.relation.prepare(x, mask)

    def match(self, query: Prepared, support: Prepared, text: Tensor | None) -> Tensor:
        """Score prepared queries (E, Q, ...) against prepared supports (E, N, K, ...) -> (E, Q, N)."""
        return self.relation.match(query, support, text)

    def losses(self, task: EpisodeBatch) -> dict[str, Tensor]:
        """Return the loss of the scores, that of single frames with `num_classes`, and that of coherence."""
        related = self.relation.relate(*task.prepared(self.prepare))
        prototype_mask = related.prototype_mask.unsqueeze(1).expand(related.prototype.shape[:-1])  # (E, Q, N, S)
        of_classes, of_queries = (
            temporal_coherence(x, mask, window=self.window, softness=self.softness, balance=self.balance)
            for x, mask in ((related.prototype, prototype_mask), (related.query, related.query_mask))
        )
        return {
            "match": match_loss(self.relation.score(related), task.truth.target),
            **self.relation.classification_loss(related, task.truth),
            "coherence": self.coherence * (of_classes + of_queries),
        }


def temporal_coherence(x: Tensor, mask: Tensor, *, window: int, softness: float, balance: float) -> Tensor:
    """Return how little packed frames x (..., T, D), mask (..., T) change with time: the mean over pairs of frames.

    For a pair i, j within the `window`, the cosine distance d has the weight 1 / (|i-j|^2 + 1). For a pair further
    apart, it is `balance` times what d lacks of 1 - exp(-(|i-j| - window)^2 / softness).
    """
    unit = F.normalize(x, dim=-1)
    distance = 1 - unit @ unit.transpose(-1, -2)  # (..., T, T)
    place = torch.arange(x.shape[-2], device=x.device)
    apart = (place[:, None] - place).abs().to(x.dtype)  # (T, T)
    pull = distance / (apart.square() + 1)
    margin = 1 - torch.exp(-(apart - window).square() / softness)
    loss = torch.where(apart <= window, pull, balance * (margin - distance).relu())
    both = mask.unsqueeze(-1) & mask.unsqueeze(-2)  # (..., T, T)
    return loss[both].mean()
