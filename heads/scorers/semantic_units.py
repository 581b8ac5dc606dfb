"""SemanticUnits: the units that the frames find in a bank of texts decode the video."""

import math
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ClassifierTraits
from framebank.heads.logit_scale import LogitScale
from framebank.heads.masking import masked_mean
from framebank.heads.scorers.cross_block import CrossBlock
from framebank.heads.scorers.parts import in_parts
from framebank.heads.scorers.rows import class_matrix, distinct_rows
from framebank.heads.scorers.scorer import Scorer, ScorerReads
from framebank.heads.temporal.attention import initialise
from framebank.store.errors import DataError


@final
class SemanticUnits(nn.Module, Scorer):
    """SU, attentive semantic units (Chen et al. 2023, arXiv 2303.09756), as its abstract tells it; no code was found.

    The abstract fixes this: units are entities (body parts, objects, scenes, motions) out of descriptions of the whole
    set of actions; the visual features of frames attend to and select units; with a cross-modal decoder the selected
    units decode the video. The rest is a reading of ours, M units U (M, D) and unit frames F (T, D):

        a = softmax over M of F U / temperature      which units a frame finds, (T, M)
        e = a U                                      the units that it selected, (T, D)
        d = mean over T of decoder(e, F)             `num_layers` blocks of cross-attention from e to the frames, (D,)
        v = pooled + alpha d                         pooled is what the head made, unit; alpha (D,) learned, from 0.1
        g = log of the mean over T of a M'           M' (M, C) shares a unit among the classes that have it
        logits = (1 - unit_share) * scale * cos(v, class text) + unit_share * g

    The units are all texts of all classes, each once: to follow the paper, describe the classes by short texts of their
    parts. Its multi-region attention works inside the encoder; the tokens of the recipe's stream `regions` stand for
    it, and with `frame` there are none. Other classes can be served: they bring their units.
    """

    traits = ClassifierTraits(reads_texts=True)
    units: Tensor
    shares: Tensor
    classes: Tensor

    def __init__(
        self,
        dim: int,
        num_classes: int,
        texts: ClassTexts,
        *,
        num_layers: int = 2,
        temperature: float = 0.01,
        alpha: float = 0.1,
        unit_share: float = 0.2,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise DataError(f"temperature is {temperature}; expected more than 0")
        self.temperature = temperature
        self.unit_share = unit_share
        self.norm = nn.LayerNorm(dim)
        self.decoder = nn.ModuleList(CrossBlock(dim, num_heads=math.gcd(dim, 8)) for _ in range(num_layers))
        initialise(self.decoder)
        self.alpha = nn.Parameter(torch.full((dim,), alpha))
        self.scale = LogitScale(texts.logit_scale)
        units, shares = _units(texts)
        self.register_buffer("units", units)  # (M, D)
        self.register_buffer("shares", shares)  # (M, C), rows sum to one
        self.register_buffer("classes", class_matrix(texts))  # (C, D)

    @property
    def reads(self) -> ScorerReads:
        """It reads the stored frames and the output of the head."""
        return ScorerReads()

    def bound_scale(self) -> None:
        """Bring the scale back to CLIP's 100."""
        self.scale.bound()

    def set_texts(self, texts: ClassTexts) -> None:
        """Score other classes, or the same classes by other texts."""
        texts = texts.to(self.classes.device)
        self.units, self.shares = _units(texts)
        self.classes = class_matrix(texts)

    def forward(self, frames: Tensor, mask: Tensor, pooled: Tensor) -> Tensor:
        """Score frames (B, T, D), mask (B, T), and the output of the head (B, D) -> logits (B, C)."""
        return in_parts(self._score, frames, mask, pooled)

    def _score(self, frames: Tensor, mask: Tensor, pooled: Tensor) -> Tensor:
        unit = F.normalize(frames, dim=-1)
        found = (unit @ self.units.T / self.temperature).softmax(-1)  # (B, T, M)
        selected = found @ self.units  # (B, T, D)
        memory = self.norm(frames)
        for block in self.decoder:
            selected = block(selected, memory, mask)
        video = F.normalize(pooled, dim=-1) + self.alpha * masked_mean(selected, mask)  # (B, D)
        scores: Tensor = self.scale(F.normalize(video, dim=-1) @ self.classes.T)
        evidence = (masked_mean(found, mask) @ self.shares).clamp(min=1e-6).log()  # (B, C)
        return scores.lerp(evidence, self.unit_share)


def _units(texts: ClassTexts) -> tuple[Tensor, Tensor]:
    units, members = distinct_rows(texts)
    return units, (members / members.sum(0)).T.contiguous()
