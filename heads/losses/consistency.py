"""Consistency: keep the scores of the head near those of the plain mean of the frames."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.losses.loss import LossTraits
from framebank.heads.losses.step import Step


class Consistency(nn.Module):
    """KL(scores of the mean || scores of the head), both a softmax over all classes, averaged over the videos.

    The classifier scores the output of the head and also the plain mean of the frames, which is the teacher and has no
    gradient. Embeddings or scores could be kept consistent; here it is the scores, as in PromptSRC (Khattak et al.
    2023, arXiv 2307.06281), which takes a frozen CLIP as the teacher. Directions that no class reads stay free.
    (`froster` holds the embedding.) With fixed class texts the teacher is zero-shot recognition; a linear classifier
    teaches itself from the mean.
    """

    traits = LossTraits()

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        with torch.no_grad():
            teacher = step.model.score(step.frames, step.mask, step.mean)  # (B, C)
        student = step.model.score(step.frames, step.mask, step.pooled)
        return F.kl_div(student.log_softmax(1), teacher.log_softmax(1), reduction="batchmean", log_target=True)
