"""Descriptions: a video, and each of its frames, against every description of a class."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ClassifierTraits
from framebank.heads.logit_scale import LogitScale
from framebank.heads.scorers.parts import in_parts
from framebank.heads.scorers.rows import row_mask
from framebank.heads.scorers.scorer import Scorer, ScorerReads
from framebank.store.errors import DataError

TOGETHER = ("mean", "log-mean-exp", "top-k")


@final
class Descriptions(nn.Module, Scorer):
    """Many descriptions of each class, aligned with the video as a whole and with the frames that show them.

    Each description r of a class has two scores. One is its cosine to the output of the head (classification by
    description, Menon and Vondrick 2022, arXiv 2210.07183). The other is the mean of its cosines to the frames, with
    the weights softmax(cosine / temperature) over the frames, so that a description of a moment is compared with that
    moment (after FILIP's token-wise maximum, Yao et al. 2021, arXiv 2111.07783; a low temperature is the maximum).
    `frame_share` is the share of the second in their sum.

    `together` says how a class's descriptions are combined: "mean" (Menon and Vondrick), "log-mean-exp" of cosine /
    temperature, times temperature, or "top-k", the mean of the k best (of all if there are fewer). The score is the
    result times a learned scale, which starts at the encoder's. The alignments have nothing to learn, unlike the head
    before them. A frozen encoder embeds the frames one by one, so a description of a motion finds no frame that shows
    it. Other classes can be served.
    """

    traits = ClassifierTraits(reads_texts=True)
    rows: Tensor
    written: Tensor

    def __init__(
        self,
        dim: int,
        num_classes: int,
        texts: ClassTexts,
        *,
        together: str = "log-mean-exp",
        k: int = 3,
        temperature: float = 0.05,
        frame_share: float = 0.5,
        learn_scale: bool = True,
    ) -> None:
        super().__init__()
        if together not in TOGETHER:
            raise DataError(f"together {together!r} is not known; expected one of {', '.join(TOGETHER)}")
        if k < 1:
            raise DataError(f"k is {k}; expected at least 1")
        if not temperature > 0:
            raise DataError(f"temperature is {temperature}; expected more than 0")
        self.together = together
        self.k = k
        self.temperature = temperature
        self.frame_share = frame_share
        self.scale = LogitScale(texts.logit_scale, learned=learn_scale)
        self.register_buffer("rows", texts.rows)  # (C, R, D)
        self.register_buffer("written", row_mask(texts))  # (C, R), true if there is a description

    @property
    def reads(self) -> ScorerReads:
        """It reads the stored frames and the output of the head."""
        return ScorerReads()

    def bound_scale(self) -> None:
        """Bring the scale back to CLIP's 100."""
        self.scale.bound()

    def set_texts(self, texts: ClassTexts) -> None:
        """Score other classes, or the same classes by other descriptions."""
        texts = texts.to(self.rows.device)
        self.rows, self.written = texts.rows, row_mask(texts)

    def forward(self, frames: Tensor, mask: Tensor, pooled: Tensor) -> Tensor:
        """Score frames (B, T, D), mask (B, T), and the output of the head (B, D) -> logits (B, C)."""
        scaled: Tensor = self.scale(in_parts(self._align, frames, mask, pooled))
        return scaled

    def _align(self, frames: Tensor, mask: Tensor, pooled: Tensor) -> Tensor:
        whole = torch.einsum("bd,crd->bcr", F.normalize(pooled, dim=-1), self.rows)
        unit = F.normalize(frames, dim=-1).masked_fill(~mask.unsqueeze(-1), 0)
        each = torch.einsum("btd,crd->bcrt", unit, self.rows)
        weights = (each / self.temperature).masked_fill(~mask[:, None, None, :], -torch.inf).softmax(-1)
        moments = (weights * each).sum(-1)  # (B, C, R)
        return self._bring_together(whole.lerp(moments, self.frame_share))

    def _bring_together(self, cosines: Tensor) -> Tensor:
        """Return one number for each class from the cosines to its descriptions, (B, C, R) -> (B, C)."""
        counts = self.written.sum(1)  # (C,)
        if self.together == "mean":
            return (cosines * self.written).sum(-1) / counts
        hidden = cosines.masked_fill(~self.written, -torch.inf)
        if self.together == "log-mean-exp":
            return self.temperature * ((hidden / self.temperature).logsumexp(-1) - counts.log())
        best = hidden.topk(min(self.k, hidden.shape[-1]), dim=-1).values  # (B, C, K)
        taken = torch.arange(best.shape[-1], device=best.device) < counts.unsqueeze(1)  # (C, K)
        return best.masked_fill(~taken, 0).sum(-1) / taken.sum(1)
