"""TextResidual: the texts of an episode, moved towards its support."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.matchers.frames import at_least_float, unit_mean_frame
from framebank.heads.matchers.matcher import MatcherTraits


class TextResidual(nn.Module):
    """TaskRes (Yu et al. 2022, arXiv 2211.10277) in an episode: unit text + alpha * a vector fitted to the support.

    The vectors start at zero. `steps` full-batch steps of Adam fit them, with a learning rate that falls from `lr` by a
    cosine, on the cross-entropy of `text_scale` times the cosine of each support video's mean frame to the moved texts,
    for all episodes at once. 100 steps of 0.002 and alpha 0.5 are the published 100 epochs for up to 4 shots; their
    batches of 256 hold any episode of few classes. In the paper, the text keeps the norm of its encoder, views are
    drawn again in each epoch, and the first epoch is a warm-up; here texts are unit, and videos stay the same. With
    alpha 0 it ranks like the matcher "text". No parameters, blind to the order of the frames.
    """

    traits = MatcherTraits(fits_support=True, reads_text=True)

    def __init__(
        self, dim: int, *, steps: int = 100, lr: float = 0.002, alpha: float = 0.5, text_scale: float = 100.0
    ) -> None:
        super().__init__()
        if steps < 1 or not 0 < lr < math.inf:
            raise ValueError(f"steps is {steps} and lr {lr}; expected one step or more and a rate above 0")
        self.steps, self.lr, self.alpha, self.text_scale = steps, lr, alpha, text_scale

    def forward(
        self, query: Tensor, support: Tensor, text: Tensor | None, query_mask: Tensor, support_mask: Tensor
    ) -> Tensor:
        """Score query (E, Q, T, D) against support (E, N, K, T, D) and text (E, N, D) -> (E, Q, N).

        ValueError without text.
        """
        if text is None:
            raise ValueError("the matcher 'text-residual' scores by the texts of the classes; got none")
        videos = unit_mean_frame(support, support_mask)  # (E, N, K, D)
        base = F.normalize(at_least_float(text), dim=-1)  # (E, N, D)
        queries = unit_mean_frame(query, query_mask)  # (E, Q, D)
        moved = F.normalize(base + self.alpha * self._fit(base, videos), dim=-1)
        return self.text_scale * queries @ moved.transpose(1, 2)

    def _fit(self, base: Tensor, videos: Tensor) -> Tensor:
        """Return the vectors (E, N, D) that Adam finds for base (E, N, D) and videos (E, N, K, D)."""
        num_shots = videos.shape[2]
        rows = videos.flatten(1, 2)  # (E, R, D), R = N * K
        target = torch.eye(base.shape[1], dtype=base.dtype, device=base.device).repeat_interleave(num_shots, 0)
        offsets, first, second = (torch.zeros_like(base) for _ in range(3))
        for step in range(self.steps):
            gradient = self._gradient(base + self.alpha * offsets, rows, target)
            first, second = first.lerp(gradient, 0.1), second.lerp(gradient.square(), 0.001)  # betas 0.9, 0.999
            mean, variance = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
            lr = self.lr * (1 + math.cos(math.pi * step / self.steps)) / 2
            offsets = offsets - lr * mean / (variance + 1e-16).sqrt()  # eps inside: a root has no slope at zero
        return offsets

    def _gradient(self, texts: Tensor, rows: Tensor, target: Tensor) -> Tensor:
        """Return the slope of the mean cross-entropy by the vectors, through texts (E, N, D) made unit: (E, N, D)."""
        unit = F.normalize(texts, dim=-1)
        error = (self.text_scale * rows @ unit.transpose(1, 2)).softmax(-1) - target  # (E, R, N)
        slope = self.text_scale / len(target) * error.transpose(1, 2) @ rows  # (E, N, D), by the unit texts
        radial = (slope * unit).sum(-1, keepdim=True) * unit
        gradient: Tensor = self.alpha * (slope - radial) / texts.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        return gradient
