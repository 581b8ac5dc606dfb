"""XClip: class embeddings that read the video before they are compared with it."""

import math
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ClassifierTraits
from framebank.heads.logit_scale import LogitScale
from framebank.heads.scorers.cross_block import CrossBlock
from framebank.heads.scorers.parts import in_parts
from framebank.heads.scorers.rows import class_matrix
from framebank.heads.scorers.scorer import Scorer, ScorerReads
from framebank.heads.temporal.attention import heads_for, initialise
from framebank.store.errors import DataError


@final
class XClip(nn.Module, Scorer):
    """X-CLIP's video-specific prompts (Ni et al. 2022, arXiv 2208.02816): text + alpha * what it reads of the video.

    Each class embedding (D,), a query, passes `num_layers` blocks of cross-attention whose keys and values are the
    tokens of the video, normalised by a layer norm; alpha (D,) is learned and starts at 0.1. The score is the cosine of
    what the head made of the video and the prompted class embedding, made unit, times a learned scale.

    The paper's tokens are the patches, averaged over time, which it projects to this width. Here they are what the
    recipe's stream holds: the frames, which only approximate them, or `patch_mean` or `regions`, where they are stored.
    Its cross-frame communication attention works inside the encoder, which is frozen; its multi-frame transformer is
    a head. As published, there is an attention head for every 64 channels, and class embeddings enter with the norm
    that the encoder gave them: the mean of it over the templates, and one where only unit embeddings are known. Without
    `text_norms` they enter unit. Other classes can be served.
    """

    traits = ClassifierTraits(reads_texts=True)
    classes: Tensor

    def __init__(
        self,
        dim: int,
        num_classes: int,
        texts: ClassTexts,
        *,
        num_layers: int = 2,
        num_heads: int | None = None,
        alpha: float = 0.1,
        text_norms: bool = True,
    ) -> None:
        super().__init__()
        if num_heads is not None and num_heads < 1:
            raise DataError(f"num_heads is {num_heads}; expected 1 or more")
        num_heads = math.gcd(dim, num_heads) if num_heads else heads_for(dim)
        self.text_norms = text_norms
        self.norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(CrossBlock(dim, num_heads=num_heads) for _ in range(num_layers))
        initialise(self.blocks)
        self.alpha = nn.Parameter(torch.full((dim,), alpha))
        self.scale = LogitScale(texts.logit_scale)
        self.register_buffer("classes", self._classes(texts))  # (C, D)

    @property
    def reads(self) -> ScorerReads:
        """It reads the stored frames, and what the head made of them."""
        return ScorerReads()

    def bound_scale(self) -> None:
        """Bring the scale back to CLIP's 100."""
        self.scale.bound()

    def set_texts(self, texts: ClassTexts) -> None:
        """Score other classes, or the same by other texts."""
        self.classes = self._classes(texts).to(self.classes.device)

    def _classes(self, texts: ClassTexts) -> Tensor:
        return class_matrix(texts) * (texts.norms.unsqueeze(1) if self.text_norms else 1)

    def forward(self, frames: Tensor, mask: Tensor, pooled: Tensor) -> Tensor:
        """Score frames (B, T, D), mask (B, T), and what the head made of them (B, D) -> logits (B, C)."""
        scaled: Tensor = self.scale(in_parts(self._match, frames, mask, pooled))
        return scaled

    def _match(self, frames: Tensor, mask: Tensor, pooled: Tensor) -> Tensor:
        memory = self.norm(frames)
        prompt = self.classes.expand(frames.shape[0], -1, -1)  # (B, C, D)
        for block in self.blocks:
            prompt = block(prompt, memory, mask)
        texts = F.normalize(self.classes + self.alpha * prompt, dim=-1)  # (B, C, D)
        return torch.einsum("bd,bcd->bc", F.normalize(pooled, dim=-1), texts)
