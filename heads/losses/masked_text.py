"""MaskedText: find a hidden text of the class from the video and from the other texts of the class."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.losses.loss import LossTraits
from framebank.heads.losses.step import Step

TEMPERATURE = 0.07


class MaskedText(nn.Module):
    """After M2-CLIP's cross-modal masked language modelling (Wang et al. 2024, arXiv 2401.11649).

    M2-CLIP hides words of a text and predicts them from the rest and the video; the published script switches this off
    by a condition that is never true. A bank of class texts has no words, so our reading hides one whole text of the
    video's class, drawn at random. A two-layer perceptron reads the unit pooled video and the mean of the class's other
    texts (zero if there is none). Its unit output must be nearer to the hidden text than to any text of the other
    classes: a softmax over cosines / 0.07. The other texts of the class are not candidates, so telling templates apart
    gains nothing. The class can also be read from its other texts: the fewer templates there are, the more the video
    matters.
    """

    traits = LossTraits(reads_texts=True, reads_labels=True, multi_label=False)

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.predict = nn.Sequential(nn.Linear(2 * dim, dim), nn.GELU(), nn.Linear(dim, dim))

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        texts, target = step.texts, step.target
        drawn = torch.rand(len(target), generator=step.generator).to(target.device)
        hidden = (drawn * texts.counts[target]).long()  # (B,), which text of the class
        rows = texts.rows[target]  # (B, R, D), zero beyond the class's texts
        truth = texts.rows[target, hidden]  # (B, D)
        rest = (rows.sum(1) - truth) / (texts.counts[target] - 1).clamp(min=1).unsqueeze(1)  # (B, D)
        answer = self.predict(torch.cat([F.normalize(step.pooled, dim=-1), rest], dim=1))
        scores = F.normalize(answer, dim=-1) @ texts.rows.flatten(0, 1).T / TEMPERATURE  # (B, C*R)
        owner = torch.arange(len(texts), device=target.device).repeat_interleave(rows.shape[1])  # (C*R,)
        place = torch.arange(rows.shape[1], device=target.device).repeat(len(texts))
        own = owner == target.unsqueeze(1)  # (B, C*R)
        left_out = (own & (place != hidden.unsqueeze(1))) | (place >= texts.counts[owner])
        scores = scores.masked_fill(left_out, torch.finfo(scores.dtype).min)
        return F.cross_entropy(scores, target * rows.shape[1] + hidden)
